"""A re-ranker beside a blend: learned on the blend's questions, kept with it, asked about a visit.

Training and serving put what somebody did into the same `Cases` (`question`, `asked`) and make
features of them by the same function (`rerank.features`), so that neither sees what the other does
not. Who may be asked about is the caller's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from recommender.engine import rerank
from recommender.engine.base import Interactions, Ranked, SideInfo
from recommender.engine.cases import Cases
from recommender.engine.holdout import MOST_RECENT, Holdout
from recommender.engine.lists import Lists, blend
from recommender.engine.measures import AIM, each
from recommender.engine.rerank import DEPTH, KNOWN, Facts, features
from recommender.engine.situations import Situations
from recommender.engine.trees import Reranker

# Raised when the same arrays mean something else; what is newer or older than this is not asked.
FORMAT = 2
# What a use's questions are about, by the names of `strategies.SEEDS`.
SEED_OF: Mapping[str, str] = {
    "home": "recent",
    "session": "recent",
    "product": "item",
    "cart": "cart",
}
_TREE, _FACT = "tree_", "fact_"
_DAY_S = 86_400.0

# A blend's sources by name with their weights.
Sources = Sequence[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Second:
    """A re-ranker in use. `sources`: whose scores it reads, in its order; `use`: of which pages."""

    model: Reranker
    about: Facts
    sources: tuple[str, ...]
    use: str

    def order(
        self, first: Ranked, parts: Mapping[str, Ranked], asked_of: Cases
    ) -> NDArray[np.intp]:
        """Return the places of `first` (n,), the best by the model first; ties stay as they are.

        Parameters
        ----------
        first
            The blend's best, at most DEPTH, rows of the items that the facts know.
        parts
            What each source said, in such rows; one that said nothing may be missing.
        asked_of
            The `question`.
        """
        told = [_list(parts.get(name, _NOTHING)) for name in self.sources]
        _, _, rows = features(_list(first), told, asked_of, self.about)
        return np.argsort(-self.model.score(rows), kind="stable")

    def pack(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return all state: arrays, and plain words for the manifest."""
        arrays = _named(_TREE, self.model.to_arrays()) | _named(_FACT, self.about.to_arrays())
        told = {"format": FORMAT, "features": [*self.sources, *KNOWN], "use": self.use}
        return arrays, told | {"trees": len(self.model.nodes.roots)}

    @classmethod
    def unpack(cls, arrays: Mapping[str, NDArray[Any]], told: Mapping[str, Any]) -> Self | None:
        """Return what `pack` packed; None where this code would read it wrongly (`is_readable`).

        Raises
        ------
        ValueError, KeyError
            The arrays do not fit together.
        """
        if not is_readable(told):
            return None
        sources = tuple(told["features"][: -len(KNOWN)])
        model = Reranker.from_arrays(_of(_TREE, arrays))
        if model.width > len(sources) + len(KNOWN):
            msg = f"the re-ranker looks at feature {model.width}, there are {len(told['features'])}"
            raise ValueError(msg)
        return cls(model, Facts.from_arrays(_of(_FACT, arrays)), sources, told["use"])


def is_readable(told: Mapping[str, Any]) -> bool:
    """Whether the manifest's words are of a re-ranker that this code can ask."""
    names = told.get("features", ())
    return (
        told.get("format") == FORMAT
        and tuple(names[-len(KNOWN) :]) == KNOWN
        and told.get("use") in SEED_OF
    )


def question(
    use: str,
    items: NDArray[np.integer[Any]],
    weights: NDArray[np.floating[Any]],
    at_s: NDArray[np.floating[Any]],
    *,
    as_of_s: float,
    n_items: int,
    asked_in: Situations | None = None,
) -> Cases:
    """Return one case of what somebody did: item rows, weights, moments, in any order (n,).

    `asked_in` (1, 3): in which situation it is asked.
    As `cases.build` makes it, in a tenth of the time; a test holds both side by side.
    """
    newest = np.lexsort((items, at_s))[::-1][:MOST_RECENT]
    moments = at_s[newest]
    steps = np.zeros(len(newest), np.int32)
    np.cumsum(moments[1:] != moments[:-1], out=steps[1:])
    made = Cases(
        np.array([0, len(newest)]),
        items[newest].astype(np.int32),
        weights[newest].astype(np.float32),
        steps,
        (np.maximum(as_of_s - moments, 0.0) / _DAY_S).astype(np.float32),
        np.zeros(2, np.int64),
        np.zeros(0, np.int32),
        n_items,
        ordered=True,
        timed=True,
        situations=asked_in,
    )
    return asked(use, made)


def asked(use: str, cases: Cases) -> Cases:
    """Return the cases as a page can ask them: of what it names itself it knows no more than that.

    The item of a page, or those of a cart, count once and alike, whenever they came.
    """
    if SEED_OF[use] == "recent":
        return cases
    owners, items = np.divmod(cases.known(), max(cases.n_items, 1))
    return replace(
        cases,
        starts=np.searchsorted(owners, np.arange(len(cases) + 1)).astype(np.int64),
        items=items.astype(np.int32),
        weights=np.ones(len(items), np.float32),
        steps=np.zeros(len(items), np.int32),
        age_days=np.zeros(len(items), np.float32),
    )


def learned(
    use: str,
    sources: Sources,
    lists: Mapping[str, Lists],
    held: Holdout,
    *,
    known: Interactions,
    side: SideInfo,
    met_in: Situations | None = None,
) -> Second | None:
    """Return what puts the blend's first candidates in a better order; None where nothing does.

    `lists`: what each source says of the questions of `held`. `known`: everything, whose facts
    serving reads, and in which situations (n, 3); what is learned reads those of before the
    questions.
    """
    first, parts = _first(sources, lists, held)
    about = rerank.facts(held.known, held.cases.n_items, side, held.met_in)
    model = rerank.learned(first, parts, asked(use, held.cases), about)
    if model is None:
        return None
    named = tuple(name for name, _ in sources)
    return Second(model, rerank.facts(known, held.cases.n_items, side, met_in), named, use)


def tried(
    use: str,
    sources: Sources,
    lists: Mapping[str, Lists],
    held: Holdout,
    *,
    learned_of: NDArray[np.bool_],
    side: SideInfo,
) -> Lists | None:
    """Return the order of the cases that were not learned of, by what the others taught.

    `learned_of` (n,). None where those have too few truths, or where the blend's own order is
    better: what is served is what is measured.
    """
    first, parts = _first(sources, lists, held)
    cases = asked(use, held.cases)
    about = rerank.facts(held.known, cases.n_items, side, held.met_in)
    model = rerank.taught_by(learned_of, first, parts, cases, about)
    if model is None:
        return None
    rest = np.flatnonzero(~learned_of)
    first, cases = first.take(rest), cases.take(rest)
    found = rerank.reordered(model, first, [part.take(rest) for part in parts], cases, about)
    after, before = (float(each(lists, cases)[AIM].mean()) for lists in (found, first))
    return found if after > before else None


def _first(
    sources: Sources, lists: Mapping[str, Lists], held: Holdout
) -> tuple[Lists, list[Lists]]:
    parts = [lists[name] for name, _ in sources]
    weights = [weight for _, weight in sources]
    return blend(parts, weights, held.cases.n_items, count=DEPTH), parts


_NOTHING = Ranked(np.zeros(0, np.int32), np.zeros(0, np.float32))


def _list(ranked: Ranked) -> Lists:
    return Lists(ranked.rows[None, :], ranked.scores[None, :])


def _named(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {prefix + name: array for name, array in arrays.items()}


def _of(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
