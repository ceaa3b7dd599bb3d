"""Leaves that read what is known beside events, as SQL of one row of the population.

A row has the aliases c (customer), s (consent state) and p (profile).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from personalization.consent.serve import Purposes
from segments.engine.language import Leaf
from segments.engine.values import is_number
from segments.sql import figures
from segments.sql.operators import Place, condition
from segments.sql.pieces import NEVER, UNKNOWN, Params, Truth, certain

# Key of a computed trait -> its column, as jsonb.
_NUMBERS = ("events", "sessions", "orders", "revenue_minor")
_TEXTS = ("country", "region", "locale", "timezone", "device_type")
_TIMES = ("first_seen", "last_seen", "last_order")
CONSENT = "consent."
_SCORES = "segments_score r WHERE r.key = {key} AND {holds}"
_LISTED = (
    "segments_listmember m JOIN segments_segment l ON l.id = m.segment_id "
    "WHERE l.key = {key} AND m.customer_id IS NOT NULL"
)


def in_force(defaults: str) -> str:
    """Return SQL of the purposes in force by the consent `s`, as a mask."""
    return f"(({defaults} | COALESCE(s.granted, 0)) & ~COALESCE(s.denied, 0))"


@dataclass(frozen=True, slots=True)
class Known:
    """What leaves about a row of the population are rendered in.

    `declared`: keys that are read from declared traits although they are computed ones, or consents
    (cases).
    """

    params: Params
    zone: ZoneInfo
    now: int
    purposes: Purposes
    declared: Collection[str] = field(default=frozenset())

    def truth(self, leaf: Leaf) -> Truth:
        """Return whether the leaf holds of the row."""
        return _MAKE[leaf.kind](leaf, self)

    def value(self, key: str) -> str:
        """Return SQL of a trait as jsonb."""
        if key in self.declared or (key not in COMPUTED and not key.startswith(CONSENT)):
            return f"NULLIF(p.traits -> {self.params.add(key, 'text')}, 'null'::jsonb)"
        if key in _NUMBERS:
            return f"to_jsonb(COALESCE(p.{key}, 0))"
        if key in _TEXTS:
            return f"to_jsonb(NULLIF(p.{key}, ''))"
        if key in _TIMES:
            return f"to_jsonb(extract(epoch FROM p.{key}_at))"
        return self._consents(key.removeprefix(CONSENT))

    def in_force(self) -> str:
        """Return SQL of the purposes in force, as a mask."""
        defaults = self.params.add(self.purposes.defaults, "int")
        return in_force(defaults)

    def _consents(self, purpose: str) -> str:
        if purpose not in self.purposes:
            return "NULL::jsonb"
        bit = self.params.add(self.purposes.bit(purpose), "int")
        return f"to_jsonb({self.in_force()} & {bit} <> 0)"


COMPUTED = (*_NUMBERS, *_TEXTS, *_TIMES)


def _profile(leaf: Leaf, known: Known) -> Truth:
    place = Place(known.params, known.zone, known.params.add(known.now, "bigint"))
    subject = known.value(leaf.key)
    return condition(leaf.op, leaf.value, subject, place)


def _score(leaf: Leaf, known: Known) -> Truth:
    numbers = leaf.value if leaf.op == "between" else [leaf.value]
    if not all(map(is_number, numbers)):
        return UNKNOWN
    holds = figures.compares("r.value", leaf.op, leaf.value, known.params, cast="float8")
    rows = _SCORES.format(key=known.params.add(leaf.key, "text"), holds=holds)
    return certain(f"c.id IN (SELECT r.customer_id FROM {rows})")  # noqa: S608 -- parameters only


def _list(leaf: Leaf, known: Known) -> Truth:
    rows = _LISTED.format(key=known.params.add(leaf.key, "text"))
    return certain(f"c.id IN (SELECT m.customer_id FROM {rows})")  # noqa: S608 -- parameters only


def _bucket(leaf: Leaf, known: Known) -> Truth:
    low, high = (_first(edge) for edge in leaf.value)
    salted = f"{known.params.add(f'{leaf.key}:', 'text')} || c.assignment_key"
    share = f"substring(sha256(convert_to({salted}, 'UTF8')) FROM 1 FOR 8)"
    parts = [
        f"{share} {sign} {known.params.add(edge.to_bytes(8), 'bytea')}"
        for edge, sign in ((low, ">="), (high, "<"))
        if edge < _SHARES
    ]
    if low >= _SHARES:
        return NEVER
    return certain(f"({' AND '.join(parts)})")


_SHARES = 2**64


def _first(share: float) -> int:
    """Return the least n for which n / 2^64, as a float, is at least the share; 2^64 for none."""
    low, high = 0, _SHARES
    while low < high:
        middle = (low + high) // 2
        if middle / _SHARES >= share:
            high = middle
        else:
            low = middle + 1
    return low


def _beside(leaf: Leaf, _known: Known) -> Truth:
    """Return what a leaf says with no request or product at hand: everything is missing."""
    return certain("TRUE" if leaf.op == "not_exists" else "FALSE")


_MAKE: Mapping[str, Callable[[Leaf, Known], Truth]] = {
    "profile": _profile,
    "score": _score,
    "list": _list,
    "bucket": _bucket,
    "context": _beside,
    "product": _beside,
}
