"""Every admin page that writes leaves a trail and publishes; what is refused changes nothing."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client

from personalization.access.audit import audit
from personalization.access.models import AuditEvent
from personalization.content.models import Placement
from personalization.content.services import create_campaign, upsert_block, upsert_placement
from personalization.events.models import EventSchema
from personalization.ops import serve as config
from personalization.ops.models import ConfigVersion
from recommender.models import Strategy
from recommender.strategies import save_strategy

pytestmark = pytest.mark.django_db
ADD = "/admin/events/eventschema/add/"
# Sets of rows that a strategy's page has.
ROWS = ("sources", "boosts", "quotas")
FORM = {"name": "Level Reached", "title": "A level", "fact": "", "properties": "{}"}


def staff(role: str = "admin") -> Client:
    user = User.objects.create_user("ann", password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def page_of(row: EventSchema, page: str = "change") -> str:
    return f"/admin/events/eventschema/{row.pk}/{page}/"


def trail(kind: str = "events.eventschema") -> list[tuple[str, str, Any, Any]]:
    rows = AuditEvent.objects.filter(object_type=kind).order_by("id")
    return [(row.actor, row.action, row.before, row.after) for row in rows]


@pytest.fixture
def kind(db: None) -> EventSchema:
    """An event type that staff described."""
    return EventSchema.objects.create(name="Level Reached", title="A level")


def test_add__row__told_and_published() -> None:
    assert staff().post(ADD, FORM).status_code == 302

    [(actor, action, before, after)] = trail()
    assert (actor, action, before) == ("ann", "create", None)
    assert after["name"] == "Level Reached"
    assert ConfigVersion.objects.get().note == "create event type Level Reached"
    assert config.reload().version == 1


def test_change__row__trail_holds_both_states(kind: EventSchema) -> None:
    staff().post(page_of(kind), FORM | {"title": "A new level"})

    [(_actor, action, before, after)] = trail()
    assert action == "update"
    assert (before["title"], after["title"]) == ("A level", "A new level")


def test_change__nothing_changed__leaves_no_trail(kind: EventSchema) -> None:
    assert staff().post(page_of(kind), FORM).status_code == 302

    assert trail() == []


@pytest.mark.parametrize(
    ("page", "label", "form"),
    [
        (
            "content/placement",
            "content.placement",
            {"key": "home.side", "title": "Side", "kind": "content", "count": 3, "active": "on"}
            | {"default_content": "{}"},
        ),
        (
            "recommender/strategy",
            "recommender.strategy",
            {
                "key": "mine",
                "title": "Mine",
                "use": "home",
                "active": "on",
                "exclude_bought_days": 3,
            }
            | {f"{rows}-{what}_FORMS": 0 for rows in ROWS for what in ("TOTAL", "INITIAL")}
            | {"sources-TOTAL_FORMS": 1, "sources-0-algorithm": "popularity"},
        ),
    ],
)
def test_save__through_the_service__told_once_and_published(
    page: str, label: str, form: dict[str, Any]
) -> None:
    client = staff()
    assert client.post(f"/admin/{page}/add/", form).status_code == 302
    [(_, first, _, made)] = trail(label)
    row = apps.get_model(label).objects.get(key=form["key"])

    changed = client.post(f"/admin/{page}/{row.pk}/change/", form | {"title": "New"})

    assert (changed.status_code, first, made["title"]) == (302, "create", form["title"])
    assert [(action, after["title"]) for _, action, _, after in trail(label)] == [
        ("create", form["title"]),
        ("update", "New"),
    ]
    assert ConfigVersion.objects.exists()


def test_change__form_with_faults__leaves_no_trail(kind: EventSchema) -> None:
    assert staff().post(page_of(kind), FORM | {"properties": "{"}).status_code == 200

    assert trail() == []
    assert not ConfigVersion.objects.exists()


def test_delete__row__trail_keeps_what_it_was(kind: EventSchema) -> None:
    staff().post(page_of(kind, "delete"), {"post": "yes"})

    [(_actor, action, before, after)] = trail()
    assert (action, after) == ("delete", None)
    assert before["name"] == "Level Reached"
    assert AuditEvent.objects.get(action="delete").object_id == str(kind.pk)
    assert not EventSchema.objects.filter(pk=kind.pk).exists()


def test_delete_selected__rows__each_leaves_its_trail() -> None:
    for key in ("home.hero", "home.footer"):
        upsert_placement(key=key, values={"kind": "content"}, actor="test")
    chosen = list(Placement.objects.values_list("pk", flat=True))
    form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}

    staff().post("/admin/content/placement/", form)

    told = [before["key"] for _, action, before, _ in trail("content.placement") if before]
    assert sorted(told) == ["home.footer", "home.hero"]
    assert not Placement.objects.exists()
    assert ConfigVersion.objects.first().note == "delete 2 placements"  # type: ignore[union-attr]
    assert ConfigVersion.objects.filter(actor="ann").count() == 1


def test_delete_selected__first_row_alone_could_not_be_served__all_of_them_can() -> None:
    """Two strategies of which one falls back to the other: only together can they go."""
    for key, fallback in (("base", ""), ("top", "base")):
        values = {"algorithm": "popularity", "fallback": fallback, "title": key}
        save_strategy(key=key, values=values, actor="test")
    chosen = list(Strategy.objects.filter(key__in=["base", "top"]).values_list("pk", flat=True))
    form = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}

    staff().post("/admin/recommender/strategy/", form)

    assert not Strategy.objects.filter(pk__in=chosen).exists()


def test_delete_selected__could_not_be_served__message_and_nothing_is_deleted() -> None:
    for key, fallback in (("base", ""), ("top", "base")):
        values = {"algorithm": "popularity", "fallback": fallback, "title": key}
        save_strategy(key=key, values=values, actor="test")
    row = Strategy.objects.get(key="base")
    form = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}

    response = staff().post("/admin/recommender/strategy/", form)

    words = [str(message) for message in get_messages(response.wsgi_request)]
    assert response.status_code == 302
    assert len(words) == 1
    assert words[0].startswith("Not saved: ")
    assert Strategy.objects.filter(pk=row.pk).exists()
    assert trail("recommender.strategy")[-1][1] != "delete"


@pytest.mark.parametrize("page", ["change", "delete"])
def test_write__viewer__is_refused(kind: EventSchema, page: str) -> None:
    assert staff("viewer").post(page_of(kind, page), FORM).status_code == 403

    assert trail() == []


def test_action__one_row_refused__the_others_are_done_and_both_are_told() -> None:
    upsert_placement(key="home.hero", values={"kind": "content"}, actor="test")
    rows = [
        create_campaign(key=key, values={"placement": "home.hero"}, actor="test")
        for key in ("spring", "bare")
    ]
    upsert_block(campaign="spring", key="hero", content={"heading": "Spring"}, actor="test")
    form = {"action": "publish_selected", "_selected_action": [row.pk for row in rows]}

    response = staff().post("/admin/content/campaign/", form)

    words = sorted(str(message) for message in get_messages(response.wsgi_request))
    assert words[0] == "1 published."
    assert words[1].startswith("bare: ")


def test_trail__by_kind__those_lines_alone() -> None:
    audit(actor="ann", action="create", obj=Placement(pk=1, key="home.hero"), after={"key": "x"})
    audit(actor="ann", action="create", obj=EventSchema(pk=1, name="Signed up"), after={})

    page = staff().get("/admin/access/auditevent/", {"object_type": "content.placement"})

    text = page.content.decode()
    assert "home.hero" in text
    assert "Signed up" not in text
    assert ">Event type</a>" in text
