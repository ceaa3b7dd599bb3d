"""Static lists: which lines are taken, who they are, who is a member, now and after merges."""

from datetime import timedelta

import pytest

from personalization.access.models import AuditEvent
from personalization.customers import services as people
from personalization.customers.models import Customer
from personalization.lib import clock
from personalization.ops.models import JobRun
from segments import errors, lists, selectors, services, upkeep
from segments.models import ListMember, Segment
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.world import go_live, members, process, story, take_in
from tests.segments.people import VIEWED, customer, shop

pytestmark = pytest.mark.django_db(transaction=True)


def upload(*lines: str, key: str = "vips", replace: bool = False) -> lists.Upload:
    with clock.frozen(NOW + timedelta(minutes=5)):
        return lists.upload_list(key=key, title="VIPs", lines=lines, actor="test", replace=replace)


def values(key: str = "vips") -> list[str]:
    rows = ListMember.objects.filter(segment__key=key)
    return list(rows.order_by("value").values_list("value", flat=True))


def test_upload__one_id_a_line__all_kinds_of_ids_are_members() -> None:
    shop()
    uuid = Customer.objects.get(pk=customer("u2")).uuid

    told = upload("u1\n", "a1\n", f"{uuid}\n")
    take_in()

    assert (told.added, told.resolved, told.unresolved, told.bad) == (3, 3, 0, 0)
    assert members("vips") == sorted([customer("u1"), customer("u2"), customer("a1", DEVICE)])
    row = Segment.objects.get(key="vips")
    assert (row.kind, row.title) == ("list", "VIPs")
    assert row.published is not None
    assert row.published.rule == {"kind": "list", "key": "vips"}
    assert AuditEvent.objects.filter(action="upload", object_id=str(row.pk)).exists()


def test_upload__csv_with_a_header__its_column_is_read() -> None:
    told = upload("\ufeffname,User_ID\n", '"Smith, J.",u1\n', "\n", 'x,"u""2"\n')

    assert (told.added, told.bad) == (2, 0)
    assert values() == ['u"2', "u1"]


def test_upload__bad_lines__are_told_by_number_and_the_rest_is_taken() -> None:
    told = upload(
        "name,user_id\n", "x,u1\n", "y\n", "z,\n", "q,null\n", f"q,{'x' * 300}\n", "q,a\0b\n"
    )

    assert values() == ["u1"]
    assert told.bad == 5
    assert [(one.path, one.problem.split(" ")[0]) for one in told.problems] == [
        ("line 3", "has"),
        ("line 4", "has"),
        ("line 5", "'null'"),
        ("line 6", "is"),
        ("line 7", "holds"),
    ]


@pytest.mark.parametrize("lines", [(), ("null\n",), ("\n", "  \n")])
def test_upload__nobody_named__is_refused(lines: tuple[str, ...]) -> None:
    with pytest.raises(errors.ListInvalid):
        upload(*lines)
    assert not Segment.objects.filter(kind="list").exists()


def test_upload__a_key_of_a_rule__is_refused() -> None:
    services.create_segment(key="viewers", values={}, rule=VIEWED, actor="test")

    with pytest.raises(errors.SegmentTaken):
        upload("u1", key="viewers")
    with pytest.raises(errors.RuleInvalid):
        upload("u1", key="lists")


def test_upload__again__adds_or_replaces_and_members_follow() -> None:
    shop()
    upload("u1")
    take_in()

    told = upload("u2", "u1")
    assert (told.added, told.known, told.removed) == (1, 1, 0)
    assert members("vips") == sorted([customer("u1"), customer("u2")])

    told = upload("a1", "u2", replace=True)
    assert (told.added, told.known, told.removed) == (1, 1, 1)
    assert members("vips") == sorted([customer("u2"), customer("a1", DEVICE)])
    assert {cause for _, cause, _ in story("vips")} <= {"publish", "list"}

    told = upload(replace=True)
    assert (told.removed, members("vips"), values()) == (2, [], [])


def test_list__named_by_another_rule__its_members_follow_too() -> None:
    shop()
    upload("u1")
    take_in()
    go_live("others", {"not": {"kind": "list", "key": "vips"}})

    upload("u2")

    assert members("others") == [customer("a1", DEVICE)]
    assert [use.what for use in selectors.dependents("vips")] == ["segment others"]
    with pytest.raises(errors.SegmentUsed):
        services.delete_segment(key="vips", actor="test")


def test_list__id_of_nobody_yet__is_found_once_somebody_goes_by_it() -> None:
    shop()
    told = upload("u9", "u1")
    take_in()
    assert (told.resolved, told.unresolved) == (1, 1)
    put("m9", who=(USER, "u9"), product_id="sku1", minute=6)
    process(7)
    assert members("vips") == [customer("u1")]

    with clock.frozen(NOW + timedelta(minutes=8)):
        assert upkeep.resolve_lists() == 1
        assert upkeep.resolve_lists() == 0

    assert members("vips") == sorted([customer("u1"), customer("u9")])


def test_list__members_merged_and_parted__the_line_follows() -> None:
    shop()
    upload("a1")
    take_in()
    device, user = customer("a1", DEVICE), customer("u2")

    done = people.merge(device, user, cause="staff", actor="test", now=NOW)
    process(6)
    assert members("vips") == [user]
    people.unmerge(done.pk, actor="test", now=NOW)
    process(7)

    assert members("vips") == [device]
    assert ListMember.objects.get().customer_id == device


def test_upload__large__a_job_looks_up_and_goes_on_where_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "INLINE", 2)
    monkeypatch.setattr(lists, "CHUNK", 2)
    shop()

    told = upload("u1", "x1", "u2", "x2", "a1")
    take_in()

    assert told.run is not None
    run = JobRun.objects.get(pk=told.run)
    assert (run.status, run.total, told.resolved) == ("pending", 5, 0)
    with clock.frozen(NOW + timedelta(minutes=6)):
        lists.work(run.slot)
        lists.work(run.slot)
    run.refresh_from_db()
    assert (run.status, run.done, run.result) == ("succeeded", 5, {"found": 3})
    assert len(members("vips")) == 3


def test_upload__large_and_the_wake_up_was_lost__beat_does_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lists, "INLINE", 0)
    shop()
    told = upload("u1")
    take_in()

    with clock.frozen(NOW + timedelta(minutes=6)):
        upkeep.resolve_lists()

    assert told.run is not None
    assert JobRun.objects.get(pk=told.run).status == "succeeded"
    assert members("vips") == [customer("u1")]


def test_upload__too_many_lines__is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MAX_LINES", 2)

    with pytest.raises(errors.ListInvalid):
        upload("u1", "u2", "u3")
