"""Which of the scored candidates fill a shelf, and in which order: the merchandiser's arithmetic.

All inputs are parallel arrays over the candidates (n,), so that a hundred picks of a thousand
candidates cost a millisecond. Knows no products, no models, no clock; docs/decisions/0020 says why
the steps come in this order.

References
----------
Carbonell & Goldstein, "The use of MMR, diversity-based reranking for reordering documents and
producing summaries", SIGIR 1998, equation 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.integer]
Mask = NDArray[np.bool_]

# Scores lie in [0, 100): boosts make at most 50 of 1, and margin doubles it. A step of a tier is
# more than any score can make up for, being buried more than any tier, coming again more than both.
_TIER = 1e3
_BURIED = 1e6
_REPEATED = 1e7


class Cap(NamedTuple):
    """At most `most` of one code; `codes` (n,) int64, -1 for what belongs to no group."""

    codes: Codes
    most: int


class Quota(NamedTuple):
    """At least `least` of those in `mask` (n,)."""

    mask: Mask
    least: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """What a shelf must be.

    `count` places. `pins`: candidate -> place from 0. `diversity` in [0, 1] is 1 - lambda of MMR;
    `alike` are codes by which two candidates are alike, each with the same say.
    """

    count: int
    caps: Sequence[Cap] = ()
    quotas: Sequence[Quota] = ()
    pins: Mapping[int, int] | None = None
    diversity: float = 0.0
    alike: Sequence[Codes] = ()


def behind(
    tiers: Codes, buried: Mask | None = None, repeated: Mask | None = None
) -> NDArray[np.float64]:
    """Return what is taken from scores in [0, 100): a later tier comes later, then the buried.

    Last of all comes what the page shows already (`repeated`).
    """
    taken = np.asarray(_TIER * tiers, np.float64)
    for step, mask in ((_BURIED, buried), (_REPEATED, repeated)):
        if mask is not None:
            taken += step * mask
    return taken


def choose(
    scores: NDArray[np.floating], shelf: Shelf, late: NDArray[np.float64] | None = None
) -> list[int]:
    """Return the candidates of the shelf in their order: at most `count`, each once.

    Pins come first, then each quota's best, then the best of the rest; a candidate that a cap has
    no room for is passed over, a pin as well. A quota is met whenever one kind of cap lets it; of
    several quotas or kinds of caps the earlier is served first. Ties go to the earlier candidate.

    Parameters
    ----------
    scores
        (n,) in [0, 100), best near 1 where diversity is to mean something.
    late
        (n,) from `behind`; None: nothing is.
    """
    late = np.zeros(len(scores)) if late is None else late
    if not (shelf.caps or shelf.quotas or shelf.pins or shelf.diversity > 0):
        plain: list[int] = np.argsort(late - scores, kind="stable")[: max(shelf.count, 0)].tolist()
        return plain
    picking = _Picking(scores, late, shelf)
    pins = sorted((shelf.pins or {}).items(), key=lambda pin: pin[1])
    pinned = [(one, place) for one, place in pins if picking.take(one)]
    for quota in shelf.quotas:
        held = sum(1 for one in picking.taken if quota.mask[one])
        for _ in range(max(0, quota.least - held)):
            if picking.take_best(quota.mask) is None:
                break
    while picking.take_best() is not None:
        pass
    places = dict(pinned)
    rest = np.array([one for one in picking.taken if one not in places], np.int64)
    order = _ordered(scores, late, shelf, rest, [one for one, _ in pinned])
    for one, place in pinned:
        order.insert(min(place, len(order)), one)
    return order


class _Picking:
    """One shelf while it fills; `open` are the candidates that may still come."""

    def __init__(
        self, scores: NDArray[np.floating], late: NDArray[np.float64], shelf: Shelf
    ) -> None:
        self.shelf = shelf
        self.open = np.ones(len(scores), np.bool_)
        self.taken: list[int] = []
        self._relevance = (1 - shelf.diversity) * scores - late
        self._like = np.zeros(len(scores))
        self._held = [np.zeros(int(cap.codes.max(initial=-1)) + 1, np.int64) for cap in shelf.caps]
        for cap in shelf.caps:
            if cap.most <= 0:
                self.open &= cap.codes < 0

    def take(self, one: int) -> bool:
        """Take a candidate, unless it is taken, capped, or the shelf is full."""
        if len(self.taken) >= self.shelf.count or not self.open[one]:
            return False
        self.open[one] = False
        self.taken.append(one)
        for cap, held in zip(self.shelf.caps, self._held, strict=True):
            code = cap.codes[one]
            if code >= 0:
                held[code] += 1
                if held[code] >= cap.most:
                    self.open &= cap.codes != code
        if self.shelf.diversity > 0 and self.shelf.alike:
            np.maximum(self._like, alike(self.shelf.alike, one), out=self._like)
        return True

    def take_best(self, among: Mask | None = None) -> int | None:
        """Take the best open candidate by MMR; return it, None when there is none."""
        if len(self.taken) >= self.shelf.count or not len(self.open):
            return None
        may = self.open if among is None else self.open & among
        value = self._relevance
        if self.shelf.diversity > 0:
            value = value - self.shelf.diversity * self._like
        best = int(np.where(may, value, -np.inf).argmax())
        return best if may[best] and self.take(best) else None


def alike(codes: Sequence[Codes], one: int) -> NDArray[np.float64]:
    """Return how like each candidate (n,) is to one of them, in [0, 1]."""
    likeness = np.zeros(len(codes[0]) if codes else 0)
    for held in codes:
        if held[one] >= 0:
            likeness += held == held[one]
    return likeness / max(len(codes), 1)


def _ordered(
    scores: NDArray[np.floating],
    late: NDArray[np.float64],
    shelf: Shelf,
    rest: Codes,
    before: Sequence[int],
) -> list[int]:
    """Return `rest` in the order of MMR after `before`; without diversity by score."""
    if not shelf.quotas and not before:
        return [int(one) for one in rest]  # already in this order
    if shelf.diversity <= 0:
        return [int(one) for one in rest[np.lexsort((rest, late[rest] - scores[rest]))]]
    among = np.zeros(len(scores), np.bool_)
    among[rest] = True
    full = Shelf(len(before) + len(rest), diversity=shelf.diversity, alike=shelf.alike)
    again = _Picking(scores, late, full)
    for one in before:
        again.take(one)
    while again.take_best(among) is not None:
        pass
    return again.taken[len(before) :]


class Explored(NamedTuple):
    """One place that chance decided: which candidate stands there, and how probable that was.

    `kept`: the one that stood there before.
    """

    place: int
    candidate: int
    propensity: float
    kept: bool = False


def explore(
    order: Sequence[int],
    fresh: Codes,
    share: float,
    *,
    caps: Sequence[Cap] = (),
    quotas: Sequence[Quota] = (),
    fixed: Sequence[int] = (),
    rng: np.random.Generator,
) -> list[Explored]:
    """Return which places of a chosen shelf go to fresh candidates instead, and which could have.

    On average `share` of the places do, the last ones first; pins (`fixed`) and what a quota needs
    stay. Each place draws evenly from the fresh candidates that caps have room for; `propensity` is
    the probability of what stands there now, given the draws before it: of what was drawn, or of
    what chance could have replaced and did not (`kept`).
    """
    shelf, found = list(order), list[Explored]()
    due = share * len(shelf)
    for place in reversed(range(len(shelf))):
        if due <= 0:
            break
        if shelf[place] in fixed or _needed(shelf, place, quotas):
            continue
        chance, due = min(due, 1.0), due - 1
        others = np.array(shelf[:place] + shelf[place + 1 :], np.int64)
        may = fresh[~np.isin(fresh, shelf)]
        for cap in caps:
            may = may[_room(cap, others, may)]
        if not len(may):
            continue
        if rng.random() >= chance:
            found.append(Explored(place, shelf[place], 1 - chance, kept=True))
            continue
        shelf[place] = int(may[rng.integers(len(may))])
        found.append(Explored(place, shelf[place], chance / len(may)))
    return found


def _needed(shelf: Sequence[int], place: int, quotas: Sequence[Quota]) -> bool:
    """Whether a quota would be missed without the candidate at a place."""
    return any(
        quota.mask[shelf[place]] and int(quota.mask[list(shelf)].sum()) <= quota.least
        for quota in quotas
    )


def _room(cap: Cap, others: Codes, may: Codes) -> Mask:
    """Return which of `may` a cap has room for beside `others`."""
    mine = cap.codes[may]
    held = (cap.codes[others][:, None] == mine[None, :]).sum(axis=0)
    room: Mask = (mine < 0) | (held < cap.most)
    return room
