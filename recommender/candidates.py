"""Candidates of a shelf: what models say for this visit, rung by rung until there is enough.

Works in rows of the catalogue, so that sources with different items can be added up. A rung is
asked only where those before it left places; the last are editorial picks and what is on sale.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personalization.catalog.serve import CatalogView
from recommender import live, masks, reordering
from recommender.columns import Rows
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import NOBODY, Query, Ranked, isin_few
from recommender.engine.blend import combine
from recommender.engine.groups import GroupPopularity
from recommender.engine.rulemasks import Mask, ProductRule
from recommender.engine.strategies import (
    AGAIN,
    BLEND_OF,
    IN_GROUP,
    Source,
    StrategySpec,
    default_seeds,
    is_popular,
)
from recommender.groups import country_label
from recommender.live import Live
from recommender.pool import Asked, Pool, Rung
from recommender.reasons import category_title
from recommender.visits import Seed, Visit, excluded

POPULAR = Source("popularity", 1.0, ())
# Models that answer for the clicks of one visit, the best first.
_SESSION = ("session_knn", "item_knn", "transitions")
# Models whose very answer is what the visitor has met.
_OWN = frozenset({AGAIN, "recently_viewed"})
# Candidates of a source: enough that caps and filters of a page leave a full shelf.
_LEAST_DEPTH, _MOST_DEPTH = 60, 1000
# Of these latest actions the most frequent category is the visitor's.
_LATEST = 5
# Of a quota's products without any word of a model at most so many are tried.
_MOST_NEWEST = 200
# With a rule of the request models name so many, of which it takes; at most so many products are
# judged by it for one shelf, then it holds for no other: a millisecond or so a thousand.
_RULED_DEPTH, _MOST_JUDGED = 1000, 8000


class Gathering:
    """One request's look for candidates; `degraded` names what should have answered.

    `dropped`: item -> why it must not be shown to this visitor now. `above`: rows that other
    shelves of the page show, which come last.
    """

    def __init__(self, visit: Visit, spec: StrategySpec, view: CatalogView) -> None:
        self.visit, self.spec, self.view = visit, spec, view
        self.request = visit.request()
        own = spec.rules.filter
        self._mask = masks.shelf_mask([] if own is None else [own], view, self.request)
        self.dropped: Mapping[str, str] = excluded(visit, spec, view)
        self._possible: Mask | None = None
        self._verdicts: dict[int, bool] = {}
        if visit.rule is not None:
            self._possible = masks.possible_mask(visit.rule, view, self.request)
        repeated = visit.shown_above if visit.given is None else ()
        rows = (view.index.get(key) for key in dict.fromkeys(repeated))
        self.above = np.array([row for row in rows if row is not None], np.int64)
        self.pool = Pool()
        self.degraded: list[str] = []
        self._models = live.models()
        self._seeds = visit.seeds()
        self._seeds_of: dict[tuple[str, ...], dict[str, list[Seed]]] = {}
        self._masks: dict[str, Mask] = {}
        self._struck: dict[str, NDArray[np.int32]] = {}

    @cached_property
    def allowed(self) -> Mask:
        """Which products may be shown, (n_items,), before the request's rule: `may` judges by it.

        A copy of the catalogue's mask, which a shelf that models fill never needs.
        """
        mask = self._mask.copy() if self._possible is None else self._mask & self._possible
        mask[[row for key in self.dropped if (row := self.view.index.get(key)) is not None]] = False
        return mask

    def gather(self, rungs: Iterator[Rung], *, need: int) -> Pool:
        """Return candidates: rung by rung until there are `need`, then what quotas and pins ask."""
        if self.visit.given is not None:
            self._put_in_order(self.visit.given)
            return self.pool
        depth = min(max(3 * need, _LEAST_DEPTH), _MOST_DEPTH)
        for rung in rungs:
            if len(self.pool.rows) >= need:
                break
            self._climb(rung, depth)
        self._ask_for_quotas()
        self._add_picks(need)
        return self.pool

    def _climb(self, rung: Rung, depth: int) -> None:
        parts, origins, weights = [], [], []
        if rung.learned is not None:
            depth = max(depth, reordering.ASKED)
        for source in rung.sources:
            found = self.ask(source, depth + len(self.pool.rows), rung.among)
            if found is None:
                continue
            asked, ranked = found
            if rung.told:
                asked = Asked(rung.told, asked.model, asked.query, rung.title)
            self.pool.asked.append(asked)
            origins.append(len(self.pool.asked) - 1)
            parts.append(ranked)
            weights.append(source.weight)
        if not parts:
            return
        blended = combine(parts, weights, len(self.view.keys))
        # as a share of what the best could have, so that an item all sources agree on has 1
        scores = blended.scores / np.float32(sum(weights))
        named = np.array(origins, np.int64)[blended.sources]
        rows, ordered = blended.rows.astype(np.int64), None
        if rung.learned is not None:
            told = {
                self.pool.asked[at].source: part for at, part in zip(origins, parts, strict=True)
            }
            order = reordering.again(rung.learned, blended.ranked, told, self.visit, self.view)
            if order is not None:
                # scores stay as the blend spread them, so that boosts and variety weigh the same
                rows, named = rows[order], named[order]
                ordered = rung.learned
        self.pool.add(rows, scores, named, reranked=ordered)

    def ask(
        self,
        source: Source,
        depth: int,
        among: ProductRule | None = None,
        *,
        bare: bool = False,
    ) -> tuple[Asked, Ranked] | None:
        """Return what one source says, in rows of the catalogue; None where it has nothing to say.

        `bare`: without any mask, and -1 for items that are not in the catalogue.
        """
        model = self._models.get(source.algorithm)
        if model is None:
            self._miss(source.algorithm)
            return None
        query = self._query(source, model)
        if source.seeds and not len(query.rows):
            return None
        own = source.algorithm in _OWN
        if bare:
            ranked = model.model.recommend(query, depth, own=own)
        else:
            ranked = self._permitted(query, model, depth, among, own=own)
        rows, scores = masks.rows_of(model, self.view).take(ranked.rows), ranked.scores
        if not bare and self.visit.rule is not None:
            held = self.holds(rows)
            rows, scores = rows[held][:depth], scores[held][:depth]
        if not len(rows):
            return None
        return Asked(source.algorithm, model, query), Ranked(rows, scores)

    def _permitted(
        self, query: Query, model: Live, depth: int, among: ProductRule | None, *, own: bool
    ) -> Ranked:
        """Return what a model says of products that may be shown, in its own rows.

        It is asked for as many more as this visitor must not be shown, which are struck out after:
        the masks are everybody's, and a copy for each request is most of what it would touch.
        """
        struck = self._struck_of(model)
        deep = max(depth, _RULED_DEPTH) if self.visit.rule is not None else depth
        allowed = self._allowed(model, among)
        ranked = model.model.recommend(query, deep + len(struck), allowed=allowed, own=own)
        if not len(struck):
            return ranked
        kept = ~isin_few(ranked.rows, struck)
        return Ranked(ranked.rows[kept][:deep], ranked.scores[kept][:deep])

    def _struck_of(self, model: Live) -> NDArray[np.int32]:
        """Return the model's rows of what must not be shown to this visitor now."""
        struck = self._struck.get(model.name)
        if struck is None:
            rows = [row for key in self.dropped if (row := model.index.get(key)) is not None]
            struck = self._struck[model.name] = np.array(rows, np.int32)
        return struck

    def _miss(self, algorithm: str) -> None:
        told = f"model_missing:{algorithm}"
        if told not in self.degraded:
            self.degraded.append(told)

    def _query(self, source: Source, model: Live) -> Query:
        recipe = RECIPES[source.algorithm]
        names = ("bought",) if source.algorithm == AGAIN else source.seeds
        # a model is asked about actions of the kinds that it learned from
        known = self._seeds_of.get(recipe.kinds)
        if known is None:
            recent = self.visit.recent_seeds(recipe.kinds)
            known = self._seeds_of[recipe.kinds] = {**self._seeds, "recent": recent}
        pairs: list[Seed] = [pair for seed in names for pair in known.get(seed, ())]
        if not pairs and source.algorithm != IN_GROUP:
            return NOBODY
        rows = np.array([model.index.get(key, -1) for key, _, _ in pairs], np.int64)
        weights = np.array([weight for _, weight, _ in pairs], np.float32)
        if source.algorithm == IN_GROUP:
            return model.model.fold_in(rows, weights, group=self._group(model))
        if source.algorithm not in _OWN:
            return model.model.fold_in(rows, weights)
        return model.model.fold_in(rows, weights, np.array([age for *_, age in pairs], np.float32))

    def where(self, rule: ProductRule) -> Mask:
        """Return for which products a rule of the strategy holds, (n_items,); not to be written."""
        return masks.rule_mask(rule, self.view, self.request)

    def holds(self, rows: NDArray[Any]) -> Mask:
        """Return for which rows the request's own rule holds, (len(rows),); each is judged once."""
        rule, verdicts = self.visit.rule, self._verdicts
        if rule is None:
            return np.ones(len(rows), np.bool_)
        asked = [row for row in dict.fromkeys(rows.tolist()) if row not in verdicts]
        fresh = np.array(asked[: _MOST_JUDGED - len(verdicts)], np.int64)
        told = masks.judged(rule, self.view, self.request, fresh)
        verdicts.update(zip(fresh.tolist(), told.tolist(), strict=True))
        return np.array([verdicts.get(row, False) for row in rows.tolist()], np.bool_)

    def repeated(self, rows: Rows) -> Mask:
        """Return which rows other shelves of the page show, (len(rows),)."""
        return isin_few(rows, self.above)

    def newest(self, among: Mask, most: int) -> Rows:
        """Return up to `most` rows that may be shown, the newest first."""
        rows = np.flatnonzero(self.allowed & among)[::-1]
        if self.visit.rule is not None:
            rows = rows[: max(most, _RULED_DEPTH)]
            rows = rows[self.holds(rows)]
        return rows[:most]

    def _allowed(self, model: Live, among: ProductRule | None) -> Mask:
        """Return which of a model's items may be shown to anybody; not to be written."""
        allowed = self._masks.get(model.name)
        if allowed is None:
            own = self.spec.rules.filter
            name = f"{self.visit.country}:{own.name if own else ''}"
            allowed = masks.model_mask(model, self.view, self._mask, name)
            if self._possible is not None:
                allowed = allowed & masks.taken(self._possible, masks.rows_of(model, self.view))
            self._masks[model.name] = allowed
        if among is None:
            return allowed
        return allowed & masks.model_mask(model, self.view, self.where(among), among.name)

    def _put_in_order(self, given: Sequence[str]) -> None:
        """Score the items of the request; what no source knows keeps the order it came in."""
        rows = np.array(self.may(list(dict.fromkeys(given))), np.int32)
        keys = [self.view.keys[row] for row in rows.tolist()]
        prior = (1 / np.log2(np.arange(len(rows)) + 2.0)).astype(np.float32)
        parts, weights = [Ranked(rows, prior)], [1.0]
        self.pool.asked.append(Asked("search"))
        for source in self.spec.sources:
            model = self._models.get(source.algorithm)
            if model is None:
                self._miss(source.algorithm)
                continue
            query = self._query(source, model)
            if source.seeds and not len(query.rows):
                continue
            at = np.array([model.index.get(key, -1) for key in keys], np.int64)
            scores = np.append(model.model.score(query), np.float32(0))[at]
            spoke = scores > 0
            parts.append(Ranked(rows[spoke], scores[spoke]))
            weights.append(source.weight)
            self.pool.asked.append(Asked(source.algorithm, model, query))
        blended = combine(parts, weights, len(self.view.keys))
        self.pool.add(
            blended.rows.astype(np.int64),
            blended.scores / np.float32(sum(weights)),
            blended.sources.astype(np.int64),
        )

    def _ask_for_quotas(self) -> None:
        """Look for what quotas want where the candidates hold too little of it."""
        for quota in self.spec.rules.quotas:
            wanted = self.where(quota.rule)
            least = quota.least + int(wanted[self.above].sum())
            if int(wanted[self.pool.rows].sum()) >= least:
                continue
            self._climb(Rung((*self.spec.sources, POPULAR), quota.rule), _LEAST_DEPTH)
            if int(wanted[self.pool.rows].sum()) < least:
                self.pool.add_plain("catalog", self.newest(wanted, _MOST_NEWEST))

    def _add_picks(self, need: int) -> None:
        """Add pins; where places are left also the editorial picks, and the newest on sale."""
        rules = self.spec.rules
        if rules.pins:
            self.pool.add_plain("pin", self.may([pin.item for pin in rules.pins]))
        if len(self.pool.rows) >= need:
            return
        self.pool.add_plain("editorial", self.may(rules.editorial))
        missing = need - len(self.pool.rows)
        if missing > 0:
            newest = self.newest(self.allowed, missing + len(self.pool.rows))
            self.pool.add_plain("catalog", newest)

    def may(self, keys: Sequence[str]) -> list[int]:
        """Return the rows of those that may be shown."""
        found = (self.view.index.get(key) for key in keys)
        rows = np.array([row for row in found if row is not None and self.allowed[row]], np.int64)
        held: list[int] = rows[self.holds(rows)].tolist()
        return held

    def rungs(self, chain: Sequence[StrategySpec]) -> Iterator[Rung]:
        """Yield the strategy's own sources, its fallbacks, and what is left by itself.

        Session, segment and category come before the first rung that says the same to everybody.
        """
        rest = [self._own(spec) for spec in chain]
        popular = (all(is_popular(one.algorithm) for one in rung.sources) for rung in rest)
        place = next((at for at, same in enumerate(popular) if same and at), len(rest))
        yield from rest[:place]
        yield from self._between(rest[:place])
        yield from rest[place:]
        if not any(POPULAR in rung.sources for rung in rest):
            yield Rung((POPULAR,))

    def _own(self, spec: StrategySpec) -> Rung:
        """Return the sources with the weights that training has learned, where it has any."""
        learned = live.blends().get(BLEND_OF[spec.use]) if spec.learned else None
        if learned is None:
            return Rung(spec.sources)
        # a model that the strategy does not name is asked about what the others are
        every = tuple(dict.fromkeys(seed for one in spec.sources for seed in one.seeds))
        seeds = {one.algorithm: one.seeds for one in spec.sources}
        sources = (
            Source(name, weight, seeds.get(name) or _asked_about(name, every))
            for name, weight in learned.blend.sources
        )
        return Rung(tuple(sources), learned=learned if learned.second is not None else None)

    def _between(self, before: Sequence[Rung]) -> Iterator[Rung]:
        if self._seeds.get("recent"):
            name = next((name for name in _SESSION if name in self._models), None)
            if name is not None and name not in self._asked_about_clicks(before):
                yield Rung((Source(name, 1.0, ("recent",)),))
        grouped = self._models.get(IN_GROUP)
        if grouped is not None and self._group(grouped) >= 0:
            yield Rung((Source(IN_GROUP, 1.0, ()),))
        if POPULAR.algorithm in self._models and (category := self._category()):
            title = category_title(category, self.view)
            yield Rung((POPULAR,), _in_category(category), "category", title)

    def _asked_about_clicks(self, rungs: Sequence[Rung]) -> set[str]:
        """Return which models these rungs ask about the latest clicks and nothing else."""
        return {
            source.algorithm
            for rung in rungs
            for source in rung.sources
            if [seed for seed in source.seeds if self._seeds.get(seed)] == ["recent"]
        }

    def _group(self, model: Live) -> int:
        """Return the model's row of the first of the visitor's segments that it knows.

        Else of the country; -1 for neither.
        """
        if not isinstance(model.model, GroupPopularity):
            return -1
        labels = [f"segment:{key}" for key in self.visit.segments]
        labels += [country_label(self.visit.country)] if self.visit.country else []
        rows = (model.model.group_of(label) for label in labels)
        return next((row for row in rows if row >= 0), -1)

    def _category(self) -> str:
        """Return the category of the page's product, else of most of the latest actions."""
        keys = [self.visit.item] if self.visit.item else []
        keys += [key for key, *_ in self._seeds.get("recent", ())[:_LATEST]]
        rows = [row for key in keys if (row := self.view.index.get(key)) is not None]
        held = [category for row in rows if (category := self.view.categories[row])]
        if self.visit.item:
            return held[0] if held else ""
        return max(held, key=held.count, default="")


def _asked_about(algorithm: str, every: tuple[str, ...]) -> tuple[str, ...]:
    """Return what a model that a strategy does not name is asked about: `every` of its seeds."""
    if is_popular(algorithm):
        return ()
    return every if every and algorithm not in _OWN else default_seeds(algorithm)


@lru_cache(maxsize=1024)
def _in_category(category: str) -> ProductRule:
    return ProductRule.of({"kind": "product", "key": "category", "op": "eq", "value": category})
