"""Training: a run of one slot reads the log once, fits each model, the gate decides.

A full run fits everything from the whole log, then learns how to blend. An hourly one grows those
that can be grown by what came since. What serves is replaced by a verified better one or stays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from personalization.catalog.services import count_unknown_items
from personalization.events import extraction
from personalization.lib import artifacts
from personalization.lib.errors import Problem, Unprocessable
from personalization.lib.progress import Report, silent
from personalization.ops import fitprocess, pulse
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from recommender import dataset, fitting, groups, registry, runs
from recommender.config import StrategiesPart
from recommender.engine import keys as packed
from recommender.engine.algorithms import RECIPES, SERVED
from recommender.engine.growing import grows
from recommender.engine.strategies import BLEND_OF, IN_GROUP, StrategySpec
from recommender.engine.training import BLENDS, KINDS
from recommender.models import ModelVersion

log = structlog.get_logger("recommender")

RUN_KIND = "recommender.train"
GROW_KIND = "recommender.grow"
# Trained in every shop, whatever its strategies name.
ALL = (*SERVED, *BLENDS)
_FITTING = "recommender.fitting"


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of one model: `status` live, rejected, refused or failed, `reason` why.

    Refused: the data or the budget does not allow it; nothing was stored, as after a failure.
    """

    model: str
    number: int | None
    status: str
    reason: str
    metrics: Mapping[str, Any]


def slot_at(now: datetime) -> str:
    """Return the slot that is due: one a night; one an hour while nothing serves yet."""
    serves = ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).exists()
    return jobs.slot_at(now, is_first=not serves)


def retrain(*, slot: str, actor: str, now: datetime) -> list[Trained] | None:
    """Train what is due (`due_models`) for `slot`, or for the next one; None: nothing to do.

    A shop whose log is empty, or being filled with a history, starts no run by itself, so that its
    events find the slot free.
    """
    if not slot and not _worth_learning(now):
        return None
    return train(slot=slot or slot_at(now), actor=actor, now=now)


def _worth_learning(now: datetime) -> bool:
    return not jobs.is_log_filling() and extraction.any_touch(kinds=KINDS, until=now)


def train(
    *,
    slot: str,
    actor: str,
    now: datetime,
    models: Sequence[str] | None = None,
    report: Report = silent,
) -> list[Trained] | None:
    """Train models from the log and promote those that pass; None when the slot was run before.

    One run row a slot, so two beats train once. A resumed run goes on after the models that its
    checkpoint lists, as of the moment that it began with. Cancelling ends the fitting process
    within half a second. Blends are learned after the models that take part. `models`: None for
    `due_models`.

    Raises
    ------
    Unprocessable
        There is no such model.
    Cancelled, FittingError
        The run is marked so.
    """
    models = due_models() if models is None else models
    unknown = [name for name in models if name not in RECIPES and name not in BLENDS]
    if unknown:
        known = ", ".join((*RECIPES, *BLENDS))
        msg = f"no model is called {unknown[0]!r}; there are {known}"
        raise Unprocessable(msg, details=[Problem("models", name) for name in unknown])
    with runs.running(RUN_KIND, slot, {"models": list(models)}, now) as run:
        if run is None:
            return None
        as_of = runs.as_of(run, now)
        with fitprocess.folder() as folder:
            report("reading the log", 0, len(models) + 1)
            jobs.advance(run.pk, done=0, total=len(models) + 1)
            item_keys = _lay_out(run, folder, as_of, models)
            about = {"mode": registry.FULL, "until_s": as_of.timestamp()}
            step = _Step(run, folder, actor, now, item_keys, dict.fromkeys(models, about))
            return _work(step, models, report)


def due_models() -> tuple[str, ...]:
    """Return what a night trains, blends last: `ALL`, and what else could be asked.

    That is what active strategies name, fallbacks among them, and popularity by group where
    customers are in any: the ladder has a rung for it.
    """
    named = [name for spec in _specs().values() if spec.active for name in _named(spec)]
    # one that a newer release has made must not cost the others their night
    known = [name for name in named if name in RECIPES or name in BLENDS]
    return _in_order([*ALL, *known, *([IN_GROUP] if groups.any_exist() else ())])


def models_of(strategy: str) -> tuple[str, ...]:
    """Return the models of a strategy and of those it falls back to, blends last.

    Raises
    ------
    Unprocessable
        There is no such strategy.
    """
    specs = _specs()
    if strategy not in specs:
        msg = f"there is no strategy {strategy!r}; there are {', '.join(sorted(specs))}"
        raise Unprocessable(msg, details=[Problem("strategy", strategy)])
    found: list[str] = []
    while strategy in specs:
        spec = specs.pop(strategy)
        found += _named(spec)
        strategy = spec.fallback
    return _in_order(found)


def _specs() -> dict[str, StrategySpec]:
    part = StrategiesPart()
    return dict(part.load(part.export()))


def _named(spec: StrategySpec) -> list[str]:
    blend = [BLEND_OF[spec.use]] if spec.learned else []
    return [source.algorithm for source in spec.sources] + blend


def _in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Return each name once: blends are learned of models that are there."""
    return tuple(sorted(dict.fromkeys(names), key=lambda name: name in BLENDS))


def refresh(*, slot: str, actor: str, now: datetime) -> list[Trained] | None:
    """Grow the live models that can be by what came since their full training; None: nothing to do.

    Part of the hour: one run a slot, as in `train`. None also while a full run is at work or the
    log is being filled, before the first full one, and when nothing came.

    Raises
    ------
    Cancelled, FittingError
        The run is marked so.
    """
    if jobs.is_at_work(RUN_KIND) or (not slot and jobs.is_log_filling()):
        return None
    bases = _bases()
    if not bases:
        return None
    since = min(_until(base) for base in bases.values())
    if not extraction.any_touch(kinds=KINDS, since=since, until=now):
        return None
    slot = slot or f"hourly {now:%Y-%m-%d %H}h"
    with runs.running(GROW_KIND, slot, {"models": sorted(bases)}, now) as run:
        if run is None:
            return None
        as_of = runs.as_of(run, now)
        trained: list[Trained] = []
        for name, base in bases.items():
            if name in (done := run.checkpoint.get("models", {})):
                trained.append(Trained(**done[name]))
                continue
            # a night or a roll-back may have come since the run began
            if _bases().get(name) != base:
                continue
            trained += _grow(run, name, base, actor=actor, as_of=as_of, now=now)
        return trained


@dataclass(frozen=True, slots=True)
class _Step:
    """What the models of one run share. `about`: model -> what the manifest says besides."""

    run: JobRun
    folder: Path
    actor: str
    now: datetime
    item_keys: Sequence[str]
    about: Mapping[str, Mapping[str, Any]]


def _lay_out(run: JobRun, folder: Path, as_of: datetime, models: Sequence[str]) -> Sequence[str]:
    """Lay out the log; return the keys of item rows."""
    blended = any(name in BLENDS for name in models)
    data = runs.lay_out(run, folder, as_of, sources=_sources(models) if blended else ())
    with pulse.beating(run.pk):
        count_unknown_items(
            extraction.unknown_items(kinds=KINDS, until=as_of) if data.unknown else {}
        )
    return data.keys


def _sources(models: Sequence[str]) -> tuple[str, ...]:
    """Return which of these blends may take: the usual ones, and what learned strategies name.

    One strategy that names "recently viewed" alone must not have every home page learn it.
    """
    wanted = {*SERVED}.union(*(_named(spec) for spec in _specs().values() if spec.learned))
    return tuple(name for name in models if name in RECIPES and name in wanted)


def _work(step: _Step, models: Sequence[str], report: Report) -> list[Trained]:
    """Have a process fit the models that are still due; register and gate each as it comes."""
    done: dict[str, Any] = dict(step.run.checkpoint.get("models", {}))
    due = [name for name in models if name not in done]
    with fitprocess.started(_FITTING, step.folder, due) as wait:
        for place, name in enumerate(models, 1):
            report(f"fitting {name}", place, len(models) + 1)
            if name in done:
                continue
            trained = _stored_before(step, name)
            if trained is None:
                wait(name, lambda: jobs.advance(step.run.pk))
                trained = _judged(step, name)
            done[name] = asdict(trained)
            step.run.checkpoint = {"models": done}  # an hour's next model adds to it
            jobs.advance(step.run.pk, done=len(done) + 1, checkpoint={"models": done})
            log.info("model.trained", model=name, number=trained.number, status=trained.status)
    report("done", len(models) + 1, len(models) + 1)
    return [Trained(**done[name]) for name in models]


def _stored_before(step: _Step, name: str) -> Trained | None:
    """Return the version that this run stored before it was killed, gated by now."""
    version = ModelVersion.objects.filter(run=step.run, algorithm=name).first()
    if version is None:
        return None
    if version.status == ModelVersion.Status.CANDIDATE:
        version = registry.gate(version, actor=step.actor, now=step.now)
    return Trained(name, version.number, version.status, version.reason, version.metrics)


def _judged(step: _Step, name: str) -> Trained:
    """Register what the process left of a model and let the gate decide."""
    found = fitting.read_result(step.folder / name)
    if found.fitted is None:
        status = "refused" if found.refused else "failed"
        reason = found.refused or found.failed
        log.warning("model.untrained", model=name, status=status, reason=reason)
        return Trained(name, None, status, reason, {})
    version = registry.register(
        name=name,
        fitted=found.fitted,
        item_keys=step.item_keys,
        about=step.about[name],
        cost={"fit_s": found.seconds, "peak_mb": found.peak_mb},
        run_id=step.run.pk,
        now=step.now,
    )
    version = registry.gate(version, actor=step.actor, now=step.now)
    return Trained(name, version.number, version.status, version.reason, found.fitted.metrics)


def _bases() -> dict[str, ModelVersion]:
    """Return, of each live model that grows, the full version that it is or grew from.

    None for one of other settings: old and new evidence would not weigh alike. None for one that
    was rolled back.
    """
    found = {}
    rows = ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).order_by("algorithm")
    for row in rows:
        if row.algorithm not in RECIPES or not grows(RECIPES[row.algorithm]):
            continue
        base = row.manifest["facts"].get("base")
        full = ModelVersion.objects.filter(pk=base["id"]).first() if base else row
        if full is None or full.reason == registry.ROLLED_BACK:
            continue
        if not registry.is_as_trained_now(full):
            continue
        if "evidence" in full.manifest["arrays"]:
            found[row.algorithm] = full
    return found


def _until(base: ModelVersion) -> datetime:
    return datetime.fromtimestamp(base.manifest["facts"]["until_s"], UTC)


def _grow(
    run: JobRun, name: str, base: ModelVersion, *, actor: str, as_of: datetime, now: datetime
) -> list[Trained]:
    """Grow one model in a process of its own: its items come first, those of the log follow."""
    arrays = artifacts.load(base.manifest_sha256).arrays
    with fitprocess.folder() as folder:
        with pulse.beating(run.pk) as check:
            data = dataset.read(
                since=_until(base),
                until=as_of,
                first_keys=packed.unpack(arrays),
                progress=lambda _rows: check(),
            )
        # what grows looks at nothing but the log
        runs.write(folder, data, as_of, sources=(), beside=False)
        fitting.write_base(folder / name, arrays, _until(base).timestamp())
        facts = base.manifest["facts"]
        about = {
            "mode": registry.GROWN,
            "until_s": as_of.timestamp(),
            "base": {
                "id": base.pk,
                "number": base.number,
                "interactions": facts["interactions"],
                "items": facts["items"],
            },
        }
        step = _Step(run, folder, actor, now, data.keys, {name: about})
        return _work(step, [name], silent)
