"""Rules over a whole catalogue say of each product what the rule language says of it alone."""

from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personalization.catalog import serve as catalogue
from personalization.catalog.serve import CatalogView
from personalization.ops import serve as config
from recommender import columns, masks, regions
from recommender.engine import merchandising
from recommender.engine.rulemasks import ProductRule
from recommender.masks import Request
from recommender.productrules import rule_faults
from segments.engine.program import Person, Program, Setting, Source
from tests.recommender.stocked import product

NOW_US = 1_772_000_000_000_000
ZONE = ZoneInfo("Europe/Berlin")
OWN: dict[str, Any] = {
    "color": "red",
    "tags": ["a", "b"],
    "size": {"eu": 40},
    "margin": 0.3,
    "prices": {"FR": 12, "CH": "dear", "AT": 2**63},
}
COUNTRIES = st.sampled_from(["", "FR", "CH", "AT", "US"])
PLAIN: dict[str, Any] = {
    "title": "",
    "brand": "acme",
    "categories": (),
    "price_minor": 1,
    "available": True,
    "created_s": 1e9,
    "attributes": set(),
}


@st.composite
def conditions(draw: Any) -> dict[str, Any]:
    key, op, value = draw(
        st.sampled_from(
            [
                ("brand", "eq", "acme"),
                ("brand", "not_exists", None),
                ("brand", "not_in", ["acme", "x"]),
                ("category", "starts_with", "sh"),
                ("categories", "any_of", ["sale"]),
                ("categories", "size", 2),
                ("price_minor", "between", [10, 20]),
                ("price_minor", "neq", 15),
                ("available", "eq", True),
                ("title", "contains", "SHOE"),
                ("title", "matches", "^S.*e$"),
                ("created_at", "within_last", 86_400),
                ("created_at", "before", "2026-01-01T00:00:00Z"),
                ("attributes.color", "neq", "red"),
                ("attributes.tags", "all_of", ["a", "b"]),
                ("attributes.size.eu", "gte", 40),
                ("attributes.margin", "not_exists", None),
            ]
        )
    )
    return product(key, op, value)


RULES = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        inner.map(lambda rule: {"not": rule}),
        st.builds(
            lambda op, rules: {op: rules},
            st.sampled_from(["and", "or"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=5,
)
PRODUCTS = st.lists(
    st.fixed_dictionaries(
        {
            "title": st.sampled_from(["Shoe", "hat", ""]),
            "brand": st.sampled_from(["acme", "bolt", ""]),
            "categories": st.sampled_from([(), ("shoes",), ("shoes", "sale")]),
            "price_minor": st.sampled_from([-1, 10, 15, 30]),
            "available": st.booleans(),
            "created_s": st.sampled_from([NOW_US / 1e6 - 10, NOW_US / 1e6 - 90_000, 1e9]),
            "attributes": st.sets(st.sampled_from(sorted(OWN))),
        }
    ),
    max_size=6,
)


def view(products: list[dict[str, Any]], change: int = 1) -> CatalogView:
    held = [{name: OWN[name] for name in one["attributes"]} for one in products]
    keys = [f"p{n}" for n in range(len(products))]
    return CatalogView(
        change=change,
        keys=keys,
        index={key: row for row, key in enumerate(keys)},
        titles=[one["title"] for one in products],
        categories=[(one["categories"] or ("",))[0] for one in products],
        brands=[one["brand"] for one in products],
        available=np.array([one["available"] for one in products], np.bool_),
        price_minor=np.array([one["price_minor"] for one in products], np.int64),
        shelves=[one["categories"] for one in products],
        attributes=[orjson.dumps(one).decode() if one else "" for one in held],
        created_s=np.array([one["created_s"] for one in products], np.float64),
        changes=np.full(len(products), change, np.int64),
    )


def alone(rule: dict[str, Any], one: dict[str, Any], key: str, country: str) -> bool:
    """What the rule language says of one product."""
    flat = {"key": key, **{name: one[name] for name in ("title", "brand") if one[name]}}
    flat |= {"categories": list(one["categories"]), "available": one["available"]}
    flat |= {"category": one["categories"][0]} if one["categories"] else {}
    price = 12 if country == "FR" and "prices" in one["attributes"] else one["price_minor"]
    flat |= {"price_minor": price} if price >= 0 else {}
    flat |= {"created_at": one["created_s"]}
    flat |= {f"attributes.{name}": OWN[name] for name in one["attributes"]}
    flat |= {"attributes.size.eu": 40} if "size" in one["attributes"] else {}
    program = Program([Source("r", rule)], Setting(ZONE, None))
    person = Person(product=MappingProxyType(flat))
    return program.rules[0].decide(person, NOW_US)[0]


@given(RULES, PRODUCTS, COUNTRIES)
def test_mask__any_rule_and_products__as_for_each_alone(
    rule: dict[str, Any], products: list[dict[str, Any]], country: str
) -> None:
    held = view(products)

    mask = masks.rule_mask(ProductRule.of(rule), held, Request({}, country, NOW_US))

    assert mask.tolist() == [alone(rule, one, f"p{n}", country) for n, one in enumerate(products)]


@given(RULES, PRODUCTS, PRODUCTS, COUNTRIES)
def test_mask__after_changes__as_if_new(
    rule: dict[str, Any],
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    country: str,
) -> None:
    """Rows of the first view that the second changes, and rows that it adds, are judged again."""
    first = view(before)
    grown = view([*after, *before[len(after) :]], change=2)
    grown.changes[len(after) :] = 1
    second = CatalogView(
        **{
            name: getattr(grown, name)
            for name in CatalogView.__dataclass_fields__
            if name != "lineage"
        },
        lineage=first.lineage,
    )
    asked, request = ProductRule.of(rule), Request({}, country, NOW_US)
    masks.rule_mask(asked, first, request)

    kept = masks.rule_mask(asked, second, request)

    assert kept.tolist() == masks.rule_mask(asked, grown, request).tolist()


@given(RULES, PRODUCTS)
def test_possible__any_rule__holds_wherever_the_rule_does(
    rule: dict[str, Any], products: list[dict[str, Any]]
) -> None:
    held, asked, request = view(products), ProductRule.of(rule), Request({}, "", NOW_US)

    mask = masks.rule_mask(asked, held, request)

    assert not np.any(mask & ~masks.possible_mask(asked, held, request))


@given(RULES, PRODUCTS, COUNTRIES)
def test_judged__some_rows__as_in_the_mask_of_all(
    rule: dict[str, Any], products: list[dict[str, Any]], country: str
) -> None:
    held, asked, request = view(products), ProductRule.of(rule), Request({}, country, NOW_US)
    rows = np.arange(len(products))[::-2]

    told = masks.judged(asked, held, request, rows)

    assert told.tolist() == masks.rule_mask(asked, held, request)[rows].tolist()


def test_prices__of_a_country__kept_apart_where_products_name_one() -> None:
    held = view([PLAIN | {"attributes": {"prices"}}, PLAIN])
    rule = ProductRule.of(product("price_minor", "gt", 10))
    told = {
        country: masks.rule_mask(rule, held, Request({}, country, NOW_US))
        for country in ("", "FR", "CH", "US")
    }

    assert told["FR"].tolist() == [True, False]
    assert told[""].tolist() == [False, False]
    assert told["US"] is told[""] is told["CH"]
    assert list(regions.priced(held)) == ["FR"]


def test_prices__of_an_older_view__are_answered_and_replace_nothing() -> None:
    older = view([PLAIN])
    newer = replace(view([PLAIN | {"attributes": {"prices"}}], change=2), lineage=older.lineage)
    assert regions.price_minor(newer, "FR", None).tolist() == [12]

    assert regions.price_minor(older, "FR", None).tolist() == [1]
    assert regions._held.table.is_of(newer)


def test_watch__prices_of_countries__judged_before_a_request_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held, rule = view([PLAIN | {"attributes": {"prices"}}]), product("price_minor", "gt", 10)
    spec = SimpleNamespace(rules=merchandising.parse({"filter": rule}))
    monkeypatch.setattr(catalogue, "view", lambda: held)
    monkeypatch.setattr(config, "part", lambda _name: {"mine": spec})
    masks.forget()

    masks.watch()

    judged = {key[3]: one.mask.tolist() for key, one in masks._held.masks.items()}
    assert judged == {"": [False], "FR": [True]}


def test_possible__brand_and_categories__exact() -> None:
    held = view([PLAIN | {"brand": brand} for brand in ("acme", "bolt", "")])
    rule = {"and": [product("brand", "neq", "acme"), {"not": product("title", "eq", "x")}]}

    mask = masks.possible_mask(ProductRule.of(rule), held, Request({}, "", NOW_US))

    assert mask.tolist() == [False, True, False]


def test_older_view__after_a_longer_one__is_answered_and_replaces_nothing() -> None:
    """A request that began before products were added is judged by what it saw."""
    older = view([PLAIN])
    newer = replace(view([PLAIN, PLAIN | {"brand": "bolt"}], change=2), lineage=older.lineage)
    rule, request = ProductRule.of(product("brand", "exists")), Request({}, "", NOW_US)
    masks.rule_mask(rule, newer, request)
    columns.codes("brand", newer)

    assert masks.rule_mask(rule, older, request).tolist() == [True]
    assert columns.codes("brand", older).tolist() == [0]
    assert columns.codes("brand", newer).tolist() == [0, 1]


def test_model_mask__of_a_new_mask__replaces_that_of_its_name() -> None:
    held, shown = view([PLAIN, PLAIN]), np.array([True, False])
    model: Any = SimpleNamespace(name="m", keys=["p1", "p0"])
    masks.model_mask(model, held, np.array([True, True]), "shelf")

    told = masks.model_mask(model, held, shown, "shelf")

    assert told.tolist() == [False, True]
    assert masks.model_mask(model, held, shown, "shelf") is told
    assert [key for key in masks._held.masks if key[:2] == ("model", "m")] == [
        ("model", "m", "shelf")
    ]


def test_held__full__what_was_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "_MOST_BYTES", 2)
    held, request = view([PLAIN]), Request({}, "", NOW_US)
    first, second, third = (ProductRule.of(product("brand", "eq", name)) for name in "abc")
    mask = masks.rule_mask(first, held, request)
    gone = masks.rule_mask(second, held, request)

    assert masks.rule_mask(first, held, request) is mask
    masks.rule_mask(third, held, request)

    assert masks.rule_mask(first, held, request) is mask
    assert masks.rule_mask(second, held, request) is not gone


def test_within_last__a_minute_later__judged_anew() -> None:
    held = view([PLAIN | {"created_s": NOW_US / 1e6 - 50}])
    rule = ProductRule.of(product("created_at", "within_last", 60))

    first = masks.rule_mask(rule, held, Request({}, "", NOW_US))
    later = masks.rule_mask(rule, held, Request({}, "", NOW_US + 60_000_000))

    assert (first.tolist(), later.tolist()) == ([True], [False])


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"kind": "product", "key": "colour", "op": "eq", "value": "x"}, "key"),
        ({"kind": "profile", "key": "country", "op": "eq", "value": "DE"}, "kind"),
        (product("price_minor", "gt", "cheap"), "value"),
        ({"brand": "x"}, ""),
        ([], ""),
    ],
)
def test_rule_faults__name_what_is_wrong(rule: Any, path: str) -> None:
    assert [one.path for one in rule_faults(rule)] == [path]


def test_rule_faults__attribute_that_nobody_has_any_more__publishes() -> None:
    both = [product("attributes.gone", "exists"), product("attributes.gone", "gt", 3)]

    assert rule_faults({"and": both}) == []
