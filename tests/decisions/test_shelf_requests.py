"""What a page may ask of a shelf, through HTTP: filters, lists to order, device and country."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.test import Client

from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from personalization.content.services import upsert_placement
from personalization.decisions import record
from personalization.decisions.models import Decision
from personalization.ops import serve as config
from recommender import masks, ready
from recommender.strategies import save_strategy
from tests.decisions.conftest import NOW, Decide
from tests.recommender.stocked import install, product
from tests.recommender.test_secondlook import facts, stump, teach

HOME = "home.recommended"
PHONE = {"kind": "context", "key": "device.type", "op": "eq", "value": "mobile"}


@pytest.fixture(autouse=True)
def models(shop: dict[str, str], settings: Any) -> None:
    # a first request compiles, and a busy machine pauses: what is asked here is not speed
    settings.DECISION_BUDGET_MS = 60_000
    install("popularity", "item_knn", keys=[f"sku{n}" for n in range(30)])


def rules(**given: Any) -> None:
    """Publish the strategy of the home page with these rules."""
    source = [
        {"algorithm": "item_knn", "weight": 1, "seeds": ["recent", "cart"]},
        {"algorithm": "popularity", "weight": 0.1},
    ]
    save_strategy(key="for-you", values={"sources": source, "rules": given}, actor="t")
    config.reload()


def shelf(decide: Decide, wanted: dict[str, Any] | None = None, **body: Any) -> dict[str, Any]:
    asked = {"placements": [{"key": HOME, "count": 3, **(wanted or {})}], "anonymousId": "a"}
    answer = decide(asked | body)
    assert answer["degraded"] == []
    found: dict[str, Any] = answer["placements"][HOME]
    return found


def ids(found: dict[str, Any]) -> list[str]:
    return [item["id"] for item in found["items"]]


def test_filter__of_the_request__holds_beside_the_strategys(decide: Decide) -> None:
    rules(filter=product("key", "not_in", ["sku1"]))
    upsert_products([{"key": "sku1", "price_minor": 5}], actor="t", now=NOW)
    upsert_products([{"key": "sku7", "price_minor": 5}], actor="t", now=NOW)
    catalogue.refresh()

    assert ids(shelf(decide, {"filter": product("price_minor", "lt", 10)})) == ["sku7"]


def test_filter__that_is_no_rule__refused_with_its_path(decide: Decide) -> None:
    asked = {"key": HOME, "filter": {"and": [product("price_minor", "gt", "x")]}}
    error = decide({"placements": [asked]}, status=422)["error"]

    assert error["code"] == "filter_unsupported"
    assert error["details"][0]["path"] == "placements[0].filter.and[0].value"


def test_filter__of_the_request__nothing_is_kept_of_it(decide: Decide) -> None:
    """Anybody may send filters: each would push the shop's own out of memory."""
    rules()
    before = set(masks._held.masks)

    found = shelf(decide, {"filter": product("key", "in", ["sku7", "sku8"]), "count": 9})

    assert sorted(ids(found)) == ["sku7", "sku8"]
    assert not {key for key in set(masks._held.masks) - before if key[0] == "rule"}


def test_exploration__strangers__each_decision_draws_anew(decide: Decide) -> None:
    """One draw for all who have no unit would show the same new product to everybody all day."""
    rules(exploration={"share": 1.0, "days": 3650})

    shown = {tuple(ids(shelf(decide, anonymousId=""))) for _ in range(5)}
    known = {tuple(ids(shelf(decide))) for _ in range(3)}

    assert (len(shown) > 1, len(known)) == (True, 1)


def test_filter__of_many_conditions__refused(decide: Decide) -> None:
    many = {"or": [product("key", "eq", f"sku{n}") for n in range(11)]}
    error = decide({"placements": [{"key": HOME, "filter": many}]}, status=422)["error"]

    assert error["code"] == "filter_unsupported"
    assert error["details"][0]["path"] == "placements[0].filter"


def test_country__that_is_no_code__refused(decide: Decide) -> None:
    asked = {"placements": [HOME], "context": {"country": "Germany"}}

    error = decide(asked, status=400)["error"]

    assert [one["path"] for one in error["details"]] == ["context.country"]


def test_items__given__put_in_order_and_nothing_else(decide: Decide) -> None:
    found = shelf(decide, {"items": ["sku9", "ghost", "sku2"], "count": 9})

    assert sorted(ids(found)) == ["sku2", "sku9"]


def test_recommendations__items_given__put_in_order(shop: dict[str, str], client: Client) -> None:
    answer = client.get(
        "/v1/recommendations/for-you?items=sku9,sku2&items=ghost",
        headers={"Authorization": f"Bearer {shop['public']}"},
    )

    assert sorted(item["id"] for item in orjson.loads(answer.content)["items"]) == ["sku2", "sku9"]


def test_device_and_country__decide_what_may_be_shown(decide: Decide) -> None:
    rules(filter={"or": [{"not": PHONE}, product("key", "neq", "sku0")]})
    upsert_products([{"key": "sku1", "attributes": {"regions": ["FR"]}}], actor="t", now=NOW)
    catalogue.refresh()

    assert ids(shelf(decide))[:2] == ["sku0", "sku1"]
    phone = {"device": {"type": "mobile"}, "locale": "de-DE"}
    assert ids(shelf(decide, context=phone))[0] == "sku2"
    assert ids(shelf(decide, context={"country": "FR", "locale": "de-DE"}))[:2] == ["sku0", "sku1"]


def test_recent_click_and_purchase__change_the_very_next_answer(decide: Decide) -> None:
    rules()
    click = {"recent": [{"event": "Product Viewed", "item": "sku20"}]}
    bought = {"recent": [{"event": "Order Completed", "items": ["sku0"]}]}

    before, after = shelf(decide), shelf(decide, context=click)
    assert {item["source"] for item in before["items"]} == {"popularity"}
    assert "item_knn" in {item["source"] for item in after["items"]}
    assert ids(before) != ids(after)
    assert "sku0" not in ids(shelf(decide, context=bought))


def test_consent_withdrawn__the_very_next_answer_is_not_personal(
    decide: Decide, shop: dict[str, str], client: Client
) -> None:
    rules(exclude_seen=True)
    body = {"context": {"recent": [{"event": "Product Viewed", "item": "sku20"}]}}
    nobody = ids(shelf(decide, anonymousId="stranger"))
    before = shelf(decide, **body)
    answer = client.post(
        "/v1/consent",
        orjson.dumps({"anonymousId": "a", "purposes": {"personalization": False}}),
        content_type="application/json",
        headers={"Authorization": f"Bearer {shop['public']}"},
    )
    after = shelf(decide, **body)

    assert answer.status_code == 200, answer.content
    assert (before["reason"], ids(before) == nobody) == ("personal", False)
    assert (after["reason"], ids(after) == nobody) == ("no_consent", True)


def test_exposures_of_the_page__tire_the_visitor(decide: Decide) -> None:
    rules(fatigue={"after": 2, "factor": 0.0})
    shown = {"event": "Decision Exposed", "items": ["sku0", "sku1"]}
    clicked = {"event": "Decision Clicked", "items": ["sku1"]}

    found = ids(shelf(decide, {"count": 2}, context={"recent": [shown, shown, clicked]}))
    assert ids(shelf(decide, {"count": 2})) == ["sku0", "sku1"]
    assert "sku0" not in found
    assert "sku1" in found


def test_explain__rules_and_stock__each_item_with_its_reason(decide: Decide) -> None:
    rules(filter=product("key", "neq", "sku0"), pins=[{"item": "sku3", "place": 1}])
    upsert_products([{"key": "sku3", "stock": 0}], actor="t", now=NOW)
    catalogue.refresh()
    body = {"placements": [{"key": HOME, "count": 2, "exclude": ["sku1"]}], "explain": True}
    answer = decide(body, key="secret")
    told = {one["id"]: one["lost"] for one in answer["placements"][HOME]["explain"]["candidates"]}

    assert (told["sku0"], told["sku1"], told["sku3"]) == ("filtered", "excluded", "out_of_stock")
    assert [told["sku2"], told["sku4"], told["sku5"]] == ["", "", "below_count"]


def test_exploration__propensity_is_told(decide: Decide) -> None:
    rules(exploration={"share": 1.0, "days": 30})

    assert {item["source"] for item in shelf(decide)["items"]} == {"exploration"}
    assert all(0 < item["propensity"] <= 1 for item in shelf(decide)["items"])


def test_exploration__each_draw_is_logged_with_its_propensity(decide: Decide) -> None:
    rules(exploration={"share": 1.0, "days": 30})
    answer = decide({"placements": [{"key": HOME, "count": 3}], "anonymousId": "a"})
    record.flush()
    row = Decision.objects.get(id=answer["decisionId"])

    shown = [[HOME, one["id"], one["propensity"]] for one in answer["placements"][HOME]["items"]]
    assert len(shown) == 3
    assert row.body["explored"] == shown
    assert "cut" not in row.body


def test_exploration__what_chance_left_in_its_place__logged_alone(decide: Decide) -> None:
    """A tenth of one place: nine visitors in ten keep what was there, and no answer says so."""
    rules(exploration={"share": 0.1, "days": 30})
    asked = [
        decide({"placements": [{"key": HOME, "count": 1}], "anonymousId": f"a{n}"})
        for n in range(12)
    ]
    record.flush()
    kept = drawn = 0
    for answer in asked:
        body = Decision.objects.get(id=answer["decisionId"]).body
        (item,) = answer["placements"][HOME]["items"]
        if "propensity" in item:
            drawn += 1
            assert "kept" not in body
            assert body["explored"] == [[HOME, item["id"], item["propensity"]]]
        else:
            kept += 1
            assert "explored" not in body
            assert body["kept"] == [[HOME, item["id"], 0.9]]

    assert kept > drawn


def test_exploration__more_draws_than_a_row_holds__the_first_and_a_mark(decide: Decide) -> None:
    rules(exploration={"share": 1.0, "days": 30})
    answer = decide({"placements": [{"key": HOME, "count": 24}], "anonymousId": "a"})
    record.flush()
    row = Decision.objects.get(id=answer["decisionId"])

    shown = [[HOME, one["id"], one["propensity"]] for one in answer["placements"][HOME]["items"]]
    assert row.body["explored"] == shown[: len(row.body["explored"])]
    assert 0 < len(row.body["explored"]) < len(shown)
    assert row.body["cut"]


def test_cart__of_a_thousand__answered_without_what_is_in_it(decide: Decide) -> None:
    cart = [f"sku{n}" for n in range(4, 1004)]

    assert set(ids(shelf(decide, context={"cart": cart}))) == {"sku1", "sku2", "sku3"}


def test_cart__beyond_its_limit__refused_with_the_limit(decide: Decide) -> None:
    body = {"placements": [HOME], "context": {"cart": ["a"] * 2_001}}

    assert "2000" in str(decide(body, status=400)["error"])


def test_budget_spent__the_fallback_list_keeps_to_the_filter(decide: Decide, settings: Any) -> None:
    rules(filter=product("key", "in", ["sku4", "sku5"]))
    settings.DECISION_BUDGET_MS = 0
    answer = decide({"placements": [HOME]})

    assert answer["degraded"] == ["recommend:budget"]
    assert [item["id"] for item in answer["placements"][HOME]["items"]] == ["sku4", "sku5"]


def test_budget_spent__the_strategys_own_list_as_it_may_be_shown_now(
    decide: Decide, settings: Any
) -> None:
    rules(pins=[{"item": "sku9", "place": 1}, {"item": "sku8", "place": 2}])
    ready.watch()
    upsert_products([{"key": "sku9", "stock": 0}], actor="t", now=NOW)
    catalogue.refresh()
    settings.DECISION_BUDGET_MS = 0
    answer = decide({"placements": [{"key": HOME, "count": 3, "exclude": ["sku0"]}]})

    assert answer["degraded"] == ["recommend:budget"]
    assert ids(answer["placements"][HOME]) == ["sku8", "sku1", "sku2"]
    assert answer["modelVersions"] == {"popularity": 1}


def test_budget_spent__a_cap__holds_for_the_list_made_ahead(decide: Decide, settings: Any) -> None:
    rules(caps={"brand": 1})
    brands = [{"key": f"sku{n}", "brand": "acme"} for n in range(30)]
    upsert_products(brands, actor="t", now=NOW)
    catalogue.refresh()
    settings.DECISION_BUDGET_MS = 0

    assert ids(decide({"placements": [HOME]})["placements"][HOME]) == ["sku0"]


def test_budget_spent__nothing_of_the_own_list_may_be_shown__the_popular_one(
    decide: Decide, settings: Any
) -> None:
    rules(caps={"brand": 1}, filter=product("key", "in", ["sku0", "sku1"]))
    brands = [{"key": f"sku{n}", "brand": "acme"} for n in range(30)]
    upsert_products(brands, actor="t", now=NOW)
    catalogue.refresh()
    settings.DECISION_BUDGET_MS = 0
    asked = {"key": HOME, "exclude": ["sku0"]}

    assert ids(decide({"placements": [asked]})["placements"][HOME]) == ["sku1"]


def test_budget_spent__items_to_be_put_in_order__stay_in_theirs(
    decide: Decide, settings: Any
) -> None:
    rules(filter=product("key", "neq", "sku7"))
    settings.DECISION_BUDGET_MS = 0
    wanted = {"key": HOME, "items": ["sku29", "sku7", "sku3", "nothing"]}
    found = decide({"placements": [wanted]})["placements"][HOME]

    assert ids(found) == ["sku29", "sku3"]
    assert {one["source"] for one in found["items"]} == {"search"}


@pytest.fixture
def twins(decide: Decide) -> Callable[..., list[dict[str, Any]]]:
    """A page with two shelves of one strategy, which may not repeat each other; returns them."""
    values = {"kind": "recommendations", "strategy": "for-you", "count": 12}
    upsert_placement(key="home.more", values=values, actor="t")
    rules()

    def asked(more: dict[str, Any] | None = None, **body: Any) -> list[dict[str, Any]]:
        second = {"key": "home.more", "count": 3, **(more or {})}
        page = {"placements": [{"key": HOME, "count": 3}, second], "deduplicate": True, **body}
        answer = decide(page, key="secret")
        return [answer["placements"][key] for key in (HOME, "home.more")]

    return asked


def test_deduplicate__the_earlier_shelf_keeps_its_own__the_later_goes_on(
    twins: Callable[..., list[dict[str, Any]]],
) -> None:
    apart = [ids(one) for one in twins()]
    alike = [ids(one) for one in twins(deduplicate=False)]

    assert apart == [["sku0", "sku1", "sku2"], ["sku3", "sku4", "sku5"]]
    assert alike == [["sku0", "sku1", "sku2"]] * 2


def test_deduplicate__too_little_is_left__filled_up_with_what_is_above(
    twins: Callable[..., list[dict[str, Any]]],
) -> None:
    few = {"filter": product("key", "in", ["sku0", "sku1", "sku9"])}

    assert ids(twins(few)[1]) == ["sku9", "sku0", "sku1"]


def test_deduplicate__explained__says_so_and_the_log_too(
    twins: Callable[..., list[dict[str, Any]]],
) -> None:
    told = twins(explain=True)[1]["explain"]["candidates"]
    record.flush()

    lost = {one["id"] for one in told if one["lost"] == "shown_above"}
    assert lost == {"sku0", "sku1", "sku2"}
    assert [row.body.get("deduplicate") for row in Decision.objects.all()] == [True]


def test_deduplicate__budget_spent__holds_for_the_list_made_ahead(
    twins: Callable[..., list[dict[str, Any]]], settings: Any
) -> None:
    ready.watch()
    settings.DECISION_BUDGET_MS = 0
    few = {"filter": product("key", "in", ["sku0", "sku9"])}

    assert ids(twins()[1]) == ["sku3", "sku4", "sku5"]
    assert ids(twins(few)[1]) == ["sku9", "sku0"]


def test_deduplicate__items_to_be_put_in_order__are_all_shown(
    twins: Callable[..., list[dict[str, Any]]],
) -> None:
    assert sorted(ids(twins({"items": ["sku1", "sku0"]})[1])) == ["sku0", "sku1"]


def test_deduplicate__no_truth_value__refused(decide: Decide) -> None:
    error = decide({"placements": [HOME], "deduplicate": "yes"}, status=400)["error"]

    assert [one["path"] for one in error["details"]] == ["deduplicate"]


def test_explain__trees_ordered_a_shelf__blend_and_version_are_named(decide: Decide) -> None:
    source = [{"algorithm": "item_knn", "seeds": ["recent"]}, {"algorithm": "popularity"}]
    values = {"sources": source, "weights": "learned"}
    save_strategy(key="for-you", values=values, actor="t")
    config.reload()
    keys = [f"sku{n}" for n in range(30)]
    teach(stump("freshness", 0.5), facts(len(keys)), keys=keys)
    recent = [{"event": "Product Viewed", "item": "sku3"}]
    asked = {"placements": [HOME], "anonymousId": "a", "context": {"recent": recent}}
    answer = decide(asked | {"explain": True}, key="secret")

    assert answer["placements"][HOME]["explain"]["reranked"] == {"blend_home": 3}
    assert answer["modelVersions"]["blend_home"] == 3


@pytest.mark.parametrize("zone", ["Mars/X", "Europe", "UTC+1", "é"])
def test_context__time_zone_that_nobody_knows__the_shops_counts(decide: Decide, zone: str) -> None:
    hour = {"kind": "context", "key": "local_time.hour", "op": "eq", "value": NOW.hour}
    rules(filter=hour)

    assert len(ids(shelf(decide, context={"timezone": zone}))) == 3
