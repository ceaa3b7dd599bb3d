"""Two editors of one draft: nobody's work is overwritten unseen, whichever door they came by."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from personalization.lib import clock
from segments import errors, selectors, services
from segments.models import Segment, SegmentVersion
from tests.access.test_api import code, member
from tests.events.processor.log import NOW
from tests.segments.live.world import count
from tests.segments.people import server

pytestmark = pytest.mark.django_db(transaction=True)
DRAFT = "/api/segments/viewers/draft/"


@pytest.fixture(autouse=True)
def _segment() -> Iterator[None]:
    Segment.objects.all().delete()
    with clock.frozen(NOW):
        services.create_segment(key="viewers", values={}, rule=count(), actor="test")
        yield


def drafted() -> SegmentVersion:
    return SegmentVersion.objects.get(segment__key="viewers", status="draft")


def save(value: int, **more: Any) -> SegmentVersion:
    return services.save_draft(key="viewers", rule=count(value=value), actor="test", **more)


def test_save_draft__as_it_was_seen__written() -> None:
    save(2, expected=selectors.mark_of(drafted()))

    assert drafted().rule["value"] == 2


def test_save_draft__two_at_once_with_one_mark__one_is_refused() -> None:
    seen = selectors.mark_of(drafted())

    def write(value: int) -> str:
        try:
            save(value, expected=seen)
        except errors.DraftChanged:
            return "refused"
        finally:
            connection.close()
        return "written"

    with ThreadPoolExecutor(4) as pool:
        became = sorted(pool.map(write, range(2, 6)))

    assert became == ["refused", "refused", "refused", "written"]


@pytest.mark.parametrize("meanwhile", ["rule", "note", "dropped"])
def test_save_draft__changed_meanwhile__refused(meanwhile: str) -> None:
    seen = selectors.mark_of(drafted())
    if meanwhile == "dropped":
        services.stop_version(key="viewers", number=1, actor="other")
    else:
        save(1 if meanwhile == "note" else 9, note="theirs")

    with pytest.raises(errors.DraftChanged):
        save(2, expected=seen)


def test_api__put_with_a_mark__once_and_then_409() -> None:
    client = server("admin")
    seen = client.get("/api/segments/viewers/").json()["draft_mark"]

    def put(**more: Any) -> Any:
        body = {"rule": count(value=2), "expected": seen} | more
        return client.put(DRAFT, body, content_type="application/json")

    assert put().status_code == 200
    refused = put(rule=count(value=3))
    assert (refused.status_code, code(refused)) == (409, "draft_changed")
    assert drafted().rule["value"] == 2


def test_admin__draft_changed_meanwhile__said_above_what_was_typed() -> None:
    client: Client = member("editor")
    address = reverse("admin:segments_segment_edit", args=[drafted().segment_id])
    seen = client.get(address).context["adminform"].form.initial["seen"]
    save(9)
    typed = {"title": "Mine", "description": "", "rule": json.dumps(count(value=2)), "seen": seen}

    answer = client.post(address, typed)

    form = answer.context["adminform"].form
    assert "a colleague has changed the draft" in form.non_field_errors()[0]
    assert (form["title"].value(), form["seen"].value()) == ("Mine", seen)
    assert json.loads(form["rule"].value()) == count(value=2)
    assert (drafted().rule["value"], drafted().segment.title) == (9, "viewers")
