"""What merchandisers ask of a shelf, as visitors get it: through published strategies."""

from collections import Counter
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from recommender import live
from recommender.engine.blend import Blend
from recommender.live import LiveBlend
from recommender.serve import Explored, ProductRule
from tests.recommender.shop import NOW
from tests.recommender.stocked import (
    KEYS,
    NEW,
    NOW_S,
    ask,
    ids,
    install,
    product,
    stock,
    strategy,
)

DAY = 86_400


@pytest.fixture(autouse=True)
def stocked(shop: Path) -> None:
    stock()
    install("popularity", "item_knn")


def shelf(rules: dict[str, Any], **options: Any) -> list[str]:
    return ids(ask(strategy(rules=rules), **options))


def test_no_rules__popular_in_order() -> None:
    assert shelf({}) == ["p0", "p1", "p2", "p3"]


def test_filter__nothing_else_is_shown_even_where_places_stay_empty() -> None:
    assert shelf({"filter": product("brand", "eq", "bolt")}, count=9) == [
        f"p{n}" for n in (1, 3, 5, 7, 9, 11)
    ]


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (product("price_minor", "lt", 3000), {"p0", "p1"}),
        (product("categories", "any_of", ["hats"]), {f"p{n}" for n in range(6, 12)}),
        (product("title", "contains", "p1"), {"p1", "p10", "p11"}),
        (product("created_at", "within_last", 30 * DAY), NEW),
        ({"not": product("category", "eq", "shoes")}, {f"p{n}" for n in range(6, 12)}),
    ],
)
def test_filter__fields_of_products(rule: dict[str, Any], kept: set[str]) -> None:
    assert set(shelf({"filter": rule}, count=12)) == kept


def test_filter__own_attribute_price_and_stock__seen_when_the_catalogue_changes() -> None:
    key = strategy(rules={"filter": product("price_minor", "lt", 3000)})
    before = ids(ask(key))
    upsert_products(
        [{"key": "p0", "price_minor": 9000}, {"key": "p5", "price_minor": 100}],
        actor="test",
        now=NOW,
    )
    catalogue.refresh()

    assert (before, ids(ask(key))) == (["p0", "p1"], ["p1", "p5"])


def test_filter__on_the_request__holds_for_such_requests() -> None:
    phone = {"kind": "context", "key": "device.type", "op": "eq", "value": "mobile"}
    key = strategy(rules={"filter": {"or": [{"not": phone}, product("brand", "eq", "bolt")]}})

    assert ids(ask(key, count=2)) == ["p0", "p1"]
    assert ids(ask(key, count=2, context={"device.type": "mobile"})) == ["p1", "p3"]


def test_region__not_sold_or_no_price_there__not_shown() -> None:
    upsert_products(
        [
            {"key": "p0", "attributes": {"regions": ["DE", "AT"]}},
            {"key": "p1", "attributes": {"prices": {"CH": 900}}},
        ],
        actor="test",
        now=NOW,
    )
    catalogue.refresh()
    key = strategy()

    assert ids(ask(key, count=2)) == ["p0", "p1"]
    assert ids(ask(key, count=2, country="DE")) == ["p0", "p2"]
    assert ids(ask(key, count=2, country="CH")) == ["p1", "p2"]


def test_boost_and_sink__move_within_the_candidates() -> None:
    rules = {
        "boosts": [
            {"rule": product("key", "eq", "p2"), "factor": 3},
            {"rule": product("key", "eq", "p0"), "factor": 0.1},
        ]
    }

    assert shelf(rules, count=12)[:2] == ["p2", "p1"]
    assert shelf(rules, count=12)[-1] in {"p0", "p10", "p11"}


def test_bury__comes_last_and_only_to_fill() -> None:
    rules = {"bury": product("brand", "eq", "acme")}

    assert shelf(rules, count=4) == ["p1", "p3", "p5", "p7"]
    assert set(shelf(rules, count=8)[6:]) == {"p0", "p2"}


def test_pin__at_its_place_unless_it_may_not_be_shown() -> None:
    rules = {"pins": [{"item": "p9", "place": 2}, {"item": "p8", "place": 1}]}
    upsert_products([{"key": "p8", "stock": 0}], actor="test", now=NOW)
    catalogue.refresh()
    answer = ask(strategy(rules=rules), explain=True)

    assert ids(answer) == ["p0", "p9", "p1", "p2"]
    assert (answer.items[1].source, answer.items[1].reason) == ("pin", "Chosen by our team")
    assert {one.id: one.lost for one in answer.lost}["p8"] == "out_of_stock"


def test_quota__so_many_new_arrivals_although_nobody_met_them() -> None:
    rules = {"quotas": [{"rule": product("created_at", "within_last", 30 * DAY), "least": 2}]}
    install("popularity", keys=[f"p{n}" for n in range(9)])

    assert set(shelf(rules)) >= NEW


def test_caps__never_more_of_a_brand_or_category() -> None:
    found = shelf({"caps": {"brand": 2, "category": 3}}, count=12)

    assert sum(int(key[1:]) % 2 == 0 for key in found) == 2
    assert len(found) == 4


def test_diversity__mixes_categories() -> None:
    plain, mixed = shelf({}, count=6), shelf({"diversity": 0.5}, count=6)

    assert {int(key[1:]) < 6 for key in plain} == {True}
    assert {int(key[1:]) < 6 for key in mixed} == {True, False}


def test_prices__of_the_visitors_country__are_what_rules_compare() -> None:
    """Filter, boost, and the request's own filter; where a product says nothing, the general."""
    told = [{"key": "p1", "attributes": {"prices": {"CH": 9000, "DE": 2000}}}]
    upsert_products(told, actor="test", now=NOW)
    catalogue.refresh()
    cheap = product("price_minor", "lte", 3000)
    lifted = {"boosts": [{"rule": product("price_minor", "gt", 8000), "factor": 10}]}
    asked = {"rule": ProductRule.of(cheap)}

    assert shelf({"filter": cheap}) == shelf({"filter": cheap}, country="DE") == ["p0", "p1", "p2"]
    assert shelf({"filter": cheap}, country="CH") == ["p0", "p2"]
    assert (shelf({}, country="CH", **asked), shelf({}, **asked)[:2]) == (
        ["p0", "p2"],
        ["p0", "p1"],
    )
    assert (shelf(lifted, country="CH")[0], shelf(lifted)[0]) == ("p1", "p8")
    lost = ask(strategy(rules={"filter": cheap}), country="CH", explain=True).lost
    assert {one.id: one.lost for one in lost}["p1"] == "filtered"


def test_shown_above__comes_last_even_behind_what_is_buried() -> None:
    rules = {"bury": product("brand", "eq", "acme")}
    above = ["p1", "p0", "ghost"]

    found = shelf(rules, count=12, shown_above=above)
    assert found[:4] == ["p3", "p5", "p7", "p9"]
    assert found[-2:] == ["p1", "p0"]
    assert shelf(rules, shown_above=above, personal=False) == ["p3", "p5", "p7", "p9"]


def test_shown_above__pin_quota_and_chance__take_others() -> None:
    pinned = {"pins": [{"item": "p9", "place": 1}]}
    quota = {"quotas": [{"rule": product("brand", "eq", "bolt"), "least": 3}]}
    chance = {"exploration": {"share": 1.0, "days": 30}}

    assert shelf(pinned, shown_above=["p9"]) == ["p0", "p1", "p2", "p3"]
    assert shelf(quota, shown_above=["p1", "p3"]) == ["p0", "p5", "p7", "p9"]
    assert "p11" not in shelf(chance, shown_above=["p11"])


def test_shown_above__caps_hold_where_the_shelf_is_filled_up() -> None:
    capped = {"caps": {"brand": 2}, "filter": product("key", "in", ["p0", "p1", "p2", "p4"])}

    assert shelf(capped) == ["p0", "p1", "p2"]
    assert shelf(capped, shown_above=["p0", "p1"]) == ["p2", "p4", "p1"]


def test_margin__lifts_what_earns_more() -> None:
    upsert_products([{"key": "p1", "attributes": {"margin": 0.9}}], actor="test", now=NOW)
    catalogue.refresh()

    assert shelf({"margin": 0.0})[0] == "p0"
    assert shelf({"margin": 1.0})[0] == "p1"


def test_fatigue__shown_often_without_a_click__sinks() -> None:
    rules = {"fatigue": {"after": 3, "factor": 0.1}}

    assert shelf(rules, shown={"p0": 2})[0] == "p0"
    assert "p0" not in shelf(rules, shown={"p0": 3}, count=1)
    assert shelf(rules, shown={"p0": 9}, personal=False)[0] == "p0"


def test_exclusions__seen_in_cart_bought__with_the_reason() -> None:
    rules = {"exclude_seen": True, "readmission_days": {"shoes": 5}}
    visit: dict[str, Any] = {
        "recent": [("view", "p0", NOW_S)],
        "cart": ["p1"],
        "bought": {"p2": NOW_S - 4 * DAY, "p3": NOW_S - 6 * DAY, "p6": NOW_S - 6 * DAY},
        "exclude": ["p4"],
        "item": "p5",
    }
    answer = ask(strategy(rules=rules), explain=True, count=12, **visit)

    assert {one.id: one.lost for one in answer.lost} == {
        "p0": "seen",
        "p1": "in_cart",
        "p2": "bought",
        "p4": "excluded",
        "p5": "page_item",
        "p6": "bought",
    }
    assert "p3" in ids(answer)


def test_readmission__of_two_categories__when_the_first_of_both_may() -> None:
    upsert_products([{"key": "p2", "categories": ["shoes", "hats"]}], actor="test", now=NOW)
    catalogue.refresh()
    key = strategy(rules={"readmission_days": {"shoes": 20, "hats": 5}})

    found = {days: ids(ask(key, bought={"p2": NOW_S - days * DAY})) for days in (4, 6)}

    assert {days: "p2" in shown for days, shown in found.items()} == {4: False, 6: True}


def test_exclude_cart__may_be_left_off() -> None:
    assert "p0" in shelf({"exclude_cart": False}, cart=["p0"])


def test_explain__filtered_and_capped__each_with_its_reason() -> None:
    rules = {"filter": product("brand", "eq", "bolt"), "caps": {"category": 1}}
    answer = ask(strategy(rules=rules), explain=True)
    lost = {one.id: one.lost for one in answer.lost}

    assert ids(answer) == ["p1", "p7"]
    assert (lost["p0"], lost["p3"]) == ("filtered", "category_cap")


def test_explain__country_request_and_a_pin_of_nothing__each_with_its_reason() -> None:
    upsert_products([{"key": "p0", "attributes": {"regions": ["DE"]}}], actor="test", now=NOW)
    catalogue.refresh()
    key = strategy(rules={"pins": [{"item": "ghost", "place": 1}]})
    asked = ProductRule.of(product("key", "neq", "p1"))
    answer = ask(key, explain=True, country="FR", rule=asked)
    lost = {one.id: one.lost for one in answer.lost}

    assert ids(answer) == ["p2", "p3", "p4", "p5"]
    assert (lost["p0"], lost["p1"], lost["ghost"]) == ("not_in_region", "not_asked", "unknown")


def test_explain__replaced_by_chance__says_so() -> None:
    install("popularity", keys=KEYS[:9])
    answer = ask(strategy(rules={"exploration": {"share": 0.25, "days": 30}}), explain=True)

    assert ids(answer)[:3] == ["p0", "p1", "p2"]
    assert {one.id: one.lost for one in answer.lost}["p3"] == "gave_way"


def test_exploration__new_items_by_chance_with_their_propensity() -> None:
    rules = {"exploration": {"share": 0.25, "days": 30}}
    install("popularity", keys=[f"p{n}" for n in range(9)])
    answer = ask(strategy(rules=rules), seed="visitor")
    drawn = answer.items[-1]

    assert isinstance(drawn, Explored)
    assert (drawn.id in NEW, drawn.source, drawn.propensity) == (True, "exploration", 0.5)
    assert answer == ask("mine", seed="visitor")
    assert {ids(ask("mine", seed=str(n)))[-1] for n in range(20)} == NEW


def test_exploration__over_many_visitors__what_is_shown_as_often_as_is_told() -> None:
    """Three tenths of two places: the last one is new six times in ten, and else told as kept."""
    rules = {"exploration": {"share": 0.3, "days": 30}}
    install("popularity", keys=[f"p{n}" for n in range(9)])
    strategy(rules=rules)
    answers = [ask("mine", seed=str(n), count=2) for n in range(600)]
    shown = Counter(ids(answer)[1] for answer in answers)

    for answer in answers:
        last = answer.items[1]
        told = {last.id: last.propensity} if isinstance(last, Explored) else {}
        assert {**told, **answer.kept} == {last.id: 0.3 if last.id in NEW else 0.4}
    # five standard deviations of a binomial of 600
    assert abs(shown["p1"] - 240) < 60
    assert all(abs(shown[key] - 180) < 57 for key in NEW)
    assert set(shown) == {"p1", *NEW}


def test_search__given_items_in_our_order__nothing_else() -> None:
    source = {"algorithm": "item_knn", "weight": 1, "seeds": ["recent"]}
    given = ["p9", "p3", "ghost", "p9", "p1"]
    nobody = strategy("nobody", use="search", sources=[source])
    popular = strategy(use="search", sources=[{"algorithm": "popularity", "weight": 5}])

    assert ids(ask(nobody, given=given, count=9)) == ["p9", "p3", "p1"]
    assert ids(ask(popular, given=given, count=9)) == ["p1", "p3", "p9"]


def test_sources__several_models_blended__each_item_tells_its_own() -> None:
    key = strategy(
        sources=[
            {"algorithm": "item_knn", "weight": 1, "seeds": ["recent"]},
            {"algorithm": "popularity", "weight": 0.5},
        ]
    )
    answer = ask(key, recent=[("view", "p6", NOW_S)], count=12)

    assert {item.source for item in answer.items} >= {"item_knn", "popularity"}
    assert answer.model_versions == {"item_knn": 1, "popularity": 1}


def test_ladder__category_of_the_page_before_popular() -> None:
    key = strategy(algorithm="item_knn", params={"seeds": ["recent"]}, fallback="popular")
    answer = ask(key, item="p6")

    assert ids(answer) == ["p7", "p8", "p9", "p10"]
    assert {item.reason for item in answer.items} == {"Popular in Hats"}


def test_ladder__segment_else_country_before_popular() -> None:
    install("popularity", "popular_in_group")
    key = strategy(algorithm="item_knn", params={"seeds": ["recent"]}, fallback="popular")

    loyal = ask(key, segments=["new", "loyal"], country="DE")
    german = ask(key, country="DE")

    assert ids(loyal)[0] == "p6"
    assert ids(german)[0] == "p9"
    assert loyal.items[0].reason == "Popular with customers like you"
    assert ids(ask(key, country="FR"))[0] == "p0"
    assert ids(ask(key, segments=["loyal"], personal=False))[0] == "p0"


def test_ladder__whole__session_segment_category_popular_editorial() -> None:
    install("item_knn", keys=["p9", "p8"])
    session = live.models()["item_knn"]
    install("popularity", "popular_in_group", "content", keys=KEYS[:11])
    live._held.models = MappingProxyType({**live.models(), "item_knn": session})
    # without attributes to compare, its own model has no word on these clicks
    key = strategy(algorithm="content", params={"seeds": ["recent"]}, rules={"editorial": ["p11"]})

    answer = ask(key, recent=[("view", "p9", NOW_S)], segments=["loyal"], count=12)

    sources = [item.source for item in answer.items]
    assert list(dict.fromkeys(sources)) == [
        "item_knn",
        "popular_in_group",
        "category",
        "popularity",
        "editorial",
    ]
    assert ids(answer)[:3] == ["p8", "p6", "p7"]


def test_ladder__own_model_was_asked_about_the_clicks_alone__not_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[int]()
    kind = type(live.models()["item_knn"].model)
    answered = kind.recommend

    def noted(*given: Any, **options: Any) -> Any:
        asked.append(1)
        return answered(*given, **options)

    monkeypatch.setattr(kind, "recommend", noted)
    key = strategy(algorithm="item_knn", params={"seeds": ["recent", "cart"]}, fallback="popular")
    recent = [("view", "p6", NOW_S)]

    assert len(ids(ask(key, recent=recent, count=9))) == 9
    assert len(asked) == 1
    ask(key, recent=recent, cart=("p8",), count=12)
    assert len(asked) == 3


def test_learned__weights_of_training_decide_the_sources() -> None:
    key = strategy(weights="learned", algorithm="popularity")
    recent = [("view", "p6", NOW_S)]
    given = ask(key, recent=recent)
    blend = LiveBlend("blend_home", 3, "x", Blend((("item_knn", 1.0),)))
    live._held.blends = MappingProxyType({"blend_home": blend})
    learned = ask(key, recent=recent)

    assert {item.source for item in given.items} == {"popularity"}
    assert {item.source for item in learned.items} == {"item_knn"}


def test_ladder__no_model_at_all__editorial_then_newest() -> None:
    live.forget()
    live._held.looks.watched = True
    answer = ask(strategy(rules={"editorial": ["p4", "ghost"]}), count=2)

    assert [(item.id, item.source) for item in answer.items] == [
        ("p4", "editorial"),
        ("p11", "catalog"),
    ]


def test_not_personal__nothing_of_the_visitor_counts() -> None:
    key = strategy(
        algorithm="item_knn",
        params={"seeds": ["recent", "cart"]},
        rules={"exclude_seen": True},
        fallback="popular",
    )
    mine: dict[str, Any] = {
        "recent": [("view", "p6", NOW_S)],
        "bought": {"p0": NOW_S},
        "shown": {"p0": 9},
        "seed": "me",
    }

    assert ask(key, personal=False, **mine) == ask(key, personal=False)


def test_thousand_items_in_the_cart__still_an_answer() -> None:
    key = strategy(algorithm="item_knn", params={"seeds": ["cart"]})

    assert len(ids(ask(key, cart=[f"x{n}" for n in range(990)] + ["p0"]))) == 4


def test_one_product__it_is_shown() -> None:
    key = strategy(rules={"caps": {"brand": 1}, "diversity": 0.9})
    install("popularity", keys=["p0"])

    assert ids(ask(key, given=["p0"])) == ["p0"]


def test_buy_again__purchases_alone__remembered_ones_too() -> None:
    install("popularity", "buy_again")
    sources = [{"algorithm": "buy_again", "weight": 1, "seeds": ["recent", "cart"]}]
    key = strategy(sources=sources, exclude_bought_days=30)
    recent = [("view", "p7", NOW_S - 60), ("order", "p3", NOW_S - 20 * DAY)]

    answer = ask(
        key, recent=recent, cart=("p8",), bought={"p3": NOW_S - 20 * DAY, "p5": NOW_S - 60 * DAY}
    )

    assert {one.id for one in answer.items if one.source == "buy_again"} == {"p3", "p5"}


def test_recent__kinds_that_a_model_never_learned_from__are_no_question_to_it() -> None:
    install("popularity", "bought_together")
    key = strategy(sources=[{"algorithm": "bought_together", "weight": 1, "seeds": ["recent"]}])

    looked = ask(key, recent=[("view", "p0", NOW_S - 60)])
    bought = ask(key, recent=[("order", "p0", NOW_S - 60)])

    assert "bought_together" not in {one.source for one in looked.items}
    assert "bought_together" in {one.source for one in bought.items}
