"""A shelf out of candidates: boosts, caps, quotas, diversity, pins and chance, with what lost.

The order of the steps is part of what merchandisers are promised (docs/guides/recommendations.md);
the arithmetic is in `engine.selecting`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import orjson
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from recommender import columns
from recommender.candidates import Gathering
from recommender.columns import Places, Rows
from recommender.engine.base import isin_few
from recommender.engine.merchandising import CAPS, MOST_BOOST
from recommender.engine.rulemasks import ProductRule
from recommender.engine.selecting import Cap, Codes, Explored, Quota, Shelf, behind, choose, explore

# Of more products new to the catalogue the newest take part in chance.
_MOST_FRESH = 2000
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Filled:
    """What fills the shelf: places of `rows`, in order; which of them were pinned or drawn.

    `kept`: which chance could have replaced and did not, with the probability of that.
    `rows` (n,) of the catalogue, the candidates first; `scores` (n,) after boosts.
    """

    order: Sequence[int]
    rows: Rows
    scores: NDArray[np.float64]
    pinned: frozenset[int]
    explored: Mapping[int, Explored]
    kept: Mapping[int, float]
    replaced: frozenset[int]
    late: NDArray[np.float64]
    caps: Sequence[Cap]


def fill(found: Gathering) -> Filled:
    """Return the shelf of gathered candidates."""
    pool, rules, view = found.pool, found.spec.rules, found.view
    scores = pool.scores.astype(np.float64) * _factors(found)
    late = behind(
        pool.tiers,
        None if rules.bury is None else found.where(rules.bury)[pool.rows],
        found.repeated(pool.rows) if len(found.above) else None,
    )
    fresh, rows, every = _fresh(found), pool.rows, scores
    if len(fresh):
        rows, every = np.concatenate([rows, fresh]), np.append(scores, np.zeros(len(fresh)))
    caps = [Cap(_dense(columns.codes(name, view)[rows]), most) for name, most in rules.caps]
    quotas = [Quota(found.where(one.rule)[rows], one.least) for one in rules.quotas]
    held = len(pool.rows)
    shelf = Shelf(
        found.visit.count,
        caps=[Cap(cap.codes[:held], cap.most) for cap in caps],
        quotas=[Quota(quota.mask[:held], quota.least) for quota in quotas],
        pins=_pins(found),
        diversity=rules.diversity,
        alike=[columns.codes(name, view)[pool.rows] for name in CAPS] if rules.diversity else (),
    )
    order = choose(scores, shelf, late)
    pinned = frozenset(shelf.pins or ()) & frozenset(order)
    drawn = _drawn(found, order, rows, caps, quotas, pinned)
    final = list(order)
    for one in drawn:
        final[one.place] = one.candidate
    return Filled(
        final,
        rows,
        every,
        pinned,
        {one.candidate: one for one in drawn if not one.kept},
        {one.candidate: one.propensity for one in drawn if one.kept},
        frozenset(order) - frozenset(final),
        late,
        caps,
    )


def _factors(found: Gathering) -> NDArray[np.float64]:
    """Return what scores are multiplied by: boosts, margin, and how tired the visitor is of it."""
    pool, rules, view = found.pool, found.spec.rules, found.view
    factors = np.ones(len(pool.rows))
    for boost in rules.boosts:
        factors[found.where(boost.rule)[pool.rows]] *= boost.factor
    if rules.boosts:
        np.minimum(factors, MOST_BOOST, out=factors)
    if rules.margin:
        factors *= 1 + rules.margin * _margins(view, pool.rows)
    if rules.fatigue is not None and found.visit.shown:
        times = {
            row: count
            for key, count in found.visit.shown.items()
            if (row := view.index.get(key)) is not None and count >= rules.fatigue.after
        }
        for place, row in enumerate(pool.rows.tolist()):
            if row in times:
                factors[place] *= rules.fatigue.factor ** (times[row] - rules.fatigue.after + 1)
    return factors


def _margins(view: CatalogView, rows: Rows) -> NDArray[np.float64]:
    """Return the margins (n,) in [0, 1] that products name; 0 where one names none."""
    return np.array([_margin(view.attributes[row]) for row in rows.tolist()], np.float64)


@lru_cache(maxsize=65_536)
def _margin(text: str) -> float:
    if '"margin"' not in text:
        return 0.0
    value = orjson.loads(text).get("margin")
    # a share beyond its range is a mistake of the feed, which must not rule the shelf
    return min(max(float(value), 0.0), 1.0) if type(value) in (int, float) else 0.0


def _dense(codes: Places) -> Codes:
    """Return codes (n,) numbered from 0 over these rows alone; -1 stays."""
    _, dense = np.unique(codes, return_inverse=True)
    return dense - 1 if len(codes) and codes.min() < 0 else dense


def _pins(found: Gathering) -> dict[int, int]:
    """Return candidate -> place from 0 of the pins that may be shown, once a page."""
    if not found.spec.rules.pins:
        return {}
    repeated = found.repeated(found.pool.rows).tolist()
    place_of = {
        row: place for place, row in enumerate(found.pool.rows.tolist()) if not repeated[place]
    }
    pins = {}
    for pin in found.spec.rules.pins:
        row = found.view.index.get(pin.item)
        if row in place_of and pin.place <= found.visit.count:
            pins[place_of[row]] = pin.place - 1
    return pins


def _fresh(found: Gathering) -> Rows:
    """Return rows of products new to the catalogue that chance may show, beside the candidates."""
    explore_by = found.spec.rules.exploration
    if explore_by is None or not explore_by.share or found.visit.given is not None:
        return np.zeros(0, np.int64)
    rows = found.newest(found.where(_newer(explore_by.days)), _MOST_FRESH)[::-1]
    return rows[~isin_few(rows, found.pool.rows)]


@lru_cache(maxsize=64)
def _newer(days: float) -> ProductRule:
    within = {"op": "within_last", "value": days * _DAY_S}
    return ProductRule.of({"kind": "product", "key": "created_at", **within})


def _drawn(
    found: Gathering,
    order: Sequence[int],
    rows: Rows,
    caps: Sequence[Cap],
    quotas: Sequence[Quota],
    pinned: frozenset[int],
) -> list[Explored]:
    explore_by = found.spec.rules.exploration
    if explore_by is None or not explore_by.share or found.visit.given is not None:
        return []
    fresh = np.flatnonzero(found.where(_newer(explore_by.days))[rows] & ~found.repeated(rows))
    return explore(
        order,
        fresh[np.argsort(rows[fresh])],
        explore_by.share,
        caps=caps,
        quotas=quotas,
        fixed=tuple(pinned),
        rng=np.random.default_rng(_seed(found)),
    )


def _seed(found: Gathering) -> int:
    """Return what chance is drawn by: one draw a strategy, visitor and day.

    Without a visitor's name one a decision: all strangers would share theirs.
    """
    visit = found.visit
    text = f"{found.spec.key}:{visit.seed or visit.draw}:{int(visit.now_s // _DAY_S)}"
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def losers(found: Gathering, filled: Filled, most: int) -> Iterator[tuple[int, str]]:
    """Yield (place of `rows`, why) of the best `most` candidates that are not on the shelf.

    Before them those that other shelves of the page show.
    """
    held = len(found.pool.rows)
    order = np.lexsort((np.arange(held), filled.late - filled.scores[:held]))
    shown = np.array(filled.order, np.int64)
    last = max((int(np.flatnonzero(order == one)[0]) for one in shown if one < held), default=-1)
    kept = set(filled.order)
    repeated = found.repeated(found.pool.rows)
    lost = [(rank, one) for rank, one in enumerate(order.tolist()) if one not in kept]
    yield from ((one, "shown_above") for _, one in lost if repeated[one])
    short = len(filled.order) < found.visit.count
    for rank, one in [(rank, one) for rank, one in lost if not repeated[one]][:most]:
        yield one, _why(filled, found, shown, one, above=short or rank < last)


def _why(filled: Filled, found: Gathering, shown: Codes, one: int, *, above: bool) -> str:
    if one in filled.replaced:
        return "gave_way"
    if above:
        for (name, most), cap in zip(found.spec.rules.caps, filled.caps, strict=True):
            if cap.codes[one] >= 0 and int((cap.codes[shown] == cap.codes[one]).sum()) >= most:
                return f"{name}_cap"
    return "below_count"
