"""Filling the demo shop: products, the newest events, models, then the rest of the events."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from django.conf import settings

from personalization.access.services import create_key
from personalization.catalog.services import upsert_categories, upsert_products
from personalization.customers.history import create_people
from personalization.demo import state
from personalization.demo.engine.records import Record, Recorder, people
from personalization.demo.engine.shop import product_rows
from personalization.demo.engine.traffic import Plan, World, chunks, make_world
from personalization.demo.engine.words import DEPARTMENTS
from personalization.demo.shelves import publish_shelves, publish_targeted
from personalization.demo.traits import declare_traits
from personalization.events import bulk
from personalization.events.bulk import BulkEvent, Counts
from personalization.events.processor import bulk as processing
from personalization.lib import clock
from personalization.lib.tasks import enqueue
from personalization.ops import pulse
from personalization.ops import services as jobs
from personalization.ops.claims import claimed
from personalization.ops.models import JobRun
from recommender.engine.training import BLENDS
from recommender.services import due_models, train
from segments.live.backfilling import publish_built_in

ACTOR = "demo"
SEED = 20_261
# Enough for good shelves within the first minute; the rest comes while people look around.
FIRST_EVENTS = 100_000
# Say(what is being done, done, total)
Say = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Keys:
    """The demo's keys, as callers send them."""

    public: str
    secret: str


def new_plan(now: datetime) -> Plan:
    """Return the plan of a demo made now: the window ends at the last full hour."""
    end = now.replace(minute=0, second=0, microsecond=0)
    offset = end.astimezone(ZoneInfo(settings.SHOP_TIME_ZONE)).utcoffset() or timedelta(0)
    return Plan(
        seed=SEED,
        end_us=clock.to_us(end),
        offset_us=round(offset.total_seconds() * 1_000_000),
    )


def fill(*, say: Say, plan: Plan | None = None, first: int = FIRST_EVENTS) -> bool:
    """Fill the demo shop, or go on where a killed process was; False when it is full already.

    Idempotent: the plan (seed and window) is stored with the run, so that the same events come out
    with the same ids; whatever is there already is left alone.

    Raises
    ------
    Conflict
        Another process fills it.
    Cancelled
        Somebody stopped the run.
    """
    params = state.params_of(plan or new_plan(clock.now()))
    with claimed(kind=state.KIND, slot=state.SLOT, params=params) as run:
        if run is None:
            return False
        # fits and folds say nothing of this run while they work
        with pulse.beating(run.pk):
            _fill(_Filling(run, say), first)
        jobs.succeed(run.pk, result={"events": run.done})
    # what beat would do within a quarter of an hour, once for tonight
    enqueue("segments.learning.tasks.learn", jobs.night_of(clock.now()))
    enqueue("segments.learning.tasks.score")
    return True


def ensure_keys() -> Keys:
    """Return the demo's keys, made anew where they are lost or revoked.

    Keys are stored hashed; the public one is no secret and lies in the run's row, the secret one
    in a file that only the owner reads.
    """
    run = JobRun.objects.get(kind=state.KIND, slot=state.SLOT)
    public = str(run.checkpoint.get("public_key", ""))
    if not state.key_works(public):
        _row, public = create_key(name="Demo storefront", kind="public", actor=ACTOR)
        run.checkpoint = run.checkpoint | {"public_key": public}
        run.save(update_fields=["checkpoint"])
    file = secret_file()
    secret = file.read_text().strip() if file.exists() else ""
    if not state.key_works(secret):
        _row, secret = create_key(name="Demo back office", kind="secret", actor=ACTOR)
        file.unlink(missing_ok=True)
        file.touch(mode=0o600)
        file.write_text(secret)
    return Keys(public, secret)


def secret_file() -> Path:
    """Where the demo's secret key lies."""
    return Path(settings.LOCAL_DIR) / "demo_secret_key"


class _Filling:
    """One filling: its run, what has been done, and who hears of it."""

    def __init__(self, run: JobRun, say: Say) -> None:
        self.run = run
        self.plan = state.plan_of(run.params)
        self._say = say

    def stage(self, name: str, done: int = 0, total: int = 0) -> None:
        """Say what is being done, on the terminal and in the run's row."""
        self.keep(stage=name)
        self._say(name, done, total)

    def say(self, name: str, done: int, total: int) -> None:
        """Say how far it is, on the terminal alone."""
        self._say(name, done, total)

    def keep(self, **facts: object) -> None:
        """Store facts in the checkpoint."""
        self.run.checkpoint = self.run.checkpoint | facts
        self._advance()

    def reach(self, done: int) -> None:
        """Store how many events are in."""
        self.run.done = done
        self._advance()

    def _advance(self) -> None:
        jobs.advance(
            self.run.pk, done=self.run.done, total=self.plan.events, checkpoint=self.run.checkpoint
        )


def _fill(filling: _Filling, first: int) -> None:
    filling.stage("making the shop")
    world = make_world(filling.plan)
    if "products" not in filling.run.checkpoint:
        filling.stage("products")
        _products(world)
        filling.keep(products=world.shop.size)
    if "people" not in filling.run.checkpoint:
        filling.stage("customers")
        filling.keep(people=create_people(people(world), now=clock.now()))
    declare_traits(actor=ACTOR)
    publish_shelves(actor=ACTOR)
    publish_built_in(actor=ACTOR)
    publish_targeted(actor=ACTOR)
    ensure_keys()
    filling.run.refresh_from_db(fields=["checkpoint"])
    first = min(first, filling.plan.events)
    _events(filling, world, upto=first)
    if first < filling.plan.events:
        _train(filling, "first")
        filling.keep(ready=True)
    _events(filling, world, upto=filling.plan.events)
    # where a worker of another process had the backfill, the segments took over since
    publish_targeted(actor=ACTOR)
    _train(filling, "whole")
    filling.keep(ready=True)


def _products(world: World) -> None:
    now = clock.now()
    upsert_categories(_categories(), actor=ACTOR, now=now)
    rows = product_rows(world.shop, currency=settings.SHOP_CURRENCY)
    upsert_products([row._asdict() for row in rows], actor=ACTOR, now=now)


def _categories() -> list[dict[str, str]]:
    found = [{"key": d.key, "title": d.title, "parent": ""} for d in DEPARTMENTS]
    return found + [
        {"key": leaf.key, "title": leaf.title, "parent": d.key}
        for d in DEPARTMENTS
        for leaf in d.leaves
    ]


def _events(filling: _Filling, world: World, *, upto: int) -> None:
    """Load events `done..upto`, newest first, and fold them."""
    begun = filling.run.done
    if begun >= upto and filling.run.checkpoint.get("folded", 0) >= upto:
        return
    filling.stage("events", begun, filling.plan.events)
    recorder = Recorder(world, currency=settings.SHOP_CURRENCY)

    def loaded(counts: Counts) -> None:
        filling.reach(begun + counts.read)
        filling.say("events", begun + counts.read, filling.plan.events)

    bulk.copy_events(_bulk_events(recorder, world, begun, upto), progress=loaded)
    filling.stage("profiles")
    processing.run(lambda done, total: filling.say("profiles", done, total))
    filling.keep(folded=upto)


def _bulk_events(recorder: Recorder, world: World, begun: int, upto: int) -> Iterator[BulkEvent]:
    left = upto - begun
    for rows in chunks(world, bulk.CHUNK, skip=begun):
        yield from map(_bulk_event, recorder.records(rows[:left]))
        left -= len(rows)
        if left <= 0:
            return


def _bulk_event(record: Record) -> BulkEvent:
    return BulkEvent(
        message_id=record.message_id,
        name=record.name,
        occurred_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=record.at_us),
        user_id=record.user_id,
        anonymous_id=record.anonymous_id,
        type=record.type,
        properties=record.properties,
        traits=record.traits,
        context=record.context,
    )


def _train(filling: _Filling, name: str) -> None:
    """Train once a stage; a killed training begins again under another slot.

    The whole is what this night would train: beat need not do it again.
    """
    key = f"trained_{name}"
    if filling.run.checkpoint.get(key):
        return
    filling.stage("models")
    now = clock.now()
    models = due_models()
    if name != "whole":
        # how models are weighed is learned on all of it: the door opens a quarter minute earlier
        models = tuple(one for one in models if one not in BLENDS)
    own = f"demo {name} {now.isoformat()}"
    for slot in (jobs.night_of(now), own) if name == "whole" else (own,):
        trained = train(
            slot=slot,
            actor=ACTOR,
            now=now,
            models=models,
            report=lambda stage, done, total: filling.say(f"models: {stage}", done, total),
        )
        if trained is not None:
            break
    filling.keep(**{key: now.isoformat()})
