"""Content: what a placement shows, its rules, and its back office."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from personalization.access.models import AuditEvent
from personalization.access.services import create_key
from personalization.content import errors, services
from personalization.content.engine import choice, faults
from personalization.content.models import Block, Campaign, Placement
from personalization.content.standing import hindrances, standing
from personalization.ops import serve as config
from personalization.ops.errors import ConfigInvalid
from recommender.models import Strategy
from segments import serve
from segments.engine.audience import Audience

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def nobody(_audience: Audience) -> bool:
    return False


def _live(
    key: str, priority: int = 0, starts: float | None = None, ends: float | None = None
) -> Any:
    return {
        "key": key,
        "priority": priority,
        "starts_at_s": starts,
        "ends_at_s": ends,
        "block": {"key": f"{key}-b", "content": {"heading": key}},
    }


def _placement(*campaigns: Any) -> choice.LivePlacement:
    row = {
        "key": "home.hero", "kind": "content", "strategy": "", "count": 12,
        "default_content": {"heading": "default"}, "active": True, "campaigns": list(campaigns),
    }  # fmt: skip
    return choice.parse({"placements": [row]}, serve.audience)["home.hero"]


def test_winner__two_live__higher_priority() -> None:
    won = choice.winner(_placement(_live("a", 1), _live("b", 2)), 100.0, nobody)
    assert won is not None
    assert won.key == "b"


def test_winner__tie__older_campaign() -> None:
    won = choice.winner(_placement(_live("a", 1), _live("b", 1)), 100.0, nobody)
    assert won is not None
    assert won.key == "a"


@pytest.mark.parametrize(("now_s", "key"), [(9.9, None), (10.0, "a"), (19.9, "a"), (20.0, None)])
def test_winner__dates__start_included_end_not(now_s: float, key: str | None) -> None:
    won = choice.winner(_placement(_live("a", starts=10.0, ends=20.0)), now_s, nobody)
    assert (won.key if won else None) == key


def test_candidates__losers__each_with_its_reason() -> None:
    placement = _placement(
        _live("a"), _live("b", 5, starts=200.0), _live("c", 1), _live("d", ends=1.0)
    )
    lost = {one.campaign: one.lost for one in choice.candidates(placement, 100.0, "c")}
    assert lost == {"b": "not_started", "c": "", "a": "lower_priority", "d": "over"}


@pytest.mark.parametrize(
    ("content", "paths"),
    [
        (
            {"heading": "Hi", "link": "/sale", "image_url": "https://x/y.png", "n": 1, "on": True},
            [],
        ),
        ({"link": "javascript:alert(1)"}, ["content.link"]),
        ({"image_url": "//evil.example/x"}, ["content.image_url"]),
        ({"link": "JaVaScRiPt:alert(1)", "text": ["x"]}, ["content.link", "content.text"]),
        ({"Bad Name": "x", "n": float("nan")}, ["content.Bad Name", "content.n"]),
        ({"text": "x" * 4001}, ["content.text"]),
        (
            {"text": "\ud800", "n": 2**63, "\ud800": 1},
            ["content.text", "content.n", "content.\\ud800"],
        ),
        ([1], ["content"]),
    ],
)
def test_content_faults__field_rules__named_with_path(content: Any, paths: list[str]) -> None:
    assert [problem.path for problem in faults.content_faults(content)] == paths


@pytest.fixture
def hero(db: None) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")


@pytest.mark.usefixtures("hero")
def test_campaign__life__shows_only_while_published() -> None:
    services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="spring", key="b", content={"heading": "S"}, actor="t")
    assert config.reload().parts["content"]["home.hero"].campaigns == ()
    services.publish_campaign(key="spring", actor="t")
    assert [c.key for c in config.reload().parts["content"]["home.hero"].campaigns] == ["spring"]
    services.end_campaign(key="spring", actor="t")
    assert config.reload().parts["content"]["home.hero"].campaigns == ()
    actions = AuditEvent.objects.filter(object_type="content.campaign").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["create", "publish", "end"]


@pytest.mark.usefixtures("hero")
def test_publish_campaign__without_a_block__refused_and_not_published() -> None:
    services.create_campaign(key="bare", values={"placement": "home.hero"}, actor="t")
    with pytest.raises(ConfigInvalid) as caught:
        services.publish_campaign(key="bare", actor="t")
    assert caught.value.details[0].path == "content.placements[0].campaigns[0].block"
    assert Campaign.objects.get(key="bare").status == "draft"


@pytest.mark.usefixtures("hero")
def test_create_campaign__many_faults__all_named() -> None:
    values = {"placement": "nope", "priority": "x", "starts_at": NOW, "ends_at": NOW, "colour": 1}
    with pytest.raises(errors.ContentInvalid) as caught:
        services.create_campaign(key="bad key", values=values, actor="t")
    paths = {problem.path for problem in caught.value.details}
    assert paths == {"key", "placement", "priority", "ends_at", "colour"}


@pytest.mark.usefixtures("hero")
def test_upsert_placement__same_again__no_version_and_no_audit() -> None:
    before = (AuditEvent.objects.count(), config.reload().version)
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    assert (AuditEvent.objects.count(), config.reload().version) == before


@pytest.mark.usefixtures("hero")
def test_delete__in_use__refused() -> None:
    services.create_campaign(key="c", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="c", key="b", content={}, actor="t")
    services.publish_campaign(key="c", actor="t")
    with pytest.raises(errors.StatusWrong):
        services.delete_placement(key="home.hero", actor="t")
    with pytest.raises(errors.StatusWrong):
        services.delete_campaign(key="c", actor="t")
    services.end_campaign(key="c", actor="t")
    services.delete_campaign(key="c", actor="t")
    services.delete_placement(key="home.hero", actor="t")


def test_api__whole_walk__through_the_door(db: None, client: Any) -> None:
    _, key = create_key(name="office", kind="secret", actor="t")
    headers = {"Authorization": f"Bearer {key}"}

    def post(path: str, body: Any) -> Any:
        return client.post(f"/api/{path}", body, "application/json", headers=headers)

    placement = {"key": "home.hero", "kind": "content", "default_content": {"heading": "Hi"}}
    assert post("placements/", placement).status_code == 201
    ends_at = (NOW + timedelta(days=900)).isoformat()
    campaign = {"key": "spring", "placement": "home.hero", "ends_at": ends_at}
    assert post("campaigns/", campaign).status_code == 201
    assert post("campaigns/", campaign).status_code == 409
    assert post("campaigns/spring/publish/", {}).status_code == 422
    block = {"key": "b", "campaign": "spring", "content": {"heading": "S"}}
    assert post("blocks/", block).status_code == 201
    published = post("campaigns/spring/publish/", {})
    assert (published.status_code, published.json()["status"]) == (200, "published")
    listed = client.get("/api/campaigns/", headers=headers).json()["results"]
    assert listed[0]["block"] == {"key": "b", "content": {"heading": "S"}}
    bad = post("blocks/", block | {"content": {"link": "javascript:x"}})
    assert bad.json()["error"]["details"][0]["path"] == "content.link"
    assert client.get("/api/campaigns/?foo=1", headers=headers).status_code == 400
    assert client.get("/api/campaigns/nope/", headers=headers).status_code == 404


def test_admin__campaign__saved_audited_published(db: None, admin_client: Any) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    placement = services.upsert_placement(key="home.hero", values={}, actor="t")
    form = {
        "key": "spring", "title": "Spring", "placement": placement.pk, "priority": "1",
        "block-TOTAL_FORMS": "1", "block-INITIAL_FORMS": "0",
        "block-0-key": "b", "block-0-heading": "S", "block-0-other": "theme: dark",
    }  # fmt: skip
    response = admin_client.post("/admin/content/campaign/add/", form)
    assert response.status_code == 302, response.content.decode()[:3000]
    row = Campaign.objects.get()
    data = {"action": "publish_selected", "_selected_action": [row.pk]}
    admin_client.post("/admin/content/campaign/", data)
    assert config.reload().parts["content"]["home.hero"].campaigns[0].block == "b"
    assert admin_client.get(f"/admin/content/campaign/{row.pk}/change/").status_code == 200
    assert row.block.content == {"heading": "S", "theme": "dark"}


def _campaign_form(placement: int, **fields: str) -> dict[str, Any]:
    management = {"block-TOTAL_FORMS": "1", "block-INITIAL_FORMS": "0"}
    named = {"key": "spring", "title": "Spring", "placement": placement, "priority": "1"}
    return named | management | {f"block-0-{name}": value for name, value in fields.items()}


@pytest.mark.parametrize("what", ["campaign", "block", "status"])
def test_admin__a_colleague_saved_meanwhile__refused_with_what_was_typed(
    db: None, admin_client: Any, what: str
) -> None:
    placement = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="spring", key="b", content={"heading": "S"}, actor="t")
    row = Campaign.objects.get()
    path = f"/admin/content/campaign/{row.pk}/change/"
    mark = admin_client.get(path).context["adminform"].form["seen"].value()
    theirs: dict[str, Callable[[], Any]] = {
        "campaign": lambda: services.update_campaign(
            key="spring", values={"title": "Theirs"}, actor="ann"
        ),
        "block": lambda: services.upsert_block(
            campaign="spring", key="b", content={"heading": "Theirs"}, actor="ann"
        ),
        "status": lambda: services.publish_campaign(key="spring", actor="ann"),
    }
    form = _campaign_form(placement.pk, heading="Ours", id=str(row.block.pk)) | {
        "block-INITIAL_FORMS": "1",
        "seen": mark,
    }
    theirs[what]()

    page = admin_client.post(path, form | {"title": "Ours"}).content.decode()

    assert "A colleague has saved this campaign meanwhile" in page
    assert 'value="Ours"' in page
    assert Campaign.objects.get().title != "Ours"
    assert Block.objects.get().content["heading"] != "Ours"
    form["seen"] = admin_client.get(path).context["adminform"].form["seen"].value()
    assert admin_client.post(path, form | {"title": "Ours"}).status_code == 302
    assert Block.objects.get().content["heading"] == "Ours"


def test_admin__block_without_a_key__named_after_its_campaign(db: None, admin_client: Any) -> None:
    placement = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")

    admin_client.post("/admin/content/campaign/add/", _campaign_form(placement.pk, heading="S"))

    assert Campaign.objects.get().block.key == "spring-block"


@pytest.mark.parametrize("key", ["", "bad key"])
def test_admin__campaign_without_a_key__told_there_and_not_at_its_block(
    db: None, admin_client: Any, key: str
) -> None:
    placement = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    form = _campaign_form(placement.pk, heading="S") | {"key": key}

    page = admin_client.post("/admin/content/campaign/add/", form)

    assert list(page.context["adminform"].form.errors) == ["key"]
    assert not page.context["inline_admin_formsets"][0].formset.total_error_count()
    assert not Campaign.objects.exists()


def test_admin__new_campaign__its_key_is_proposed_from_the_title(
    db: None, admin_client: Any
) -> None:
    placement = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    kept = services.create_campaign(key="c", values={"placement": placement.key}, actor="t")

    new = admin_client.get("/admin/content/campaign/add/").content.decode()
    old = admin_client.get(f"/admin/content/campaign/{kept.pk}/change/").content.decode()

    assert "&quot;dependency_ids&quot;: [&quot;#id_title&quot;]" in new
    assert "#id_title" not in old


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"link": "javascript:x"}, "Write an address that begins with https://"),
        ({"other": "Bad Name: x"}, "Bad Name: field names are like image_url."),
        ({"heading": "S", "other": "heading: T"}, "“heading” has a field of its own above"),
        ({"other": "no pair"}, "write a name, a colon and a value"),
    ],
)
def test_admin__block_with_a_fault__told_in_words(
    db: None, admin_client: Any, fields: dict[str, str], words: str
) -> None:
    placement = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")

    form = _campaign_form(placement.pk, **fields)
    page = admin_client.post("/admin/content/campaign/add/", form).content.decode()

    assert words in page
    assert not Campaign.objects.exists()


def test_admin__placement__strategy_chosen_from_a_list(db: None, admin_client: Any) -> None:
    page = admin_client.get("/admin/content/placement/add/").content.decode()
    known = Strategy.objects.order_by("key").first()
    assert known is not None
    assert f'<option value="{known.key}">{known.title}</option>' in page
    form = {"key": "home.top", "title": "Top", "kind": "recommendations", "count": "8"}

    refused = admin_client.post("/admin/content/placement/add/", form).content.decode()
    admin_client.post("/admin/content/placement/add/", form | {"strategy": known.key})

    assert "Choose the strategy that fills it." in refused
    assert Placement.objects.get(key="home.top").strategy == known.key


def test_admin__placement_of_content__its_fields_are_kept(db: None, admin_client: Any) -> None:
    form = {
        "key": "home.top", "title": "Top", "kind": "content", "count": "8", "heading": "Hello",
        "other": "theme: dark", "active": "on",
    }  # fmt: skip

    admin_client.post("/admin/content/placement/add/", form)

    row = Placement.objects.get(key="home.top")
    assert row.default_content == {"heading": "Hello", "theme": "dark"}
    page = admin_client.get(f"/admin/content/placement/{row.pk}/change/").content.decode()
    assert "theme: dark" in page


def _running(key: str, **values: Any) -> Campaign:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    services.create_campaign(key=key, values={"placement": "home.hero", **values}, actor="t")
    services.upsert_block(campaign=key, key=f"{key}-b", content={"heading": key}, actor="t")
    return services.publish_campaign(key=key, actor="t")


def test_standing__higher_priority_runs__says_which_hides_it(db: None) -> None:
    low, high = _running("low"), _running("high", title="The loud one", priority=5)

    assert standing(high, NOW).word == "shows now"
    assert standing(low, NOW).word == "hidden by The loud one"
    assert "“The loud one” (priority 5)" in standing(low, NOW).sentence


@pytest.mark.parametrize(
    ("starts", "ends", "word"), [(1, None, "from 2026-03-02"), (None, -1, "over"), (-1, 1, "shows")]
)
def test_standing__dates__told(db: None, starts: int | None, ends: int | None, word: str) -> None:
    def day(after: int | None) -> datetime | None:
        return None if after is None else NOW + timedelta(days=after)

    row = _running("one", starts_at=day(starts), ends_at=day(ends))

    assert standing(row, NOW).word.startswith(word)


def test_standing__draft_and_ended__told(db: None) -> None:
    _running("high", title="The loud one", priority=5)
    values = {"placement": "home.hero"}
    draft = services.create_campaign(key="draft", values=values, actor="t")

    assert standing(draft, NOW).word == "draft"
    assert "“The loud one” (priority 5) would be shown before it" in standing(draft, NOW).sentence
    assert standing(services.end_campaign(key="draft", actor="t"), NOW).word == "ended"


def _draft(**block: str) -> tuple[str, dict[str, Any]]:
    """Make a draft in home.hero; return its page and the form that leaves it as it is."""
    hero = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    row = services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    form = _campaign_form(hero.pk, **block)
    if block:
        services.upsert_block(campaign="spring", key="b", content={"heading": "old"}, actor="t")
        form |= {"block-INITIAL_FORMS": "1", "block-0-id": row.block.pk, "block-0-key": "b"}
    return f"/admin/content/campaign/{row.pk}/change/", form


def test_admin__publish_button__saves_publishes_and_says_what_shows(
    db: None, admin_client: Any
) -> None:
    address, form = _draft(heading="new")

    page = admin_client.post(address, form | {"_publish": "x"}, follow=True).content.decode()

    assert config.reload().parts["content"]["home.hero"].campaigns[0].content == {"heading": "new"}
    actions = AuditEvent.objects.filter(object_type="content.campaign").order_by("id")
    assert list(actions.values_list("action", flat=True)) == ["create", "update", "publish"]
    assert '<li class="success">It shows at the moment.</li>' in page
    assert 'name="_end"' in page
    assert 'name="_publish"' not in page


def test_admin__stored_campaign__its_key_stays(db: None, admin_client: Any) -> None:
    address, form = _draft(heading="new")

    assert admin_client.post(address, form | {"key": "other"}).status_code == 302

    assert Campaign.objects.get().key == "spring"
    assert Block.objects.get().content == {"heading": "new"}


def test_admin__end_button__takes_it_off_line(db: None, admin_client: Any) -> None:
    address, form = _draft(heading="new")
    services.publish_campaign(key="spring", actor="t")

    page = admin_client.post(address, form | {"_end": "x"}, follow=True).content.decode()

    assert config.reload().parts["content"]["home.hero"].campaigns == ()
    assert AuditEvent.objects.filter(action="end").count() == 1
    assert '<li class="success">Not shown: it was ended.</li>' in page
    assert 'name="_publish"' in page


def test_admin__new_campaign__published_as_it_is_added(db: None, admin_client: Any) -> None:
    hero = services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    form = _campaign_form(hero.pk, heading="S")

    admin_client.post("/admin/content/campaign/add/", form | {"_publish": "x"})

    assert Campaign.objects.get().status == "published"


def test_admin__publish_without_content__told_before_and_refused_unsaved(
    db: None, admin_client: Any
) -> None:
    address, form = _draft()
    words = "It has no content yet: fill in its block."

    before = admin_client.get(address).content.decode()
    refused = admin_client.post(address, form | {"_publish": "x"}).content.decode()

    assert f"It cannot be published yet. {words}" in before
    assert f"Not saved: it cannot be published yet. {words}" in refused
    assert Campaign.objects.get().status == "draft"
    assert Campaign.objects.get().title == "spring"


@pytest.mark.parametrize("move", ["_publish", "_end"])
def test_admin__moved_by_an_editor__has_no_button_and_is_refused(
    db: None, client: Any, move: str
) -> None:
    address, form = _draft(heading="new")
    editor = User.objects.create_user("ed", is_staff=True)
    editor.groups.set(Group.objects.filter(name="editor"))
    client.force_login(editor)

    page = client.get(address).content.decode()
    answer = client.post(address, form | {move: "x"})

    assert 'name="_save"' in page
    assert 'name="_publish"' not in page
    assert answer.status_code == 403
    row = Campaign.objects.get()
    assert (row.status, row.block.content) == ("draft", {"heading": "old"})


@pytest.mark.parametrize(
    ("placement", "campaign", "words"),
    [
        ({"active": False}, {}, "its placement is not active"),
        ({}, {"ends_at": NOW}, "its time ended on 2026-03-01"),
    ],
)
def test_standing__draft_that_would_stay_hidden__says_why(
    db: None, placement: dict[str, Any], campaign: dict[str, Any], words: str
) -> None:
    values = {"kind": "content", **placement}
    services.upsert_placement(key="home.hero", values=values, actor="t")
    values = {"placement": "home.hero", **campaign}
    row = services.create_campaign(key="draft", values=values, actor="t")

    assert f"Published, it would not show either: {words}" in standing(row, NOW).sentence


def test_hindrances__placement_that_shows_products__says_what_to_do(db: None) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    row = services.create_campaign(key="draft", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="draft", key="b", content={"heading": "S"}, actor="t")
    assert hindrances(row) == []

    row.placement.kind = Placement.Kind.RECOMMENDATIONS

    assert hindrances(row) == [
        "Its placement shows recommendations: choose one that shows content."
    ]


@pytest.mark.usefixtures("db")
def test_campaign__key_that_the_log_says_for_none__refused() -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")

    with pytest.raises(errors.ContentInvalid) as refused:
        services.create_campaign(key="default", values={"placement": "home.hero"}, actor="t")

    assert [one.path for one in refused.value.details] == ["key"]
