"""Purposes as bitmasks: what holds for somebody, given what they said, their browser and the call.

Knows nothing of tables; the ledger's latest words come in as two masks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# The built-in purposes, as mask values. Their rows are made by a migration and cannot be deleted.
ANALYTICS = 1
PERSONALIZATION = 2
MARKETING = 4
# Bits of the masks: 0 to 14, since the event log keeps them in a signed 16-bit column.
BITS = 15


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose: key, mask value, what holds by default, whether `Sec-GPC: 1` denies it."""

    key: str
    title: str
    mask: int
    default_granted: bool
    gpc_denies: bool


@dataclass(frozen=True, slots=True)
class Purposes:
    """All purposes of the shop. Immutable; one instance serves until the next publication."""

    all: tuple[Purpose, ...]
    defaults: int = field(init=False)
    gpc_denied: int = field(init=False)
    _masks: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "defaults", sum(p.mask for p in self.all if p.default_granted))
        put(self, "gpc_denied", sum(p.mask for p in self.all if p.gpc_denies))
        put(self, "_masks", {p.key: p.mask for p in self.all})

    def __contains__(self, key: object) -> bool:
        return key in self._masks

    def bit(self, key: str) -> int:
        """Mask value of a purpose; 0 for an unknown one, so that it is never in force."""
        return self._masks.get(key, 0)

    def names(self, mask: int) -> tuple[str, ...]:
        """Keys of the purposes in `mask`, in the order of their bits."""
        return tuple(p.key for p in self.all if p.mask & mask)

    def in_force(
        self, granted: int, denied: int, *, gpc: bool, restrict: Mapping[str, Any] | None = None
    ) -> int:
        """Bitmask of the purposes that hold for one call.

        Parameters
        ----------
        granted, denied
            What the customer said last, per purpose; a bit in neither means the default, a bit in
            both is denied.
        gpc
            The call carried `Sec-GPC: 1`.
        restrict
            `context.consent.categoryPreferences`: takes purposes away from this call, never adds
            one. Anything but a plain true takes away; keys of no purpose are ignored.
        """
        mask = (self.defaults | granted) & ~denied
        if gpc:
            mask &= ~self.gpc_denied
        for key, value in (restrict or {}).items():
            if value is not True:
                mask &= ~self._masks.get(key, 0)
        return mask & ((1 << BITS) - 1)


def parse(data: Any) -> Purposes:
    """Read the published purposes.

    Raises
    ------
    KeyError, TypeError, ValueError
        Not of the published shape; a key or a bit used twice; a bit outside 0...14.
    """
    rows = sorted(data["purposes"], key=lambda row: int(row["bit"]))
    found = tuple(
        Purpose(
            key=str(row["key"]),
            title=str(row["title"]),
            mask=1 << _bit(row["bit"]),
            default_granted=bool(row["default_granted"]),
            gpc_denies=bool(row["gpc_denies"]),
        )
        for row in rows
    )
    if len({p.mask for p in found}) < len(found) or len({p.key for p in found}) < len(found):
        msg = "two purposes share a key or a bit"
        raise ValueError(msg)
    return Purposes(found)


@dataclass(frozen=True, slots=True)
class Word:
    """One grant or withdrawal of a purpose.

    `by_user`: a proven user id said it. `linked`: a device said it for a customer who has user ids,
    without proof of one.
    """

    mask: int
    granted: bool
    at_us: int
    by_user: bool = False
    linked: bool = False


def latest(words: Iterable[Word]) -> tuple[int, int]:
    """Return (granted, denied) from the ledger's words in any order.

    The latest word on a purpose wins, whichever identity said it; of equally late ones a
    withdrawal. A linked grant counts only while the user's own last word is no withdrawal
    (docs/decisions/0011-who-may-widen-consent.md).
    """
    said = list(words)
    refused = _withdrawn(_last(word for word in said if word.by_user))
    counting = (word for word in said if not (word.linked and word.granted and word.mask & refused))
    last = _last(counting)
    granted = sum(mask for mask, (_, withdrawn) in last.items() if not withdrawn)
    return granted, _withdrawn(last)


def _last(words: Iterable[Word]) -> dict[int, tuple[int, bool]]:
    """Return mask -> (when, whether withdrawn) of the last word on it."""
    last: dict[int, tuple[int, bool]] = {}
    for word in words:
        rank = (word.at_us, not word.granted)
        if word.mask not in last or rank > last[word.mask]:
            last[word.mask] = rank
    return last


def _withdrawn(last: Mapping[int, tuple[int, bool]]) -> int:
    return sum(mask for mask, (_, withdrawn) in last.items() if withdrawn)


def _bit(value: Any) -> int:
    bit = int(value)
    if not 0 <= bit < BITS:
        msg = f"bit {bit} is outside 0...{BITS - 1}"
        raise ValueError(msg)
    return bit
