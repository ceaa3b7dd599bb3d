"""The profile of a customer as a fold over facts: the same whatever order they arrive in.

The state is plain JSON data. Each part is a sum, a maximum, or the newest few by a total order, so
that folding is commutative; what is cut away by a bound is kept as a sum with the time up to which
it reaches, and a fact that could change such a sum asks for an exact fold of the customer's whole
log (`fold` returns True).

Keys of the state: n events, k counts by kind, f/l first and last time, r recent items, b bought
items, e/ec what was shown and clicked (`showings`), c cart, w the latest list of the whole cart, q
time up to which orders emptied it, t/tm/tl traits by size, x device and place, s sessions, sc
closed sessions [count, until], o orders, oc closed orders [count, revenue, last]. All times but
those of e/ec are microseconds since the epoch.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from personalization.customers.engine import showings
from personalization.customers.engine.bounds import SLACK, newest
from personalization.customers.engine.facts import TOKEN_EVENTS, Fact

State = dict[str, Any]

RECENT = 50
BOUGHT = 100
CART = 50
# Traits by the size of key and value: place in the state, largest in bytes, how many are kept.
# Together 16 KB at most; what is larger than the last is not kept. Each size is bounded by itself:
# were the newest kept until 16 KB are full, a value that shrinks would make room for one already
# thrown away, and the order of arrival would show.
TRAITS = (("t", 64, 96), ("tm", 256, 20), ("tl", 1024, 5))
SESSIONS = 60
ORDERS = 300
# A session ends after 30 minutes without an event (docs/algorithms/profiles.md); one that the
# client names, after a day.
SESSION_GAP_US = 30 * 60 * 1_000_000
NAMED_GAP_US = 24 * 3600 * 1_000_000
_ITEM_KINDS = frozenset({"view", "add", "remove", "order", "wishlist", "review", "dwell"})
_PLACE = ("device_type", "country", "region", "locale", "timezone")
_PLACE_FIELDS = tuple((key, Fact._fields.index(key)) for key in _PLACE)
_time = attrgetter("occurred_us")
# What a 64-bit column holds with room to spare; an order is worth at most a millionth of it.
MAX_REVENUE_MINOR = 10**18
# One order in the state: [time, worth or None, refunded, flags, time of the last word on it].
_FULL_REFUND, _CANCELLED = 1, 2


def fold(state: State, facts: Iterable[Fact], *, currency: str) -> bool:
    """Fold the facts into the state, in place.

    Return whether only a fold of the whole log would be exact.

    Each fact must be folded once. `currency` is the shop's: worth in another is not added.
    """
    ordered = sorted(facts, key=_time)
    if not ordered:
        return False
    first, last = ordered[0].occurred_us, ordered[-1].occurred_us
    state["n"] = state.get("n", 0) + len(ordered)
    state["f"] = min(first, state.get("f", first))
    state["l"] = max(last, state.get("l", last))
    _place(state, ordered)
    inexact = _sessions(state, ordered)
    inexact |= _kinds(state, ordered, currency)
    _bound(state)
    return inexact


def folded(facts: Iterable[Fact], *, currency: str) -> State:
    """Return the state of a customer whose whole log is `facts`."""
    state: State = {}
    fold(state, facts, currency=currency)
    return state


def orders(state: State) -> tuple[int, int, int | None]:
    """Return (orders that stand, their worth less refunds in minor units, time of the latest).

    The worth stops at MAX_REVENUE_MINOR on either side, where no shop's sums are.
    """
    count, revenue, last = state.get("oc", (0, 0, None))
    for at, worth, refunded, flags, _ in state.get("o", {}).values():
        if at is None or flags & _CANCELLED:
            continue
        count += 1
        revenue += _net(worth, refunded, flags)
        last = at if last is None else max(last, at)
    return count, max(-MAX_REVENUE_MINOR, min(revenue, MAX_REVENUE_MINOR)), last


def sessions(state: State) -> int:
    """How many sessions the customer has had."""
    return int(state.get("sc", (0, 0))[0]) + len(state.get("s", ()))


def traits(state: State) -> dict[str, Any]:
    """Return the traits in force: the latest word on each key; a null takes a trait away."""
    latest: dict[str, Any] = {}
    for place, _, most in TRAITS:
        for key, word in newest(state.get(place, {}), most).items():
            if key not in latest or latest[key][:2] < word[:2]:
                latest[key] = word
    return {key: value for key, (_, _, value) in latest.items() if value is not None}


def place(state: State) -> dict[str, str]:
    """Return the latest known device type, country, region, locale and time zone."""
    known = state.get("x", {})
    return {key: known[key][1] if key in known else "" for key in _PLACE}


def cart(state: State) -> list[str]:
    """Return the items in the cart, latest first."""
    emptied = state.get("q", 0)
    listed_at, listed = state.get("w", (0, ()))
    if listed_at > emptied:
        emptied = listed_at
    else:
        listed = ()
    words = newest(state.get("c", {}), CART)
    later = {item: word for item, word in words.items() if word[0] > emptied}
    held = [(at, item) for item, (at, op) in later.items() if op]
    held += [(emptied, item) for item in listed if item not in later]
    return [item for _, item in sorted(held, reverse=True)][:CART]


def document(state: State, *, declared: Mapping[str, bool]) -> dict[str, Any]:
    """Return what serving reads.

    `declared` says of each declared trait whether it is personal; those stay out.
    """
    if not state.get("n"):
        return {}
    recent = sorted(((at, key) for key, at in state["r"].items()), reverse=True)[:RECENT]
    bought = newest(state.get("b", {}), BOUGHT)
    count, revenue, last_order = orders(state)
    found: dict[str, Any] = {
        "recent": [[*key.split(":", 1), at / 1e6] for at, key in recent],
        "bought": {item: at / 1e6 for item, at in bought.items()},
        "cart": cart(state),
        "traits": {k: v for k, v in traits(state).items() if declared.get(k) is False},
        "events": state["n"],
        "sessions": sessions(state),
        "orders": count,
        "revenue_minor": revenue,
        "first_seen": state["f"] / 1e6,
        "last_seen": state["l"] / 1e6,
        "last_order": None if last_order is None else last_order / 1e6,
        "counts": state["k"],
    }
    found.update({key: value for key, value in place(state).items() if value})
    shown = showings.unwanted(state, bought)
    if shown:
        found["shown"] = shown
    return found


def _net(worth: int | None, refunded: int, flags: int) -> int:
    if worth is None or flags & _FULL_REFUND:
        return 0
    return worth - refunded


def _kinds(state: State, facts: Sequence[Fact], currency: str) -> bool:
    """Let counts, recent items and what each kind of fact means take in the facts."""
    inexact = False
    counts = state.setdefault("k", {})
    recent = state.setdefault("r", {})
    for fact in facts:
        kind = fact.kind
        if kind:
            counts[kind] = counts.get(kind, 0) + 1
            if kind in _ITEM_KINDS:
                at = fact.occurred_us
                for item, _, _ in fact.items:
                    key = f"{kind}:{item}"
                    if recent.get(key, at) <= at:
                        recent[key] = at
            step = _STEPS.get(kind)
            if step is not None:
                inexact |= step(state, fact, currency)
        if fact.name in TOKEN_EVENTS:
            showings.fold(state, fact)
        if fact.traits:
            _traits(state, fact)
    return inexact


def _place(state: State, facts: Sequence[Fact]) -> None:
    """Keep the latest word on each key; of two at one moment the greater."""
    known = state.setdefault("x", {})
    for key, field in _PLACE_FIELDS:
        found: tuple[int, str] | None = None
        for fact in reversed(facts):
            if found is not None and fact.occurred_us < found[0]:
                break
            value: str = fact[field]
            if value and (found is None or found[1] < value):
                found = fact.occurred_us, value
        if found is not None and (key not in known or tuple(known[key]) < found):
            known[key] = list(found)


def _traits(state: State, fact: Fact) -> None:
    stamp = [fact.occurred_us, fact.message_id]
    for key, value in (fact.traits or {}).items():
        size = _size(key, value)
        place = next((place for place, largest, _ in TRAITS if size <= largest), None)
        if place is None:
            continue
        held = state.setdefault(place, {})
        if key not in held or held[key][:2] < stamp:
            held[key] = [*stamp, value]


def _size(key: str, value: Any) -> int:
    """Return the bytes of key and value as JSON, about."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(key.encode("utf-8", "replace")) + len(text.encode("utf-8", "replace"))


def _sessions(state: State, facts: Sequence[Fact]) -> bool:
    """Let the session intervals take in the moments of the facts."""
    inexact = False
    spans = state.setdefault("s", [])
    last = spans[-1] if spans else None
    for fact in facts:
        at, name = fact.occurred_us, fact.session
        gap = NAMED_GAP_US if name else SESSION_GAP_US
        if last is not None and last[0] == name and last[1] <= at <= last[2] + gap:
            last[2] = max(last[2], at)  # the common case: the latest session goes on
            continue
        inexact |= _session(state, name, at, gap)
        last = spans[-1]
    return inexact


def _session(state: State, name: str, at: int, gap: int) -> bool:
    """Let the session intervals take in one moment; they merge as if all had come in order."""
    spans = state["s"]
    low = high = at
    for index in range(len(spans) - 1, -1, -1):
        span = spans[index]
        if span[2] + NAMED_GAP_US < at:
            break
        if span[0] == name and span[1] - gap <= at <= span[2] + gap:
            low, high = min(low, span[1]), max(high, span[2])
            del spans[index]
    spans.append([name, low, high])
    spans.sort(key=_by_end)
    closed = state.get("sc")
    return closed is not None and at - NAMED_GAP_US <= closed[1]


def _by_end(span: list[Any]) -> tuple[int, int, str]:
    return span[2], span[1], span[0]


def _order(state: State, fact: Fact, currency: str) -> bool:
    at = fact.occurred_us
    state["q"] = max(state.get("q", 0), at)
    bought = state.setdefault("b", {})
    for item, _, _ in fact.items:
        if bought.get(item, at) <= at:
            bought[item] = at
    worth = fact.value_minor if fact.currency == currency else None
    entry, unknown = _entry(state, fact)
    if entry[0] is None or (entry[0], entry[1] or 0) < (at, worth or 0):
        entry[0], entry[1] = at, worth
    return unknown


def _refund(state: State, fact: Fact, currency: str) -> bool:
    entry, unknown = _entry(state, fact)
    if fact.value_minor is None:
        entry[3] |= _FULL_REFUND
    elif fact.currency == currency:
        entry[2] += fact.value_minor
    return unknown


def _cancel(state: State, fact: Fact, _currency: str) -> bool:
    entry, unknown = _entry(state, fact)
    entry[3] |= _CANCELLED
    return unknown


def _entry(state: State, fact: Fact) -> tuple[list[Any], bool]:
    """Place of the order, and whether it may be one whose place was given up."""
    held = state.setdefault("o", {})
    key = fact.order_id or f"message {fact.message_id}"
    known = key in held
    if not known:
        held[key] = [None, None, 0, 0, fact.occurred_us]
    entry = held[key]
    entry[4] = max(entry[4], fact.occurred_us)
    return entry, not known and "oc" in state


def _cart(state: State, fact: Fact, _currency: str) -> bool:
    held = state.setdefault("c", {})
    word = [fact.occurred_us, 1 if fact.kind == "add" else 0]
    for item, _, _ in fact.items:
        if item not in held or held[item] < word:
            held[item] = word
    return False


def _listed(state: State, fact: Fact, _currency: str) -> bool:
    """Keep the latest list of the whole cart; of two at one moment the greater."""
    word = [fact.occurred_us, sorted({item for item, _, _ in fact.items})[:CART]]
    if "w" not in state or list(state["w"]) < word:
        state["w"] = word
    return False


_STEPS = {
    "order": _order,
    "refund": _refund,
    "cancel": _cancel,
    "add": _cart,
    "remove": _cart,
    "cart": _listed,
}


_BOUNDS = (
    ("r", RECENT),
    ("b", BOUGHT),
    ("c", CART),
    *((place, most) for place, _, most in TRAITS),
)


def _bound(state: State) -> None:
    """Cut each part to its newest entries. Orders and sessions leave their sums behind."""
    for key, most in _BOUNDS:
        held = state.get(key)
        if held is not None and len(held) > most * SLACK:
            state[key] = newest(held, most)
    spans = state.get("s", [])
    if len(spans) > SESSIONS:
        closed, until = state.get("sc", (0, 0))
        old, state["s"] = spans[:-SESSIONS], spans[-SESSIONS:]
        state["sc"] = [closed + len(old), max(until, *(span[2] for span in old))]
    if len(state.get("o", ())) > ORDERS:
        _close_orders(state)


def _close_orders(state: State) -> None:
    """Sum up the orders that nobody has spoken of for longest.

    A refund without its order leaves no sum.
    """
    held = state["o"]
    oldest = sorted(held, key=lambda key: (held[key][4], key))
    count, revenue, last = state.get("oc", (0, 0, None))
    for key in oldest[: len(held) - ORDERS]:
        at, worth, refunded, flags, _ = held.pop(key)
        if at is not None and not flags & _CANCELLED:
            count, revenue = count + 1, revenue + _net(worth, refunded, flags)
            last = at if last is None else max(last, at)
    state["oc"] = [count, revenue, last]
