"""Audiences of campaigns in the back office: publication, rollback, pages, what names a segment."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from personalization.access.services import create_key
from personalization.content import errors, services
from personalization.content.engine import choice
from personalization.content.models import Campaign
from personalization.content.standing import hindrances, standing
from personalization.customers.models import Trait
from personalization.ops import serve as config
from personalization.ops.errors import ConfigInvalid
from personalization.ops.models import ConfigVersion
from personalization.ops.services import publish, rollback
from segments import serve
from segments import services as segments
from segments.errors import SegmentUsed
from segments.models import Segment
from tests.content.test_content import _campaign_form
from tests.segments.live.world import count, go_live

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FRESH: Mapping[str, Any] = {"kind": "segment", "key": "fresh"}
TIER: Mapping[str, Any] = {"kind": "profile", "key": "tier", "op": "eq", "value": "gold"}
ADD = "/admin/content/campaign/add/"


@pytest.fixture
def hero(db: None) -> int:
    """Return the row of a placement, in a shop with a segment in force and one that is a draft."""
    go_live("fresh", count(days=1))
    segments.create_segment(key="later", values={}, rule=count(days=2), actor="t")
    return services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t").pk


def draft(key: str = "spring", **values: Any) -> Campaign:
    given = {"placement": "home.hero", "title": key.title(), "audience": dict(FRESH), **values}
    row = services.create_campaign(key=key, values=given, actor="t")
    services.upsert_block(campaign=key, key=f"{key}-b", content={"heading": key}, actor="t")
    return row


def running(key: str = "spring", **values: Any) -> Campaign:
    draft(key, **values)
    return services.publish_campaign(key=key, actor="t")


def live() -> tuple[choice.LiveCampaign, ...]:
    found: tuple[choice.LiveCampaign, ...] = config.reload().parts["content"]["home.hero"].campaigns
    return found


# --- Which shows ---


def _placement(*rows: tuple[str, Any]) -> choice.LivePlacement:
    campaigns = [
        {
            "key": key,
            "priority": 0,
            "starts_at_s": None,
            "ends_at_s": None,
            "audience": rule,
            "block": {"key": f"{key}-b", "content": {}},
        }
        for key, rule in rows
    ]
    row = {
        "key": "home.hero", "kind": "content", "strategy": "", "count": 12,
        "default_content": {}, "active": True, "campaigns": campaigns,
    }  # fmt: skip
    return choice.parse({"placements": [row]}, serve.audience)["home.hero"]


def test_winner__audiences__asked_in_order_until_one_admits() -> None:
    placement = _placement(("a", FRESH), ("b", TIER), ("c", FRESH), ("d", None))
    asked: list[Any] = []

    def gold(audience: serve.Audience) -> bool:
        asked.append(audience.rule)
        return audience.rule == TIER

    won = choice.winner(placement, 1.0, gold)

    assert won is not None
    assert (won.key, asked) == ("b", [FRESH, TIER])
    assert [one.lost for one in choice.candidates(placement, 1.0, "b")] == [
        "audience", "", "lower_priority", "lower_priority",
    ]  # fmt: skip


def test_winner__for_everybody__nobody_is_asked() -> None:
    def refuse(_audience: serve.Audience) -> bool:
        raise AssertionError

    won = choice.winner(_placement(("a", None), ("b", FRESH)), 1.0, refuse)

    assert won is not None
    assert won.key == "a"


def test_parse__version_of_before_audiences__for_everybody() -> None:
    row = orjson.loads(orjson.dumps({"key": "a", "priority": 0, "block": {"key": "b"}}))
    row |= {"starts_at_s": None, "ends_at_s": None, "block": {"key": "b", "content": {}}}
    placement = {
        "key": "p", "kind": "content", "strategy": "", "count": 1, "default_content": {},
        "active": True, "campaigns": [row],
    }  # fmt: skip

    found = choice.parse({"placements": [placement]}, serve.audience)

    assert found["p"].campaigns[0].audience is None


# --- Publication ---


@pytest.mark.usefixtures("hero")
def test_publish__audience__parsed_once_and_served() -> None:
    running()

    (one,) = live()
    assert one.audience is not None
    assert one.audience.names == {"fresh"}
    services.update_campaign(key="spring", values={"audience": {}}, actor="t")
    assert [one.audience for one in live()] == [None]
    assert Campaign.objects.get().audience is None


@pytest.mark.usefixtures("hero")
@pytest.mark.parametrize(
    ("rule", "path", "words"),
    [
        ({"and": [FRESH, count()]}, "audience.and[1].kind", "make a segment of this condition"),
        ({"kind": "segment", "key": "nope"}, "audience.key", "nope"),
        ({"not": {"kind": "segment", "key": "later"}}, "audience.not.key", "publish it first"),
        ({"kind": "profile", "key": "mail", "op": "exists"}, "audience.key", "is personal"),
        ({"and": [{"or": []}]}, "audience.and[0].or", "empty group"),
        ([1], "audience", "is a list"),
        ({"kind": "bucket", "salt": "\0", "from": 0, "to": 1}, "audience.salt", "send a text"),
        ({**TIER, "key": "orders", "value": 10**400}, "audience.value", "19 digits or more"),
    ],
)
def test_create__audience_with_a_fault__path_and_fix(rule: Any, path: str, words: str) -> None:
    Trait.objects.create(key="mail", title="Mail", type=Trait.Type.STRING, personal=True)
    publish(actor="t")

    with pytest.raises(errors.ContentInvalid) as caught:
        draft(audience=rule)

    (fault,) = caught.value.details
    assert fault.path == path
    assert words in fault.problem


@pytest.mark.usefixtures("hero")
def test_publish__draft_that_cannot_be_decided__refused_with_every_fault() -> None:
    draft()
    # as it came into the table in another time, by other rules
    Campaign.objects.update(audience={"or": [{"kind": "segment", "key": "later"}, count()]})

    with pytest.raises(ConfigInvalid) as caught:
        services.publish_campaign(key="spring", actor="t")

    assert [fault.path for fault in caught.value.details] == [
        "content.placements[0].campaigns[0].audience.or[0].key",
        "content.placements[0].campaigns[0].audience.or[1].kind",
    ]
    assert Campaign.objects.get().status == "draft"


@pytest.mark.usefixtures("hero")
def test_publish__trait_becomes_personal__refused_while_an_audience_reads_it() -> None:
    trait = Trait.objects.create(key="tier", title="Tier", type="string", personal=False)
    publish(actor="t")
    running(audience=dict(TIER))
    trait.personal = True
    trait.save()

    with pytest.raises(ConfigInvalid) as caught:
        publish(actor="t")

    assert caught.value.details[0].path == "content.placements[0].campaigns[0].audience.key"


@pytest.mark.usefixtures("hero")
def test_rollback__audience_of_then__back_in_table_and_answer() -> None:
    running()
    version = config.reload().version
    services.update_campaign(key="spring", values={"audience": None}, actor="t")
    assert live()[0].audience is None

    rollback(version=version, actor="t")

    assert Campaign.objects.get().audience == FRESH
    assert live()[0].audience is not None


@pytest.mark.usefixtures("hero")
def test_rollback__segment_deleted_since__refused_with_the_path() -> None:
    running()
    version = ConfigVersion.objects.latest("version").version
    services.update_campaign(key="spring", values={"audience": None}, actor="t")
    segments.delete_segment(key="fresh", actor="t")

    with pytest.raises(ConfigInvalid) as caught:
        rollback(version=version, actor="t")

    assert caught.value.details[0].path == "content.placements[0].campaigns[0].audience.key"
    assert Campaign.objects.get().audience is None


# --- What names a segment ---


@pytest.mark.usefixtures("hero")
def test_delete_segment__campaigns_name_it__listed_and_kept() -> None:
    running()
    draft("autumn", audience={"not": {"or": [dict(FRESH), dict(FRESH)]}})
    draft("winter", audience=None)

    with pytest.raises(SegmentUsed) as caught:
        segments.delete_segment(key="fresh", actor="t")

    told = [(one.path, one.problem) for one in caught.value.details]
    assert told == [
        ("campaigns.autumn", "campaign Autumn"),
        ("campaigns.spring", "campaign Spring"),
    ]
    services.end_campaign(key="spring", actor="t")
    services.end_campaign(key="autumn", actor="t")
    segments.delete_segment(key="fresh", actor="t")


def test_segment_page__campaign_names_it__linked(hero: int, admin_client: Any) -> None:
    row = running()
    segment = go_live("other", count(days=3))
    services.update_campaign(
        key="spring", values={"audience": {"kind": "segment", "key": "other"}}, actor="t"
    )

    page = admin_client.get(f"/admin/segments/segment/{segment.pk}/delete/").content.decode()

    link = f'<a href="/admin/content/campaign/{row.pk}/change/">campaign Spring</a>'
    assert "It cannot be deleted yet" in page
    assert link in page


# --- Pages and API ---


@pytest.mark.usefixtures("hero")
def test_standing__audiences_in_a_placement__who_hides_whom() -> None:
    below, above = running("below", audience=None), running("above", priority=5)

    assert standing(above, NOW).word == "shows to its audience"
    assert standing(below, NOW).word == "shows now"
    assert "Before it, to their audiences: “Above” (priority 5)." in standing(below, NOW).sentence

    running("top", audience=None, priority=9)
    assert standing(above, NOW).word == "hidden by Top"


@pytest.mark.usefixtures("hero")
def test_hindrances__audience_that_cannot_be_decided__says_which_condition() -> None:
    row = draft()
    assert hindrances(row) == []

    row.audience = {"and": [FRESH, {"kind": "segment", "key": "later"}]}

    (told,) = hindrances(row)
    assert told.startswith(
        "Its audience: Condition 2, key: segment 'later' has no version in force"
    )


def test_admin__audience__built_kept_and_told(hero: int, admin_client: Any) -> None:
    form = _campaign_form(hero, heading="S")
    page = admin_client.get(ADD).content.decode()
    assert 'data-kinds="segment profile context bucket"' in page
    assert 'data-catalogue-url="/api/segments/catalogue/?for=audience"' in page

    admin_client.post(ADD, form | {"audience": orjson.dumps(FRESH).decode(), "_publish": "x"})

    row = Campaign.objects.get()
    assert (row.audience, row.status) == (FRESH, "published")
    listed = admin_client.get("/admin/content/campaign/").content.decode()
    assert "Customers who are in the segment “fresh”." in listed
    assert "shows to its audience" in listed


@pytest.mark.parametrize("empty", ["", "{}", '{"and": []}'])
def test_admin__no_condition__for_everybody(hero: int, admin_client: Any, empty: str) -> None:
    admin_client.post(ADD, _campaign_form(hero, heading="S") | {"audience": empty})

    assert Campaign.objects.get().audience is None
    assert "Everybody." in admin_client.get("/admin/content/campaign/").content.decode()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"and": [FRESH, count()]}, "Condition 2, kind: &#x27;count&#x27; cannot stand here"),
        ({"kind": "segment", "key": "later"}, "has no version in force; publish it first"),
        ({**TIER, "key": "orders", "value": "two"}, "write a number"),
        ({**TIER, "key": "orders", "value": 10**19}, "write a smaller number"),
    ],
)
def test_admin__audience_with_a_fault__told_and_nothing_saved(
    hero: int, admin_client: Any, rule: Any, words: str
) -> None:
    form = _campaign_form(hero, heading="S") | {"audience": json.dumps(rule)}

    page = admin_client.post(ADD, form).content.decode()

    assert words in page
    assert not Campaign.objects.exists()


def test_admin__who_may_only_look__reads_the_sentence(hero: int, client: Any) -> None:
    row = running()
    viewer = User.objects.create_user("vi", is_staff=True)
    viewer.groups.set(Group.objects.filter(name="viewer"))
    client.force_login(viewer)

    page = client.get(f"/admin/content/campaign/{row.pk}/change/").content.decode()

    assert "Customers who are in the segment “fresh”." in page
    assert "rule-builder" not in page


def test_admin__list_of_many__costs_the_queries_of_one(hero: int, admin_client: Any) -> None:
    def queries() -> int:
        # the first reads the configuration that was published since, too
        admin_client.get("/admin/content/campaign/")
        with CaptureQueriesContext(connection) as asked:
            admin_client.get("/admin/content/campaign/")
        return len(asked)

    running()
    alone = queries()
    for number in range(8):
        running(f"c{number}", priority=number)

    assert queries() == alone


def test_api__audience__taken_shown_and_refused_with_its_path(hero: int, client: Any) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    headers = {"Authorization": f"Bearer {key}"}

    def send(verb: str, path: str, body: Any) -> Any:
        call = getattr(client, verb)
        return call(f"/api/campaigns/{path}", body, "application/json", headers=headers)

    made = send("post", "", {"key": "spring", "placement": "home.hero", "audience": FRESH})
    assert (made.status_code, made.json()["audience"]) == (201, FRESH)
    bad = send("patch", "spring/", {"audience": {"and": [count(), FRESH]}})
    assert bad.status_code == 422
    assert bad.json()["error"]["details"][0]["path"] == "audience.and[0].kind"
    assert send("patch", "spring/", {"audience": None}).json()["audience"] is None
    assert send("patch", "spring/", {"priority": 1}).json()["audience"] is None

    offered = client.get("/api/segments/catalogue/?for=audience", headers=headers).json()
    assert [one["kind"] for one in offered["kinds"]] == ["segment", "profile", "context", "bucket"]
    assert [one["key"] for one in offered["segments"]] == ["fresh"]


@pytest.mark.parametrize("levels", [65, 5_000])
def test_api__audience_without_end__refused_and_nothing_saved(
    hero: int, client: Any, levels: int
) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    rule = '{"not":' * levels + "1" + "}" * levels
    body = f'{{"key":"spring","placement":"home.hero","audience":{rule}}}'

    headers = {"Authorization": f"Bearer {key}"}
    answer = client.post("/api/campaigns/", body, "application/json", headers=headers)

    assert answer.status_code == 400
    assert "nested too deeply" in answer.content.decode()
    assert not Campaign.objects.exists()


# --- Audiences of another time ---

UNREADABLE: list[Any] = [
    {"kind": "nope"},
    {"kind": "segment"},
    {"kind": "profile", "key": "orders", "op": "nope", "value": 1},
    {"kind": "bucket", "salt": 1, "from": "a", "to": None},
    {"and": None},
    {"not": 1},
    {},
    [],
    "fresh",
]


@pytest.mark.parametrize("status", [Campaign.Status.DRAFT, Campaign.Status.PUBLISHED])
@pytest.mark.parametrize("rule", UNREADABLE)
def test_pages__audience_in_the_table_that_nobody_can_read__shown_and_mended(
    hero: int, admin_client: Any, rule: Any, status: str
) -> None:
    row, segment = draft(), Segment.objects.get(key="fresh")
    Campaign.objects.update(audience=rule, status=status)

    for address in (
        "/admin/content/campaign/",
        f"/admin/content/campaign/{row.pk}/change/",
        f"/admin/segments/segment/{segment.pk}/change/",
        f"/admin/segments/segment/{segment.pk}/delete/",
        "/api/campaigns/spring/",
    ):
        assert admin_client.get(address).status_code == 200, address
    services.update_campaign(key="spring", values={"audience": dict(FRESH)}, actor="t")


def _published_with(rule: Any) -> None:
    """Append the newest version anew, the audience of its one campaign otherwise."""
    newest = ConfigVersion.objects.latest("version")
    told = orjson.loads(newest.body)
    told["content"]["placements"][0]["campaigns"][0]["audience"] = rule
    ConfigVersion.objects.create(
        version=newest.version + 1,
        sha256="of another code",
        body=orjson.dumps(told).decode(),
        actor="t",
        created_at=NOW,
    )


@pytest.mark.usefixtures("hero")
@pytest.mark.parametrize("rule", [one for one in UNREADABLE if "bucket" not in str(one)])
def test_version__audience_that_nobody_can_read__old_one_serves_and_the_alarm_rings(
    rule: Any,
) -> None:
    running()
    config.watch()
    served = config.current().version

    _published_with(rule)
    config.watch()

    assert config.current().version == served
    is_ready, told = config.readiness()
    assert is_ready
    assert told == f"version {served + 1} cannot be built (content); version {served} serves"
    with pytest.raises(ConfigInvalid) as caught:
        rollback(version=served + 1, actor="t")
    assert caught.value.details[0].path.startswith("content.placements[0].campaigns[0].audience")
