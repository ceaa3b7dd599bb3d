"""More than a customer's state may hold: many events, many values, long texts; the truth stays."""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import (
    DAY,
    HOUR,
    T0,
    Rule,
    Sent,
    around,
    counted,
    last,
    worked,
)

# States are capped at 256 entries a leaf.
MANY = 300
_LONG = "long " * 50


def _many(*, late: Sequence[float] = (), name: str = "view") -> list[Sent]:
    """Return one event a minute, of the values 0 to 299, that arrive in three batches."""
    arrivals = (T0 + 100 * 60, T0 + 200 * 60, T0 + MANY * 60)
    sent = [
        Sent("u", T0 + i * 60, name, {"n": i}, late=arrivals[i // 100] - (T0 + i * 60))
        for i in range(MANY)
    ]
    end = T0 + MANY * 60
    return [*sent, *(Sent("u", at, name, {"n": 0.5}, late=end + 600 - at) for at in late)]


def many() -> Iterator[Case]:
    end = T0 + MANY * 60
    gone = T0 + DAY
    yield worked(
        "many-counted",
        counted(last(DAY), "between", [299, 301]),
        {end: "u", end + 600: "u", gone - 1: "u", gone: "u", gone + 59: "u", gone + 60: ""},
        sent=_many(late=[T0 + 30]),
    )
    yield worked(
        "many-counted-exactly",
        counted(last(DAY), "eq", 1),
        {end: "", gone: "", T0 + 298 * 60 + DAY - 1: "", T0 + 298 * 60 + DAY: "u", end + DAY: ""},
        sent=_many(),
    )
    for agg, value, early in (
        # 0 to 299, and once a half; then the first leaves, which is a zero
        ("sum", 44850.5, "u"),
        ("avg", 149.004983, "u"),
        ("distinct", 301, "u"),
        ("first", 0, "u"),
        ("min", 0, "u"),
        ("max", 299, "u"),
        ("last", 299, "u"),
    ):
        leaf: Rule = {"prop": "n", "agg": agg, "op": "eq", "value": value}
        stays = "u" if agg in ("sum", "max", "last") else ""
        yield worked(
            f"many-{agg}",
            counted(last(DAY), kind="aggregate", **leaf),
            {end + 600: early, gone - 1: early, gone: stays, end + DAY: ""},
            sent=_many(late=[T0 + 30]),
            clock=[*around(gone + 60), T0 + 299 * 60 + DAY - 1],
        )
    yield worked(
        "many-starts-of-a-sequence",
        {
            "kind": "sequence",
            "window": last(DAY),
            "steps": [{"event": "view"}, {"event": "cart", "within": 30}, {"event": "order"}],
        },
        {end + 1: "", end + 700: "", end + 800: "u", gone + 59: "u", gone + 60: ""},
        # the cart follows the second view alone closely enough, and comes late
        sent=[
            *_many(),
            Sent("u", T0 + 90, "cart", late=end + 700 - T0 - 90),
            Sent("u", end + 800, "order"),
        ],
    )
    yield worked(
        "many-then-not",
        {
            "kind": "then_not",
            "a": {"event": "view"},
            "b": {"event": "cart"},
            "after": HOUR,
            "window": last(DAY),
        },
        {end: "", end + HOUR - 61: "", end + HOUR - 60: "u", end + 2 * HOUR: ""},
        sent=[*_many(), Sent("u", end - 30, "cart", late=2 * HOUR + 30)],
    )
    yield from _large()


def _large() -> Iterator[Case]:
    """One event with more than an entry may hold."""
    products = [{"n": i, "name": f"{_LONG}{i}"} for i in range(120)]
    sent = [Sent("u", T0, props={"products": products, "text": _LONG}), Sent("u", T0 + 60)]
    wanted: Sequence[tuple[str, str, Any]] = (
        ("products", "distinct", 1),
        ("products[].n", "sum", 7140),
        ("products[].n", "last", 119),
        ("products[].name", "distinct", 120),
        ("text", "first", _LONG),
        ("text", "last", _LONG),
    )
    for path, agg, value in wanted:
        rule: Rule = counted(last(HOUR), "eq", value, kind="aggregate", prop=path, agg=agg)
        yield worked(
            f"large-{agg}-{path.rpartition('.')[2]}",
            rule,
            {T0: "u", T0 + HOUR - 1: "u", T0 + HOUR: ""},
            sent=sent,
        )
    yield worked(
        "large-where",
        counted(last(HOUR), where=[{"key": "text", "op": "ends_with", "value": "long "}]),
        {T0: "u", T0 + HOUR - 1: "u", T0 + HOUR: ""},
        sent=sent,
    )
