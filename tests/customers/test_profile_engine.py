"""The fold of a profile: whatever order facts come in, the same profile comes out."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.customers.engine import profile, showings
from personalization.customers.engine.facts import CLICKED, EXPOSED
from personalization.events.engine.facts import Fact, minor, parse

MINUTE = 60_000_000
START = 1_700_000_000_000_000


def fact(message_id: str, minute: float, kind: str = "view", **given: Any) -> Fact:
    values: dict[str, Any] = {
        "identity_id": 1,
        "customer_id": 1,
        "message_id": message_id,
        "occurred_us": START + int(minute * MINUTE),
        "name": kind,
        "kind": kind,
        "items": (("sku1", 1, 100),),
        "value_minor": None,
        "currency": "EUR",
        "order_id": "",
        "traits": None,
        "device_type": "",
        "country": "",
        "region": "",
        "locale": "",
        "timezone": "",
        "session": "",
        "purposes": 7,
        "flags": 0,
    }
    return Fact(**(values | given))


def decided(minute: float, **claims: Any) -> dict[str, Any]:
    """What ingestion leaves of the token of a decision in that minute."""
    ms = (START + int(minute * MINUTE)) // 1000
    return {"$decision": {"id": str(UUID(int=ms << 80 | 7 << 76)), "strategy": "home"} | claims}


def exposed(message_id: str, minute: float, *items: str, **claims: Any) -> Fact:
    """A showing a minute after its decision."""
    props = {"items": [[item, "popularity"] for item in items]} | decided(minute, **claims)
    return fact(message_id, minute + 1, "", name=EXPOSED, items=(), props=props)


def clicked(message_id: str, minute: float, item: str) -> Fact:
    props = {"item": item} | decided(minute - 1)
    return fact(message_id, minute, "", name=CLICKED, items=(), props=props)


def shown(facts: Sequence[Fact]) -> dict[str, int]:
    """Item -> how often it was shown, by the document."""
    found = profile.document(profile.folded(facts, currency="EUR"), declared={})
    return {item: times for item, (times, _) in found.get("shown", {}).items()}


def seen(state: profile.State) -> dict[str, Any]:
    """What anybody can read of a state."""
    return {
        "document": profile.document(state, declared={"tier": False, "name": False}),
        "traits": profile.traits(state),
    }


def folded(facts: Sequence[Fact], cuts: Sequence[int] = ()) -> dict[str, Any]:
    """Fold in batches; where only the whole log is exact, fold that, as the processor does."""
    state: profile.State = {}
    done: list[Fact] = []
    at = 0
    for cut in [*sorted(cuts), len(facts)]:
        batch = facts[at : max(at, cut)]
        at = max(at, cut)
        done += batch
        if profile.fold(state, batch, currency="EUR"):
            state = profile.folded(done, currency="EUR")
    return seen(state)


kinds = st.sampled_from(
    ["view", "add", "remove", "cart", "order", "refund", "cancel", "wishlist", "", "search"]
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[list[Fact], list[Fact], list[int]]:
    """A log, the same in another order, and where batches end."""
    size = draw(st.integers(1, 40))
    facts = []
    for index in range(size):
        kind = draw(kinds)
        if kind == "" and draw(st.booleans()):
            minute, item = draw(st.integers(0, 300)) * 10, f"sku{draw(st.integers(0, 5))}"
            token_event = draw(st.sampled_from([exposed, exposed, clicked]))
            facts.append(token_event(f"m{index}", minute, item))
            continue
        facts.append(
            fact(
                f"m{index}",
                draw(st.integers(0, 300)) * 10,
                kind,
                items=tuple(
                    (f"sku{number}", 1, 100)
                    for number in draw(st.lists(st.integers(0, 5), max_size=2))
                ),
                value_minor=draw(st.none() | st.integers(0, 5000))
                if kind in ("order", "refund")
                else None,
                currency=draw(st.sampled_from(["EUR", "EUR", "USD"])),
                order_id=draw(st.sampled_from(["o1", "o2", "o3", ""])),
                traits=draw(
                    st.none()
                    | st.dictionaries(
                        st.sampled_from(["tier", "name"]), st.sampled_from(["a", "b", None])
                    )
                ),
                country=draw(st.sampled_from(["", "DE", "FR"])),
                session=draw(st.sampled_from(["", "", "s1", "s2"])),
            )
        )
    return facts, draw(st.permutations(facts)), draw(st.lists(st.integers(0, size), max_size=6))


@given(logs())
@settings(max_examples=150, deadline=None)
def test_fold__any_order_and_any_batches__the_same_profile(
    case: tuple[list[Fact], list[Fact], list[int]],
) -> None:
    facts, shuffled, cuts = case
    assert folded(shuffled, cuts) == folded(facts)


@given(st.permutations(range(140)), st.lists(st.integers(0, 140), max_size=5))
@settings(max_examples=8, deadline=None)
def test_fold__more_than_its_bounds_hold__the_same_profile(
    order: list[int], cuts: list[int]
) -> None:
    facts = [
        fact(
            f"m{n}",
            n * 60 * 30,
            "order" if n % 2 else "view",
            items=((f"sku{n}", 1, 100),),
            order_id=f"o{n}",
            value_minor=n,
        )
        for n in range(140)
    ]
    assert folded([facts[n] for n in order], cuts) == folded(facts)


def test_fold__orders_beyond_the_bound__summed_and_late_words_ask_for_the_log() -> None:
    facts = [
        fact(f"m{n}", n * 100, "order", order_id=f"o{n}", value_minor=100)
        for n in range(profile.ORDERS + 50)
    ]
    state: profile.State = {}
    for one in facts[: profile.ORDERS]:
        assert not profile.fold(state, [one], currency="EUR")
    profile.fold(state, facts[profile.ORDERS :], currency="EUR")

    assert profile.orders(state)[:2] == (350, 35_000)
    refund = fact("r", 999_999, "refund", order_id="o1", value_minor=40)
    assert profile.fold(state, [refund], currency="EUR")
    exact = profile.folded([*facts, refund], currency="EUR")
    assert profile.orders(exact)[:2] == (350, 35_000 - 40)


def test_fold__refunds_without_orders_without_end__bounded() -> None:
    state: profile.State = {}
    for n in range(profile.ORDERS * 2):
        profile.fold(state, [fact(f"m{n}", n, "refund", order_id=f"o{n}")], currency="EUR")

    assert len(state["o"]) == profile.ORDERS


def test_sessions__thirty_minutes_apart__two_and_a_late_event_joins_them() -> None:
    state = profile.folded([fact("a", 0), fact("b", 31), fact("c", 50)], currency="EUR")
    assert profile.sessions(state) == 2

    profile.fold(state, [fact("late", 15)], currency="EUR")

    assert profile.sessions(state) == 1


def test_sessions__named_by_the_client__the_name_wins() -> None:
    named = [fact("a", 0, session="s1"), fact("b", 60, session="s1"), fact("c", 61, session="s2")]
    assert profile.sessions(profile.folded(named, currency="EUR")) == 2


def test_orders__refund_cancel_and_other_currency__worth_in_the_shops_own() -> None:
    state = profile.folded(
        [
            fact("c", 9, "cancel", order_id="o3"),
            fact("r", 5, "refund", order_id="o1", value_minor=300),
            fact("a", 1, "order", order_id="o1", value_minor=1000),
            fact("b", 2, "order", order_id="o2", value_minor=500, currency="USD"),
            fact("d", 3, "order", order_id="o3", value_minor=700),
            fact("e", 4, "order", order_id="o4", value_minor=900),
            fact("f", 6, "refund", order_id="o4"),
        ],
        currency="EUR",
    )
    assert profile.orders(state)[:2] == (3, 700)


def test_cart__added_removed_and_ordered__what_is_left() -> None:
    facts = [
        fact("a", 1, "add", items=(("x", 1, None),)),
        fact("o", 2, "order", order_id="o1"),
        fact("b", 3, "add", items=(("y", 1, None),)),
        fact("c", 4, "add", items=(("z", 1, None),)),
        fact("d", 5, "remove", items=(("y", 1, None),)),
    ]
    assert profile.cart(profile.folded(facts, currency="EUR")) == ["z"]


def test_cart__seen_as_a_whole__replaces_what_was_put_in_one_by_one() -> None:
    def one(item: str) -> tuple[tuple[str, int, None], ...]:
        return ((item, 1, None),)

    facts = [
        fact("a", 1, "add", items=one("old")),
        fact("v", 2, "cart", items=(*one("x"), *one("y"))),
        fact("b", 3, "remove", items=one("x")),
        fact("c", 4, "add", items=one("z")),
    ]
    assert profile.cart(profile.folded(facts, currency="EUR")) == ["z", "y"]
    late = [*facts, fact("w", 0, "cart", items=one("late"))]
    assert profile.cart(profile.folded(late, currency="EUR")) == ["z", "y"]
    emptied = [*facts, fact("e", 5, "cart", items=())]
    assert profile.cart(profile.folded(emptied, currency="EUR")) == []
    ordered = [*facts, fact("o", 5, "order", order_id="o1", items=())]
    assert profile.cart(profile.folded(ordered, currency="EUR")) == []


def test_parse__cart_viewed__its_list_or_nothing() -> None:
    listed = {"products": [{"product_id": "x"}, {"sku": "y"}]}
    assert [item for item, _, _ in parse("cart", "Cart Viewed", listed, "EUR")[1]] == ["x", "y"]
    assert parse("cart", "Cart Viewed", {"products": []}, "EUR")[0] == "cart"
    assert parse("cart", "Cart Viewed", {"value": 3}, "EUR")[0] == ""


def test_document__personal_and_undeclared_traits__stay_out() -> None:
    state = profile.folded(
        [fact("a", 1, traits={"tier": "gold", "email": "a@b", "own": 1})], currency="EUR"
    )
    found = profile.document(state, declared={"tier": False, "email": True})
    assert found["traits"] == {"tier": "gold"}
    assert profile.document({}, declared={}) == {}


def test_parse__an_order_in_yen__whole_units_and_items() -> None:
    properties = {
        "order_id": 7,
        "currency": "jpy",
        "total": 1200,
        "products": [{"sku": "s1", "quantity": 2, "price": 600}, {"name": "no key"}, 5],
    }
    found = parse("order", "Order Completed", properties, "EUR")
    assert found == ("order", (("s1", 2, 600),), 1200, "JPY", "7")
    without = {key: value for key, value in properties.items() if key != "total"}
    assert parse("order", "Order Completed", without, "EUR")[2] == 1200
    assert parse("refund", "Order Cancelled", {"order_id": "o"}, "EUR")[0] == "cancel"
    assert (minor(19.99, "EUR"), minor(1.5, "KWD"), minor("3", "EUR")) == (1999, 1500, None)


@given(st.permutations(range(300)), st.lists(st.integers(0, 300), max_size=4))
@settings(max_examples=15, deadline=None)
def test_traits__more_and_larger_than_are_kept__the_same_in_any_order(
    order: list[int], cuts: list[int]
) -> None:
    sizes = (1, 20, 60, 200, 250, 900, 1100)
    facts = [
        fact(f"m{n}", n // 3, traits={f"k{n * 7 % 140}": "x" * sizes[n % len(sizes)]})
        for n in range(300)
    ]
    assert folded([facts[n] for n in order], cuts) == folded(facts)


def test_traits__more_than_any_person_has__sixteen_kilobytes_stay() -> None:
    facts = [
        fact(f"m{n}", n, traits={f"k{n}": "x" * size, "huge": "y" * 2000})
        for n, size in enumerate([50, 240, 1000] * 200)
    ]
    state = profile.folded(facts, currency="EUR")

    traits = profile.traits(state)
    assert 15_000 < sum(len(key) + len(value) for key, value in traits.items()) <= 16 * 1024
    assert "huge" not in traits
    assert len(json.dumps(state)) < 40_000


def test_traits__value_grows_and_shrinks__the_latest_word_counts() -> None:
    facts = [
        fact(f"m{n}", n, traits={"bio": value})
        for n, value in enumerate(["x" * 500, "short", "x" * 200])
    ]
    for upto, value in ((1, "x" * 500), (2, "short"), (3, "x" * 200)):
        assert profile.traits(profile.folded(facts[:upto], currency="EUR")) == {"bio": value}
    gone = [*facts, fact("m9", 9, traits={"bio": None})]
    assert profile.traits(profile.folded(gone, currency="EUR")) == {}


def test_shown__since_the_last_click_or_purchase__once_a_decision() -> None:
    facts = [
        exposed("a", 0, "mug", "cup", "pan"),
        exposed("a again", 0, "mug"),
        exposed("b", 10, "mug", "cup", "pan"),
        clicked("c", 20, "cup"),
        fact("o", 25, "order", order_id="o1", items=(("pan", 1, 100),)),
        exposed("d", 30, "mug", "cup"),
    ]
    assert shown(facts) == {"mug": 3, "cup": 1}
    assert shown([*facts, *facts]) == shown(facts[::-1]) == shown(facts)
    assert shown([*facts, clicked("late", 15, "mug")]) == {"cup": 1, "mug": 1}


def test_shown__content_or_without_a_token__nothing() -> None:
    plain = fact("b", 0, "", name=EXPOSED, props={"items": [["mug", ""]]})
    assert shown([exposed("a", 0, "mug", strategy=""), plain, fact("c", 1, props=None)]) == {}
    assert shown([plain._replace(name="Product List Viewed", props=decided(0))]) == {}


def test_shown__two_weeks_later__forgotten() -> None:
    days = 24 * 60
    facts = [exposed("a", 0, "mug", "cup"), exposed("b", (showings.DAYS - 1) * days, "cup")]
    assert shown(facts) == {"cup": 2, "mug": 1}
    assert shown([*facts, exposed("c", (showings.DAYS + 1) * days, "pan")]) == {"cup": 1, "pan": 1}


@given(st.permutations(range(60)), st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=15, deadline=None)
def test_shown__more_than_is_kept__the_same_in_any_order(order: list[int], cuts: list[int]) -> None:
    facts = [
        exposed(f"m{n}", n * 5, *(f"sku{(n * 7 + place) % 97}" for place in range(20)))
        if n % 6
        else clicked(f"m{n}", n * 5, f"sku{n}")
        for n in range(60)
    ]
    assert folded([facts[n] for n in order], cuts) == folded(facts)


def test_shown__every_page_for_years__a_few_kilobytes() -> None:
    state: profile.State = {}
    for n in range(400):
        items = [f"sku-{(n * 12 + place) % 5000:04}" for place in range(100)]
        profile.fold(state, [exposed(f"m{n}", n, *items)], currency="EUR")
        profile.fold(state, [clicked(f"c{n}", n + 3, items[50])], currency="EUR")

    found = profile.document(state, declared={})["shown"]
    assert len(found) == showings.ITEMS
    assert len(json.dumps(found, separators=(",", ":"))) < 1_600
    kept = {key: state[key] for key in ("e", "ec")}
    assert len(json.dumps(kept, separators=(",", ":"))) < 10_500
