"""What must hold whatever comes in between: kills, slow processes, merges, versions that end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from personalization.customers import services as people
from personalization.customers.models import RebuildDue
from personalization.lib import clock
from personalization.ops import serve as config
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from segments import services
from segments.engine.held import Held
from segments.learning import services as learning
from segments.live import backfilling, rules, states, timers
from segments.models import Change, Membership, Score, Segment, SegmentVersion, State
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.test_membership import customer
from tests.segments.live.world import count, go_live, members, process, story, take_in, tick

pytestmark = pytest.mark.django_db(transaction=True)

ABSENT = count("Order Completed", op="eq", value=0)
HOUR = {"type": "last", "seconds": 3600}
FIRST = {"kind": "first_time", "event": "Product Viewed", "window": HOUR}
U1 = (USER, "u1")


def forget_log() -> None:
    """Let the log, and the facts in it, be older than the time that they are kept."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE events_event")
        cursor.execute("DELETE FROM events_fact")


def of_a_moment_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process know the configuration of this moment, whatever is published after."""
    known = rules.live()
    monkeypatch.setattr(rules, "live", lambda: known)


def test_merge__absorbed_customer__is_in_nothing_and_stays_out() -> None:
    go_live("quiet", ABSENT)
    put("m1", product_id="sku1")
    put("m2", who=U1, product_id="sku1", minute=1)
    process(2)
    absorbed = customer()
    people.merge(absorbed, customer(*U1), cause="staff", actor="test", now=NOW)
    process(3)

    go_live("never", count("Order Completed", op="lt", value=1))

    assert members("quiet") == members("never") == [customer(*U1)]
    assert not Membership.objects.filter(customer_id=absorbed).exists()
    assert State.objects.get(pk=absorbed).verdicts == "{}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_fact WHERE customer_id = %s", [absorbed])
        assert cursor.fetchone() == (0,)


def test_merge__first_time_beyond_the_log__is_remembered_for_both_and_given_back() -> None:
    go_live("new", FIRST)
    put("m1", product_id="sku1")
    process(1)
    years_later = 2000 * 1440.0
    far = NOW + timedelta(minutes=years_later)
    forget_log()
    put("m2", who=U1, product_id="sku1", minute=years_later)
    process(years_later)
    tick(years_later)
    assert members("new") == [customer(*U1)]

    done = people.merge(customer(), customer(*U1), cause="staff", actor="test", now=far)
    process(years_later + 1)
    assert members("new") == []
    people.unmerge(done.pk, actor="test", now=far)
    process(years_later + 2)

    assert members("new") == [customer(*U1)]
    put("m3", product_id="sku1", minute=years_later + 2)
    process(years_later + 3)
    assert members("new") == [customer(*U1)]


def test_unmerge__first_time_of_the_other__is_the_others_alone() -> None:
    go_live("new", FIRST)
    put("m1", product_id="sku1", minute=-120)
    put("m2", who=U1, product_id="sku1")
    process(1)
    assert members("new") == [customer(*U1)]
    done = people.merge(customer(), customer(*U1), cause="staff", actor="test", now=NOW)
    process(2)
    assert members("new") == []

    people.unmerge(done.pk, actor="test", now=NOW)
    process(3)

    assert members("new") == [customer(*U1)]


def test_publish__processor_that_has_not_heard_of_it__tells_of_the_rule_in_force(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    go_live("fans", count(value=1))
    services.save_draft(key="fans", rule=count(value=2), actor="test")
    services.start_shadow(key="fans", actor="test")
    take_in()
    of_a_moment_ago(monkeypatch)
    services.publish_segment(key="fans", actor="test")

    put("m1", product_id="sku1")
    process(1)
    assert (members("fans"), story("fans")) == ([], [])
    put("m2", product_id="sku1", minute=2)
    process(3)

    assert members("fans") == [customer()]
    assert [(entered, cause) for entered, cause, _ in story("fans")] == [(True, "event")]


@pytest.mark.parametrize("end", ["stop", "delete"])
def test_end__processor_that_has_not_heard_of_it__leaves_no_member(
    monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    go_live("fans", count(value=1))
    if end == "stop":
        services.save_draft(key="fans", rule=count(value=2), actor="test")
        services.start_shadow(key="fans", actor="test")
        take_in()
    of_a_moment_ago(monkeypatch)
    if end == "stop":
        services.stop_version(key="fans", number=2, actor="test")
    else:
        services.delete_segment(key="fans", actor="test")

    for number in range(2):
        put(f"m{number}", product_id="sku1", minute=number)
    process(3)

    live = SegmentVersion.objects.filter(status="published")
    assert not Membership.objects.exclude(version_id__in=live.values("pk")).exists()
    assert not Change.objects.exclude(segment_id__in=Segment.objects.values("pk")).exists()


def test_versions_that_ended__verdicts_on_them__are_dropped() -> None:
    go_live("fans", count(days=300))
    put("m1", product_id="sku1")
    process(1)
    for more in range(5):
        rule = count("Product Viewed", days=301 + more)
        services.save_draft(key="fans", rule=rule, actor="test")
        services.publish_segment(key="fans", actor="test")
        with clock.frozen(NOW + timedelta(minutes=2)):
            take_in()

    # in force, standing by, and the one that the last take-over ended
    assert State.objects.get().verdicts.count(":") <= 3


def test_backfill__processor_that_has_not_heard_meets_somebody__is_taken_in_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    services.create_segment(key="all", values={}, rule=count(), actor="test")
    with monkeypatch.context() as patch:
        of_a_moment_ago(patch)
        services.publish_segment(key="all", actor="test")
        with clock.frozen(NOW):
            backfilling.backfill()
        put("m1", product_id="sku1")
        process(1)
    assert members("all") == []

    with clock.frozen(NOW + timedelta(minutes=2)):
        backfilling.backfill()

    assert members("all") == [customer()]


def test_backfill__just_published__needs_no_second_run() -> None:
    go_live("other", ABSENT)
    put("m1", product_id="sku1")
    process(1)
    known = config.current()
    services.create_segment(key="all", values={}, rule=count(), actor="test")
    services.publish_segment(key="all", actor="test")
    # as in a worker: another process has published, this one looked a moment ago
    config._state.snapshot, config._state.watched = known, True

    with clock.frozen(NOW + timedelta(minutes=2)):
        backfilling.backfill()

    assert members("all") == [customer()]


@pytest.mark.parametrize("at", ["succeed", "take_over"])
def test_backfill__killed_when_all_is_done_but_the_last_step__takes_over_later(
    monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    put("m1", product_id="sku1")
    process(1)
    services.create_segment(key="all", values={}, rule=count(), actor="test")
    services.publish_segment(key="all", actor="test")

    def dies(*_args: Any, **_values: Any) -> None:
        raise KeyboardInterrupt

    where = {"succeed": jobs, "take_over": services}[at]
    with monkeypatch.context() as patch, clock.frozen(NOW):
        patch.setattr(where, at, dies)
        with pytest.raises(KeyboardInterrupt):
            backfilling.backfill()
    with clock.frozen(NOW + timedelta(minutes=10)):
        backfilling.backfill()

    assert SegmentVersion.objects.get(segment__key="all").status == "published"
    assert JobRun.objects.get(kind=backfilling.RUN_KIND).status == "succeeded"


def broken(monkeypatch: pytest.MonkeyPatch, customer_id: int) -> None:
    """Have nothing of this customer be decided."""
    real = Held.due

    def due(held: Held) -> int | None:
        if held.first.get("broken") == customer_id:
            msg = "cannot"
            raise ValueError(msg)
        return real(held)

    held = states.load([customer_id])
    held[customer_id].first["broken"] = customer_id
    states.save(held, rules.live().program)
    monkeypatch.setattr(Held, "due", due)


def test_timers__one_customer_fails__the_others_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    go_live("fresh", count(days=1))
    for who in ("a1", "a2", "a3"):
        put(who, who=(DEVICE, who), product_id="sku1")
    process(1)
    broken(monkeypatch, customer(value="a2"))

    tick(1441)

    assert members("fresh") == [customer(value="a2")]
    assert RebuildDue.objects.get().customer_id == customer(value="a2")
    with clock.frozen(NOW + timedelta(minutes=1442)):
        assert timers.turn_due(now=clock.now()) == []
    monkeypatch.undo()
    process(1450)
    assert members("fresh") == []


def test_backfill__one_customer_fails__the_version_takes_over_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for who in ("a1", "a2", "a3"):
        put(who, who=(DEVICE, who), product_id="sku1")
    process(1)
    broken(monkeypatch, customer(value="a2"))

    with clock.frozen(NOW + timedelta(minutes=1)):
        go_live("all", count())

    assert members("all") == [customer(), customer(value="a3")]
    monkeypatch.undo()
    with clock.frozen(NOW + timedelta(minutes=2)):
        people.retry_parked([customer(value="a2")], actor="test", now=clock.now())
    process(3)
    assert len(members("all")) == 3


def test_score__changed__rules_that_read_it_are_decided_again() -> None:
    put("m1", product_id="sku1")
    process(1)
    Score.objects.create(customer_id=customer(), key="likely", value=0.2)
    go_live("hot", {"kind": "score", "key": "likely", "op": "gte", "value": 0.5})
    assert members("hot") == []

    Score.objects.update(value=0.9)
    with clock.frozen(NOW + timedelta(minutes=2)):
        learning.announce([customer()], {"likely"})

    assert members("hot") == [customer()]
    assert story("hot") == [(True, "score", 2)]
    with clock.frozen(NOW + timedelta(minutes=3)):
        learning.forget([customer()])
    assert members("hot") == []
