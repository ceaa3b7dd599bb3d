"""Filling the demo, going on after a kill, not doubling, and taking it all away."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from personalization.access.models import ApiKey
from personalization.catalog.models import Category, Product
from personalization.content.models import Campaign, Placement
from personalization.customers.history import create_people
from personalization.customers.models import Customer, Identity, Profile
from personalization.customers.services import create_identities
from personalization.demo import removal, services, shelves, state
from personalization.demo.engine.traffic import Plan
from personalization.demo.management.commands.demo import Command, _Teller
from personalization.demo.services import fill
from personalization.events.models import Event
from personalization.lib import clock
from personalization.ops.models import JobRun
from personalization.ops.services import night_of
from recommender.models import ModelVersion
from recommender.services import RUN_KIND
from recommender.tasks import retrain
from segments.learning.tasks import learn
from segments.live.backfilling import publish_built_in
from tests import printed

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Stands for a process that ends in the middle."""


def small_plan() -> Plan:
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    return Plan(seed=4, end_us=clock.to_us(end), days=30, products=200, customers=60, events=6_000)


def quiet(_stage: str, _done: int, _total: int) -> None:
    """Say nothing."""


def test_fill__small_plan__everything_is_there(tmp_path_factory: pytest.TempPathFactory) -> None:
    stages: list[str] = []

    assert fill(say=lambda stage, *_: stages.append(stage), plan=small_plan(), first=2_000)

    demo = state.current()
    assert demo is not None
    assert (demo.ready, demo.stage, demo.done) == (True, "", 6_000)
    assert Event.objects.count() == 6_000
    assert Product.objects.count() == 200
    assert Category.objects.filter(parent=None).count() == 8
    assert Profile.objects.filter(events__gt=0).exists()
    assert ModelVersion.objects.filter(status="live").exists()
    assert {"products", "events", "profiles", "models"} <= set(stages)
    users = Identity.objects.filter(kind=Identity.Kind.USER, value__startswith="lark-u-")
    devices = Identity.objects.filter(
        kind=Identity.Kind.ANONYMOUS, customer_id__in=users.values("customer_id")
    )
    assert devices.count() >= users.count() > 10
    before = Event.objects.count(), Identity.objects.count(), ModelVersion.objects.count()
    assert not fill(say=quiet)
    assert (Event.objects.count(), Identity.objects.count(), ModelVersion.objects.count()) == before
    assert Campaign.objects.get(key="lark-cart").status == "published"


def test_fill__beat_comes_by_meanwhile__nothing_learns_beside_it_nor_again_tonight() -> None:
    def beat(stage: str, _done: int, _total: int) -> None:
        if stage == "events":
            retrain()
            learn()

    nights = {night_of(clock.now())}
    fill(say=beat, plan=small_plan(), first=2_000)
    nights.add(night_of(clock.now()))

    slots = JobRun.objects.filter(kind=RUN_KIND).order_by("pk").values_list("slot", flat=True)
    first, whole = slots
    assert first.startswith("demo first")
    assert whole in nights
    assert not JobRun.objects.filter(kind="segments.learn").exists()


def test_fill__tonight_s_training_was_before__trains_all_the_same() -> None:
    for night in (night_of(clock.now()), night_of(clock.now() + timedelta(days=1))):
        JobRun.objects.create(kind=RUN_KIND, slot=night, status="succeeded", created_at=clock.now())

    fill(say=quiet, plan=small_plan(), first=6_000)

    assert ModelVersion.objects.filter(status="live").exists()


def test_fill__killed_while_loading__goes_on_without_doubling() -> None:
    def die(stage: str, done: int, _total: int) -> None:
        if stage == "events" and done >= 4_000:
            raise Killed

    plan = small_plan()
    with pytest.raises(Killed):
        fill(say=die, plan=plan, first=2_000)
    assert Event.objects.count() < 6_000

    fill(say=quiet, first=2_000)

    assert Event.objects.count() == 6_000
    assert state.plan_of(JobRun.objects.get(kind=state.KIND).params) == plan


def test_plan__made_now__ends_at_the_full_hour() -> None:
    plan = services.new_plan(datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC))

    assert plan.end_us == clock.to_us(datetime(2026, 5, 6, 7, tzinfo=UTC))
    assert (plan.products, plan.customers, plan.events, plan.days) == (5_000, 20_000, 500_000, 90)


def test_shelves__published_twice__leave_changes_alone() -> None:
    shelves.publish_shelves(actor="test")
    Placement.objects.filter(key="home.recommended").update(count=6)

    shelves.publish_shelves(actor="test")

    assert Placement.objects.get(key="home.recommended").count == 6
    assert Campaign.objects.filter(status="published").count() == 2


def test_targeted__segment_not_in_force_yet__waits_for_it() -> None:
    shelves.publish_shelves(actor="test")
    shelves.publish_targeted(actor="test")
    assert not Campaign.objects.filter(key="lark-cart").exists()
    publish_built_in(actor="test")

    shelves.publish_targeted(actor="test")
    shelves.publish_targeted(actor="test")

    row = Campaign.objects.get(key="lark-cart")
    assert (row.status, row.audience) == (
        "published", {"kind": "segment", "key": "abandoned-cart"},
    )  # fmt: skip
    shelves.remove_shelves(actor="test")
    assert not Campaign.objects.exists()


def test_remove__filled_demo__leaves_what_is_not_its_own() -> None:
    create_identities([(Identity.Kind.USER, "somebody")], now=clock.now())
    Product.objects.create(key="ours", title="Ours", created_at=clock.now(), updated_at=clock.now())
    fill(say=quiet, plan=small_plan(), first=6_000)

    assert removal.remove(say=lambda _what, _done: None)

    assert not Event.objects.exists()
    assert list(Identity.objects.values_list("value", flat=True)) == ["somebody"]
    assert Customer.objects.count() == 1
    assert list(Product.objects.filter(deleted_at=None).values_list("key", flat=True)) == ["ours"]
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert not Placement.objects.filter(key="home.hero").exists()
    assert state.current() is None
    assert not services.secret_file().exists()


def test_remove__nothing_there__says_so(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("demo", "--remove")

    assert "there is no demo here" in capsys.readouterr().out


@contextmanager
def web(settings: Any, asked: Callable[[], int]) -> Iterator[None]:
    """Answer at the web's port with the status that `asked` gives."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(asked())
            self.end_headers()

        def log_message(self, *_args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        settings.PORT = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_command__fill_on_a_full_shop__prints_addresses_and_keys_that_work_once_the_web_answers(
    settings: Any,
) -> None:
    fill(say=quiet, plan=small_plan(), first=6_000)
    screen = StringIO()
    before: list[str] = []

    def asked() -> int:
        before.append(screen.getvalue())
        return 200 if len(before) > 2 else 503

    with web(settings, asked):
        call_command("demo", "--fill", stdout=screen)

    told = screen.getvalue()
    assert before == ["", "", ""]
    assert "is open." in told
    assert "personal a second later (what is popular while the first models are loaded):" in told
    keys = services.ensure_keys()
    for words in ("/shop/", "/admin/one-time/", "curl", keys.public, keys.secret, "/v1/track"):
        assert words in told
    assert services.ensure_keys() == keys
    calls = re.findall(r"^  (curl .*?)(?=^\S|^$)", told, re.DOTALL | re.MULTILINE)
    sent, listed = (printed.call(one, Client(), {}).json() for one in calls)
    assert (sent["accepted"], sent["rejected"]) == (1, [])
    assert len(listed["items"]) == 5
    ApiKey.objects.filter(kind="public").update(revoked_at=clock.now())
    renewed = services.ensure_keys()
    assert renewed.public != keys.public
    assert renewed.secret == keys.secret
    assert services.secret_file().stat().st_mode & 0o077 == 0


def test_command__more_is_filled_in__says_that_events_wait_behind_it(settings: Any) -> None:
    JobRun.objects.create(
        kind=state.KIND,
        slot=state.SLOT,
        params=state.params_of(small_plan()),
        checkpoint={"stage": "events", "ready": True},
        created_at=clock.now(),
    )
    screen = StringIO()
    teller = _Teller(Command(stdout=screen))
    statuses = iter([503, 200])

    with web(settings, lambda: next(statuses)):
        teller.say("events", 2_000, 6_000)
        unanswered = screen.getvalue()
        teller.say("events", 3_000, 6_000)

    assert "is open." not in unanswered
    told = screen.getvalue()
    assert told.count("is open.") == 1
    assert "it waits for the demo's own" in told
    assert "personal a second later (" not in told


def test_people__made_in_bulk__once_and_never_of_known_ids() -> None:
    now = clock.now()
    create_identities([(Identity.Kind.ANONYMOUS, "a3")], now=now)
    people = [("u1", ["a1", "a2"]), ("u2", ["a3"]), ("u3", [])]

    assert create_people(people, now=now) == 2
    assert create_people(people, now=now + timedelta(days=1)) == 0

    owners = Identity.objects.filter(value__in=["u1", "a1", "a2"]).values_list(
        "customer", flat=True
    )
    assert len(set(owners)) == 1
    assert not Identity.objects.filter(value="u2").exists()
