"""Lookalikes that somebody asks for: a job learns who is like a segment's members, then scores all.

Part of the services of segments. Who refuses personalization is neither learnt from nor scored:
the log is read through the gate (`learning.features`), members included.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from personalization.access.audit import audit
from personalization.lib import clock
from personalization.lib.errors import Problem
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments.errors import SegmentUnknown
from segments.learning import fits, members, registry, services
from segments.learning.engine.lookalike import LEAST_MEMBERS
from segments.learning.engine.recipes import RECIPES
from segments.learning.errors import ModelKeyTaken, ModelUnknown, TooFewToLearn
from segments.models.learning import LearnedModel, Observation, Score
from segments.models.rules import Membership, Segment

RUN_KIND = "segments.lookalike"
# From here on somebody is as like the members as the others (engine/lookalike.py).
ALIKE = 0.5


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """How far the lookalikes of a segment are, and who serves.

    `reason`: why the newest run gave nothing that serves. `score`: the key that rules read, empty
    before there is one. `alike`: how many who are no members score at least ALIKE.
    """

    run: JobRun | None
    reason: str
    model: LearnedModel | None
    score: str
    alike: int
    scored_at: datetime | None

    @property
    def busy(self) -> bool:
        """Whether a run is on its way."""
        return self.run is not None and self.run.status in fits.OPEN


@transaction.atomic
def start_lookalikes(*, key: str, actor: str) -> JobRun:
    """Have a job learn who is like the members of a segment; return its run.

    The run that is on its way, where there is one: asking twice starts one. What passes the gate is
    learnt anew every night from then on.

    Raises
    ------
    SegmentUnknown, TooFewToLearn
        There is no such segment; too few are in it.
    ModelKeyTaken
        Another model goes by the key.
    """
    row = Segment.objects.select_for_update(of=("self",)).filter(key=key).first()
    if row is None:
        msg = f"there is no segment {key!r}"
        raise SegmentUnknown(msg)
    underway = _runs(row).filter(status__in=fits.OPEN).first()
    if underway is not None:
        return underway
    _refuse(row)
    run = jobs.request_run(
        kind=RUN_KIND,
        slot=f"{row.pk} {clock.now().isoformat()}",
        params={"segment": key, "actor": actor},
    )
    audit(actor=actor, action="lookalike", obj=row, after={"run": run.pk})
    return run


def stop_lookalikes(*, key: str, actor: str) -> None:
    """Have the lookalikes of a segment score nobody any more, nor be learnt again.

    Raises
    ------
    ModelUnknown
        None serve.
    ModelUsed
        Rules read them; the details name their segments.
    """
    if not _models(key).filter(status=LearnedModel.Status.LIVE).exists():
        msg = f"there are no lookalikes of {key!r} to stop"
        raise ModelUnknown(msg)
    fits.stop_model(key=key, actor=actor)


def work(slot: str, *, now: datetime) -> None:
    """Do the job of one request, then score everybody. Twice is once; a dead run goes on."""
    run = JobRun.objects.filter(kind=RUN_KIND, slot=slot).first()
    if run is None:
        return
    key = run.params["segment"]
    if not Segment.objects.filter(key=key).exists():
        if jobs.start_run(kind=RUN_KIND, slot=slot) is not None:
            jobs.fail(run.pk, error="the segment was deleted")
        return
    fits.learn_and_score(run, services.lookalike_recipe(key), now=now)


def work_on_open(*, now: datetime) -> None:
    """Go on with every request that is not over: whose wake-up was lost, whose worker died."""
    for slot in jobs.open_slots(RUN_KIND):
        work(slot, now=now)


def retire_orphans() -> None:
    """Have the lookalikes of segments that were deleted score nobody any more."""
    live = LearnedModel.objects.filter(
        status=LearnedModel.Status.LIVE, kind=LearnedModel.Kind.LOOKALIKE
    )
    for model in live.exclude(key__in=Segment.objects.values("key")):
        registry.retire(model.key, actor="system")


def lookalikes_of(row: Segment) -> Lookalikes:
    """Return how far the lookalikes of a segment are."""
    run = _runs(row).first()
    model = _models(row.key).filter(status=LearnedModel.Status.LIVE).first()
    if model is None:
        return Lookalikes(run, fits.reason_of(run), None, "", 0, None)
    score = f"lookalike:{row.key}"
    inside = Membership.objects.filter(
        version_id=row.published_id or 0, customer_id=OuterRef("customer_id")
    )
    alike = Score.objects.filter(~Exists(inside), key=score, value__gte=ALIKE).count()
    seen = Observation.objects.filter(model=model).order_by("-as_of").first()
    return Lookalikes(run, fits.reason_of(run), model, score, alike, seen.as_of if seen else None)


def _runs(row: Segment) -> QuerySet[JobRun]:
    """Return the runs of a segment, newest first: their slots begin with its id."""
    return JobRun.objects.filter(kind=RUN_KIND, slot__startswith=f"{row.pk} ").order_by("-pk")


def _models(key: str) -> QuerySet[LearnedModel]:
    return LearnedModel.objects.filter(key=key, kind=LearnedModel.Kind.LOOKALIKE)


def _refuse(row: Segment) -> None:
    others = LearnedModel.objects.filter(key=row.key).exclude(kind=LearnedModel.Kind.LOOKALIKE)
    if row.key in RECIPES or others.exists():
        msg = f"another model is called {row.key!r}; make a segment of the same rule by another key"
        raise ModelKeyTaken(msg)
    inside = len(members.of_segment(row.key))
    if inside < LEAST_MEMBERS:
        msg = f"it takes {LEAST_MEMBERS} members to learn what they are like; {row.title} has"
        raise TooFewToLearn(f"{msg} {inside}", details=[Problem("key", f"{inside} members")])
