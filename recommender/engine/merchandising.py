"""What a merchandiser asks of a shelf, as plain data and as frozen values, and every fault of it.

One parse function for the JSON that the table holds, the API takes and a config version carries.
Rules on products are those of docs/rules.md; whoever calls says how they are judged.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from personalization.lib.errors import Problem
from personalization.lib.storable import shown, unstorable
from recommender.engine.rulemasks import ProductRule
from segments.engine.values import is_number

# Returns the faults of a rule on products.
Judge = Callable[[Mapping[str, Any]], Sequence[Problem]]

MOST_ROWS = 20
MOST_PLACES = 100
MAX_DAYS = 3650
# All boosts of one item together; see engine.selecting.
MOST_BOOST = 50.0
_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Boost:
    """Scores of products that the rule holds for are multiplied: above 1 lifts, below 1 sinks."""

    rule: ProductRule
    factor: float


@dataclass(frozen=True, slots=True)
class Pin:
    """A product that stands at a place, counted from 1, when it can be shown."""

    item: str
    place: int


@dataclass(frozen=True, slots=True)
class Quota:
    """At least so many of the shelf come from products that the rule holds for."""

    rule: ProductRule
    least: int
    title: str


@dataclass(frozen=True, slots=True)
class Fatigue:
    """Products shown `after` times without a click sink by `factor`, again at each time more."""

    after: int
    factor: float


@dataclass(frozen=True, slots=True)
class Exploration:
    """The share of places that products new to the catalogue (`days`) get by chance."""

    share: float
    days: float


@dataclass(frozen=True, slots=True)
class Merchandising:
    """All of it. `readmission_days`: category -> days, instead of the strategy's own.

    `caps`: of one "brand" or "category" at most so many. `margin` in [0, 1]: how much a product's
    margin (attribute `margin`, a share of its price) adds to its score. `editorial`: products shown
    where nothing else is left, in this order.
    """

    filter: ProductRule | None = None
    boosts: tuple[Boost, ...] = ()
    bury: ProductRule | None = None
    pins: tuple[Pin, ...] = ()
    quotas: tuple[Quota, ...] = ()
    caps: tuple[tuple[str, int], ...] = ()
    diversity: float = 0.0
    margin: float = 0.0
    fatigue: Fatigue | None = None
    exclude_seen: bool = False
    exclude_cart: bool = True
    readmission_days: tuple[tuple[str, int], ...] = ()
    exploration: Exploration | None = None
    editorial: tuple[str, ...] = ()

    def rules(self) -> Iterator[ProductRule]:
        """Yield every rule on products."""
        for rule in (self.filter, self.bury):
            if rule is not None:
                yield rule
        yield from (one.rule for one in self.boosts)
        yield from (one.rule for one in self.quotas)


def given(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that say something: null is as good as absent, in all that is read."""
    return {name: value for name, value in data.items() if value is not None}


def parse(data: Mapping[str, Any]) -> Merchandising:
    """Return the values of JSON that `faults` has passed; what is absent is the default."""
    data = given(data)
    explore, tired = data.get("exploration"), data.get("fatigue")
    return Merchandising(
        filter=_optional(data.get("filter")),
        boosts=tuple(
            Boost(ProductRule.of(b["rule"]), float(b["factor"])) for b in _rows(data, "boosts")
        ),
        bury=_optional(data.get("bury")),
        pins=tuple(Pin(one["item"], int(one["place"])) for one in _rows(data, "pins")),
        quotas=tuple(
            Quota(ProductRule.of(one["rule"]), int(one["least"]), one.get("title", ""))
            for one in _rows(data, "quotas")
        ),
        caps=tuple(
            (name, int(data["caps"][name])) for name in CAPS if data.get("caps", {}).get(name)
        ),
        diversity=float(data.get("diversity", 0.0)),
        margin=float(data.get("margin", 0.0)),
        fatigue=Fatigue(int(tired["after"]), float(tired["factor"])) if tired else None,
        exclude_seen=bool(data.get("exclude_seen", False)),
        exclude_cart=bool(data.get("exclude_cart", True)),
        readmission_days=tuple(sorted(data.get("readmission_days", {}).items())),
        exploration=Exploration(float(explore["share"]), float(explore["days"]))
        if explore
        else None,
        editorial=tuple(data.get("editorial", ())),
    )


def _optional(rule: Mapping[str, Any] | None) -> ProductRule | None:
    return ProductRule.of(rule) if rule else None


def _rows(data: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = data.get(name, ())
    return rows


CAPS = ("brand", "category")


def faults(data: Any, judge: Judge) -> list[Problem]:
    """Return every fault, each with its path."""
    if not isinstance(data, Mapping):
        return [Problem("", "is an object")]
    found = list(unstorable(data))
    if found:
        return found
    for name, value in data.items():
        check = _CHECKS.get(name)
        if check is None:
            found.append(Problem(shown(name), f"is not known; use {', '.join(_CHECKS)}"))
        elif value is not None:
            found += check(value, name, judge)
    return found


# --- Checks of one member: (value, path, judge) -> faults


Found = Iterator[Problem]
Check = Callable[[Any, str, Judge], Found]


def _rule(value: Any, path: str, judge: Judge) -> Found:
    for one in judge(value):
        yield Problem(f"{path}.{one.path}" if one.path else path, one.problem)


def _number(low: float, high: float, *, whole: bool = False) -> Check:
    words = f"is a {'whole ' if whole else ''}number from {low:g} to {high:g}"

    def check(value: Any, path: str, _judge: Judge) -> Found:
        fits = is_number(value) and low <= value <= high and (not whole or value == int(value))
        if not fits:
            yield Problem(path, words)

    return check


def _flag(value: Any, path: str, _judge: Judge) -> Found:
    if not isinstance(value, bool):
        yield Problem(path, "is true or false")


def _text(value: Any, path: str, _judge: Judge) -> Found:
    if not isinstance(value, str) or len(value) > _KEY_LENGTH:
        yield Problem(path, f"is a text of at most {_KEY_LENGTH} characters")


def _key(value: Any, path: str, judge: Judge) -> Found:
    yield from _text(value, path, judge)
    if value == "":
        yield Problem(path, "is empty")


def _object(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    members = {**required, **optional}

    def check(value: Any, path: str, judge: Judge) -> Found:
        if not isinstance(value, Mapping):
            yield Problem(path, f"is an object with {', '.join(required or members)}")
            return
        for name in value:
            if name not in members:
                yield Problem(f"{path}.{name}", f"is not known; use {', '.join(members)}")
        for name, inner in members.items():
            if name in value:
                yield from inner(value[name], f"{path}.{name}", judge)
            elif name in required:
                yield Problem(f"{path}.{name}", "is missing")

    return check


def _list(inner: Check, most: int = MOST_ROWS) -> Check:
    def check(value: Any, path: str, judge: Judge) -> Found:
        if not isinstance(value, list | tuple) or len(value) > most:
            yield Problem(path, f"is a list of at most {most}")
            return
        for place, one in enumerate(value):
            yield from inner(one, f"{path}[{place}]", judge)

    return check


def _by_key(inner: Check, most: int = 200) -> Check:
    def check(value: Any, path: str, judge: Judge) -> Found:
        if not isinstance(value, Mapping) or len(value) > most:
            yield Problem(path, f"is an object with at most {most} members")
            return
        for name, one in value.items():
            yield from inner(one, f"{path}.{name}", judge)

    return check


def _pins(value: Any, path: str, judge: Judge) -> Found:
    found = list(_PINS(value, path, judge))
    yield from found
    if found:
        return
    for name, word in (("item", "product"), ("place", "place")):
        given = [one[name] for one in value]
        for place, one in enumerate(given):
            if given.index(one) != place:
                yield Problem(f"{path}[{place}].{name}", f"the same {word} is pinned twice")


_PINS = _list(
    _object({"item": _key, "place": _number(1, MOST_PLACES, whole=True)}, {}), MOST_PLACES
)
_CHECKS: Mapping[str, Check] = {
    "filter": _rule,
    "boosts": _list(_object({"rule": _rule, "factor": _number(0, 10)}, {})),
    "bury": _rule,
    "pins": _pins,
    "quotas": _list(
        _object({"rule": _rule, "least": _number(1, MOST_PLACES, whole=True)}, {"title": _text})
    ),
    "caps": _object({}, {name: _number(1, MOST_PLACES, whole=True) for name in CAPS}),
    "diversity": _number(0, 1),
    "margin": _number(0, 1),
    "fatigue": _object({"after": _number(1, 1000, whole=True), "factor": _number(0, 1)}, {}),
    "exclude_seen": _flag,
    "exclude_cart": _flag,
    "readmission_days": _by_key(_number(0, MAX_DAYS, whole=True)),
    "exploration": _object({"share": _number(0, 1), "days": _number(1, MAX_DAYS)}, {}),
    "editorial": _list(_key, MOST_PLACES),
}
