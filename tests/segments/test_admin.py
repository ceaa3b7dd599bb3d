"""Admin pages of segments: what each role sees and may do, figures, versions, few queries."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from personalization.access.models import AuditEvent
from personalization.lib import clock
from personalization.ops.models import JobRun
from segments import overlaps, services, upkeep
from segments.live.backfilling import RUN_KIND
from segments.models import Segment, SegmentVersion, Size
from tests.access.test_api import member
from tests.events.processor.log import NOW
from tests.segments.live.world import count, go_live, members, take_in
from tests.segments.people import VIEWED, viewers

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/segments/segment/"
ONCE: Any = count(value=1)
AT = NOW + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    Segment.objects.filter(built_in=True).delete()
    with clock.frozen(AT):
        yield


@pytest.fixture
def publisher() -> Client:
    return member("publisher")


def page(client: Client, key: str, name: str = "change", query: str = "") -> str:
    row = Segment.objects.get(key=key)
    answer = client.get(reverse(f"admin:segments_segment_{name}", args=[row.pk]) + query)
    assert answer.status_code == 200
    return str(answer.content.decode())


def post(client: Client, key: str, name: str, *more: Any, **fields: Any) -> Any:
    row = Segment.objects.get(key=key)
    return client.post(reverse(f"admin:segments_segment_{name}", args=[row.pk, *more]), fields)


def draft(client: Client, key: str, rule: Any, **fields: Any) -> Any:
    row = Segment.objects.get(key=key)
    address = reverse("admin:segments_segment_edit", args=[row.pk])
    seen = client.get(address).context["adminform"].form.initial["seen"]
    sent = {"title": row.title, "description": "", "rule": json.dumps(rule), "seen": seen}
    return client.post(address, sent | fields)


def version(key: str, number: int) -> SegmentVersion:
    return SegmentVersion.objects.get(segment__key=key, number=number)


def say(answer: Any) -> str:
    return " ".join(str(one) for one in answer.context["messages"])


# --- The list ---


def test_list__nothing_there__guides_to_the_first_segment(publisher: Client) -> None:
    answer = publisher.get(LIST).content.decode()

    assert "Create a segment" in answer
    assert "Upload a list" in answer


def test_list__in_force_tried_and_waiting__size_trend_and_standing(publisher: Client) -> None:
    viewers()
    row = Segment.objects.get(key="viewers")
    for day, size in ((3, 1), (2, 5)):
        Size.objects.create(segment=row, at=AT - timedelta(days=day), members=size)
    services.save_draft(key="viewers", rule=ONCE, actor="test")
    services.start_shadow(key="viewers", actor="test")
    services.save_draft(key="viewers", rule=count(value=3), actor="test")

    text = publisher.get(LIST).content.decode()

    assert '<td class="field-members">2</td>' in text
    assert "1 members on 2026-02-26, 5 on 2026-02-27" in text
    for words in (
        "in force: v1",
        "shadow: trying v2, 0 %",
        "draft waiting: v3",
        "as of 2026-03-01",
    ):
        assert words in text


def test_list__more_segments__no_more_queries(publisher: Client) -> None:
    def asked() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert publisher.get(LIST).status_code == 200
        return len(queries)

    for number in range(2):
        go_live(f"few-{number}", ONCE)
    few = asked()
    for number in range(6):
        go_live(f"more-{number}", ONCE)

    assert asked() <= few


@pytest.mark.parametrize(
    ("choice", "found"),
    [("live", ["a"]), ("shadow", ["b"]), ("draft", ["c"]), ("x", ["a", "b", "c"])],
)
def test_list__filtered_by_standing__those_alone(
    publisher: Client, choice: str, found: list[str]
) -> None:
    go_live("a", ONCE)
    for key in "bc":
        services.create_segment(key=key, values={}, rule=ONCE, actor="test")
    services.start_shadow(key="b", actor="test")

    rows = publisher.get(LIST, {"standing": choice}).context["cl"].result_list

    assert [row.key for row in rows] == found


# --- Making and editing ---


def test_add__valid_rule__a_draft_through_the_service(publisher: Client) -> None:
    sent = {"title": "Viewers", "key": "viewers", "description": "", "rule": json.dumps(VIEWED)}

    answer = publisher.post(f"{LIST}add/", sent, follow=True)

    assert "has its first draft" in answer.content.decode()
    assert version("viewers", 1).status == "draft"
    assert AuditEvent.objects.filter(action="create").count() == 2


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("key", "preview", "address of the API"),
        ("key", "Viewers", "small letters"),
        ("rule", '{"kind": "count"}', "event: "),
        ("rule", '{"kind": "segment", "key": "viewers"}', "key: "),
        ("rule", "{", "valid JSON"),
    ],
)
def test_add__faulty__told_at_the_field_and_nothing_written(
    publisher: Client, field: str, value: str, told: str
) -> None:
    sent = {"title": "V", "key": "viewers", "description": "", "rule": json.dumps(VIEWED)}

    answer = publisher.post(f"{LIST}add/", sent | {field: value})

    assert told in str(answer.context["adminform"].form.errors[field])
    assert not Segment.objects.exists()


def test_edit__of_one_in_force__a_draft_beside_it(publisher: Client) -> None:
    go_live("viewers", VIEWED)

    draft(publisher, "viewers", ONCE, title="Those who view", note="wider")

    assert version("viewers", 1).status == "published"
    assert (version("viewers", 2).status, version("viewers", 2).note) == ("draft", "wider")
    assert Segment.objects.get().title == "Those who view"


def test_edit__rule_as_it_was__no_draft(publisher: Client) -> None:
    go_live("viewers", VIEWED)

    draft(publisher, "viewers", VIEWED, title="Other")

    assert SegmentVersion.objects.count() == 1


def test_edit__a_colleagues_draft_came_between__is_not_overwritten(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    services.save_draft(key="viewers", rule=count(value=9), actor="other")

    answer = draft(publisher, "viewers", ONCE, seen="none")

    assert "colleague" in answer.content.decode()
    assert version("viewers", 2).rule["value"] == 9


def test_edit__from_an_old_version__begins_with_its_rule(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    text = page(publisher, "viewers", "edit", "?from=1")

    assert "&quot;value&quot;: 2" in text


# --- The page of one ---


def test_page__in_force__members_changes_versions_and_uses(publisher: Client) -> None:
    viewers()
    go_live("fans", {"kind": "segment", "key": "viewers"})

    text = page(publisher, "viewers")

    assert "66.7 %" in text
    assert "segment fans" in text
    assert "/api/segments/viewers/export/?format=csv" in text
    assert ">u1</a>" in text
    assert "in force" in text
    assert "segment viewers" in page(publisher, "fans")


def test_page__measured__chart_with_entries_and_exits(publisher: Client) -> None:
    viewers()
    for minutes in (0, 15, 30):
        upkeep.measure(now=AT + timedelta(minutes=minutes))
    with clock.frozen(AT + timedelta(minutes=40)):
        text = page(publisher, "viewers")

    assert "2 members on 2026-03-01, 2 on 2026-03-01; 2 entered and 0 left" in text


def test_page__draft_waits__who_would_enter_and_stay(publisher: Client) -> None:
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    found = publisher.get(f"{LIST}{Segment.objects.get().pk}/change/").context["page"]["diff"]

    assert (found.entering, found.leaving, found.staying) == (1, 0, 2)
    assert [one.label for one in found.samples.entering] == ["u2"]


def test_page__draft_names_what_is_not_in_force__says_so(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    services.create_segment(key="new", values={}, rule=ONCE, actor="test")
    services.save_draft(key="viewers", rule={"kind": "segment", "key": "new"}, actor="test")

    assert "not in force" in page(publisher, "viewers")


def test_compare__any_two_versions__counts_and_choices(publisher: Client) -> None:
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    assert "Version 2 against version 1" in page(publisher, "viewers", "diff", "?from=2&to=1")
    assert "Version 2, the first" in page(publisher, "viewers", "diff", "?from=&to=2")
    assert "two different" in page(publisher, "viewers", "diff", "?from=1&to=1")


def test_page__unknown_or_no_number__is_not_found(publisher: Client) -> None:
    for path in ("999/change/", "x/change/", "999/edit/", "999/diff/", "999/act/publish/"):
        method = publisher.post if "act" in path else publisher.get
        assert method(LIST + path).status_code == 404, path


# --- Versions ---


def test_versions__publish_edit_publish_roll_back__the_pointer_moves(publisher: Client) -> None:
    viewers()
    draft(publisher, "viewers", ONCE)
    post(publisher, "viewers", "act", "shadow")
    take_in()
    post(publisher, "viewers", "act", "publish")
    assert len(members("viewers")) == 3

    answer = post(publisher, "viewers", "act", "roll-back")

    assert answer.status_code == 302
    assert version("viewers", 1).status == "published"
    assert len(members("viewers")) == 2


def test_versions__being_taken_in__progress_of_the_job_and_its_page(publisher: Client) -> None:
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")
    shadow = services.start_shadow(key="viewers", actor="test")
    slot = f"generation {shadow.generation}"
    JobRun.objects.create(
        kind=RUN_KIND, slot=slot, status="running", done=1, total=4, created_at=AT, started_at=AT
    )

    text = page(publisher, "viewers", "versions")

    assert 'value="25"' in text
    assert "/admin/ops/jobrun/?kind=segments.backfill" in text
    assert "data-live=" in page(publisher, "viewers")


def test_versions__published_and_no_job_yet__waits_for_the_worker_and_is_no_trial(
    publisher: Client,
) -> None:
    viewers()
    JobRun.objects.create(kind=RUN_KIND, slot="generation 0", status="succeeded", created_at=AT)
    services.save_draft(key="viewers", rule=ONCE, actor="test")
    post(publisher, "viewers", "act", "publish")

    text = page(publisher, "viewers", "versions")

    assert "Waiting for the worker" in text
    assert "succeeded" not in text
    assert "Do not publish it" in text
    assert "Stop the trial" not in text


def test_versions__taken_in_while_the_page_was_open__offers_the_new_numbers(
    publisher: Client,
) -> None:
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")
    post(publisher, "viewers", "act", "publish")
    assert "Show the new numbers" not in page(publisher, "viewers", "versions")

    take_in()

    assert "Show the new numbers" in page(publisher, "viewers", "versions")
    assert "Show the new numbers" not in page(publisher, "viewers")


def test_versions__refused_by_the_service__is_told(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    row = Segment.objects.get()

    answer = publisher.post(f"{LIST}{row.pk}/act/roll-back/", follow=True)

    assert "stands by" in say(answer)


def test_versions__dropped__is_gone(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    post(publisher, "viewers", "stop", 2)

    assert SegmentVersion.objects.count() == 1


# --- Roles ---


def test_roles__viewer__sees_and_can_do_nothing() -> None:
    client = member("viewer")
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    text = page(client, "viewers")

    assert '<form method="post" action="/admin/segments' not in text
    assert "export" not in text
    for name, more in (("edit", ()), ("delete", ())):
        assert (
            client.get(
                reverse(f"admin:segments_segment_{name}", args=[Segment.objects.get().pk, *more])
            ).status_code
            == 403
        )
    for name, last in (("act", "shadow"), ("act", "publish"), ("stop", 2)):
        assert post(client, "viewers", name, last).status_code == 403
    assert client.get(f"{LIST}upload/").status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403


def test_roles__editor__tries_and_drops_drafts_but_decides_nothing() -> None:
    client = member("editor")
    go_live("viewers", VIEWED)
    draft(client, "viewers", ONCE)

    assert post(client, "viewers", "act", "publish").status_code == 403
    assert post(client, "viewers", "delete", post="yes").status_code == 403
    assert post(client, "viewers", "act", "shadow").status_code == 302
    assert post(client, "viewers", "stop", 2).status_code == 403
    draft(client, "viewers", count(value=5))
    assert post(client, "viewers", "stop", 3).status_code == 302
    assert client.get(f"{LIST}upload/").status_code == 403


# --- Deleting ---


def test_delete__named_elsewhere__lists_it_and_refuses(publisher: Client) -> None:
    go_live("viewers", VIEWED)
    go_live("fans", {"kind": "segment", "key": "viewers"})

    text = page(publisher, "viewers", "delete")
    answer = post(publisher, "viewers", "delete", post="yes")

    assert "segment fans" in text
    assert "Delete the segment" not in text
    assert "segment fans" in answer.content.decode()
    assert Segment.objects.filter(key="viewers").exists()


def test_delete__named_by_nothing__goes_with_everything(publisher: Client) -> None:
    viewers()

    assert "Its 2 members leave it" in page(publisher, "viewers", "delete")
    post(publisher, "viewers", "delete", post="yes")

    assert not Segment.objects.exists()
    assert AuditEvent.objects.filter(action="delete").exists()


# --- Overlaps and lists ---


def test_overlaps__two_in_force__shares(publisher: Client) -> None:
    viewers()
    go_live("all", ONCE)

    text = publisher.get(f"{LIST}overlaps/").content.decode()

    assert "67 %" in text
    assert "100 %" in text


def test_overlaps__of_many_members__are_estimated(publisher: Client, monkeypatch: Any) -> None:
    viewers()
    monkeypatch.setattr(overlaps, "PAIRED", 1)

    text = publisher.get(f"{LIST}overlaps/").content.decode()

    assert "Estimated from a sample" in text


def test_upload__file_with_a_bad_line__members_and_the_line_are_told(publisher: Client) -> None:
    viewers()
    file = SimpleUploadedFile("press.csv", b"user_id\nu1\nnull\nnobody\n")

    answer = publisher.post(f"{LIST}upload/", {"key": "press", "title": "Press", "file": file})

    text = answer.content.decode()
    assert "Ids added: 2" in text
    assert "name a customer: 1; that wait for one: 1" in text
    assert "line 3" in text
    take_in()
    assert len(members("press")) == 1


def test_upload__typed_ids_for_a_rules_key__refused_at_the_form(publisher: Client) -> None:
    go_live("viewers", VIEWED)

    taken = publisher.post(f"{LIST}upload/", {"key": "viewers", "ids": "u1"})
    nothing = publisher.post(f"{LIST}upload/", {"key": "press", "ids": " "})

    assert "segment with a rule" in str(taken.context["form"].errors)
    assert "one of both" in str(nothing.context["form"].errors["file"])


def test_page__of_a_list__texts_are_edited_and_lines_uploaded(publisher: Client) -> None:
    publisher.post(f"{LIST}upload/", {"key": "press", "title": "Press", "ids": "u1\nu2"})
    row = Segment.objects.get()

    assert f"{LIST}upload/?key=press" in page(publisher, "press")
    publisher.post(f"{LIST}{row.pk}/edit/", {"title": "The press", "description": "x"})

    assert Segment.objects.get().title == "The press"
