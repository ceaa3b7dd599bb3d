"""The second look at decision time: a blend's first candidates in the order that was learned.

Reads what the re-ranker was taught to read (`engine.secondlook`): what the sources said, and what
the visitor or the page names, as far as the visit may be personal. Without that, or for products
that came after the training, the blend's own order stays.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from personalization.events.engine.stored import DEVICES
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Ranked
from recommender.engine.blend import combine
from recommender.engine.cases import Cases
from recommender.engine.queries import MAX_RECENT
from recommender.engine.rerank import DEPTH
from recommender.engine.rulemasks import Mask
from recommender.engine.secondlook import SEED_OF, Second, question
from recommender.engine.situations import SITUATIONS, Situations
from recommender.engine.training import DEPTH as ASKED
from recommender.live import LiveBlend
from recommender.masks import rows_of
from recommender.visits import Visit
from recommender.weighing import kind_weights

__all__ = ["ASKED", "again", "situation"]

Places = NDArray[np.int32]


class _Held:
    """Place of each product of the catalogue among a blend's items, by the blend's name."""

    def __init__(self) -> None:
        self.places: dict[str, tuple[LiveBlend, dict[str, int], Places]] = {}


_held = _Held()


def again(
    blend: LiveBlend, first: Ranked, parts: Mapping[str, Ranked], visit: Visit, view: CatalogView
) -> NDArray[np.intp] | None:
    """Return places of `first` (n,) in the order of the second look, None where there is none.

    `first` and `parts` (by source) are in rows of the catalogue. What training would not have
    listed keeps its place: what came later, what is behind its depth, and what the visitor met and
    no model of such things named.
    """
    if blend.second is None:
        return None
    places = _places(blend, view)
    asked = _question(blend.second, visit, places, view)
    if asked is None:
        return None
    met = np.zeros(asked.n_items, np.bool_)
    met[asked.items] = True
    told = {name: _heard(name, part, places, met) for name, part in parts.items()}
    weights = dict(blend.blend.sources)
    listed = combine(list(told.values()), [weights[name] for name in told], asked.n_items)
    head = Ranked(listed.rows[:DEPTH], listed.scores[:DEPTH])
    if not len(head.rows):
        return None
    better = head.rows[blend.second.order(head, told, asked)]
    own = places[first.rows]
    by_item = np.argsort(own)
    found = by_item[np.searchsorted(own, better, sorter=by_item)]
    order = np.arange(len(own))
    order[np.sort(found)] = found
    return order


def _heard(name: str, part: Ranked, places: Places, met: Mask) -> Ranked:
    """Return what a source said as training hears it, in the blend's items."""
    rows = places[part.rows]
    held = rows >= 0
    if not RECIPES[name].algorithm.own_only:
        held &= ~met[rows]
    return Ranked(rows[held][:ASKED], part.scores[held][:ASKED])


def _question(second: Second, visit: Visit, places: Places, view: CatalogView) -> Cases | None:
    """Return what the visit asks, None where it names nothing that was there in training."""
    weights = kind_weights()
    seed, named = SEED_OF[second.use], list[tuple[str, float, float]]()
    if seed == "item" and visit.item:
        named = [(visit.item, 1.0, visit.now_s)]
    elif seed == "cart" and visit.personal:
        named = [(key, 1.0, visit.now_s) for key in visit.cart[:MAX_RECENT]]
    elif seed == "recent" and visit.personal:
        named = [(key, weights[kind], at) for kind, key, at in visit.recent if kind in weights]
    found = [(view.index[key], weight, at) for key, weight, at in named if key in view.index]
    if not found:
        return None
    rows, told, at_s = (np.array(column) for column in zip(*found, strict=True))
    items = places[rows]
    held = items >= 0
    if not held.any():
        return None
    context = visit.context
    return question(
        second.use,
        items[held],
        told[held],
        at_s[held],
        as_of_s=visit.now_s,
        n_items=len(second.about.popularity),
        asked_in=situation(
            context.get("device.type"), context.get("local_time.hour"), visit.country
        ),
    )


def situation(device: str | None, hour: int | None, country: str) -> Situations:
    """Return what a request says of its situation, (1, 3); what is not known is 0."""
    found = np.zeros((1, len(SITUATIONS)), np.int16)
    if device in DEVICES:
        found[0, 0] = DEVICES.index(device) + 1
    if hour is not None:
        found[0, 1] = hour + 1
    if len(country) == len("DE") and country.isascii() and country.isalpha():
        first, second = (ord(letter) - ord("A") + 1 for letter in country.upper())
        found[0, 2] = 32 * first + second
    return found


def _places(blend: LiveBlend, view: CatalogView) -> Places:
    """Return the place of each product among the blend's items, (n,), -1 for none."""
    known = _held.places.get(blend.name)
    if known is not None and known[0] is blend and known[1] is view.index:
        return known[2]
    rows = rows_of(blend, view)
    places = np.full(len(view.keys), -1, np.int32)
    places[rows[rows >= 0]] = np.flatnonzero(rows >= 0)
    _held.places[blend.name] = (blend, view.index, places)
    return places
