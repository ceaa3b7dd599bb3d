"""The whole evaluation: choose on validation, refit on everything, look at the test once.

What comes back is plain JSON; `manage.py evaluate` and the benchmark print it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from recommender.engine import protocols, ratings, rerank
from recommender.engine.blend import Blend
from recommender.engine.budget import OutOfTimeError, Session
from recommender.engine.cases import Cases
from recommender.engine.lists import Lists, rank
from recommender.engine.logs import Given
from recommender.engine.measures import CUTS, beyond, each, intervals, means
from recommender.engine.parts import bands
from recommender.engine.portfolio import (
    DEPTH,
    Choice,
    Refused,
    Tuned,
    blended,
    by_default,
    choose,
    fit,
    name_of,
    without,
)
from recommender.engine.protocols import NothingToAskError, Split

_SEED = 42
# Part of what the clock leaves that one refit may take; the figures need the rest.
_REFITS = 0.7


def assess(
    name: str,
    given: Given,
    session: Session,
    *,
    names: Sequence[str] | None = None,
    cut_s: float | None = None,
) -> dict[str, Any]:
    """Return what `manage.py evaluate --json` prints, but seconds and memory.

    Raises
    ------
    NothingToAskError
        Nothing can be held out of the data.
    ValueError
        No model can be fitted.
    """
    split = _validation(name, given, cut_s)
    session.report(f"validation: {split.words}; {len(split.cases):,} cases")
    choice = choose(split, session, names=names) if len(split.cases) else by_default(split, names)
    session.report(f"chosen: {name_of(choice.blend)}")
    test = protocols.held_out(name, given, own=split.own, cut_s=cut_s)
    lists = _refitted(choice, test, session)
    choice = without(choice, set(choice.sources()) - set(lists))
    told = None
    if given.log.ratings and test.held is not None:
        told = ratings.errors(test.known, test.held, session.n_users, session.n_items)
    return {
        "format": name,
        "protocol": _protocol(split, test, session),
        "data": _facts(given, test),
        "chosen": _chosen(choice, test, lists, session),
        "ratings": told,
        "models": [
            *(_model(one, test, lists.get(one.name)) for one in choice.ordered()),
            *(_refusal(one) for one in choice.refused),
        ],
    }


def _validation(name: str, given: Given, cut_s: float | None) -> Split:
    """Return the validation part; one without cases where the test alone can be asked."""
    try:
        return protocols.validation(name, given, cut_s=cut_s)
    except NothingToAskError:
        own = name in {"sessions", "temporal"}
        test = protocols.held_out(name, given, own=own, cut_s=cut_s)
        nobody = test.cases.take(np.zeros(0, np.int64))
        return Split(test.known, nobody, own, test.as_of_s, "nothing to validate on: the default")


def _refitted(choice: Choice, test: Split, session: Session) -> dict[str, tuple[Lists, Lists]]:
    """Return (all, unknown items only) lists of each model, fitted on everything.

    The chosen first, the quickest of them before; of the others those that the budget still allows.
    What the clock stops is absent.
    """
    data = test.known.interactions(session.n_users, session.n_items)
    by_name = {one.name: one for one in choice.tuned}
    sources = sorted(choice.sources(), key=lambda name: by_name[name].seconds)
    others = sorted(set(by_name) - set(sources), key=lambda name: by_name[name].seconds)
    found = {}
    for name in (*sources, *others):
        one = by_name[name]
        if name not in sources and 2 * one.seconds + 10 > session.left_s():
            session.report(f"{name}: not refitted, no time left")
            continue
        # what is in no blend is measured alone, so that its lists need not be longer than that
        count = DEPTH if name in sources else max(CUTS)
        try:
            with session.stopping(_REFITS * session.wall_left_s()):
                model = fit(one.entry, one.config, data, test.as_of_s, session.side)
                found[name] = rank(model, test.cases, one.fold, count=count, own=test.own)
        except OutOfTimeError:
            session.report(f"{name}: stopped, the clock ran out")
            continue
        session.report(f"{name}: refitted, asked {len(test.cases):,} test cases")
    return found


def _chosen(
    choice: Choice, test: Split, lists: Mapping[str, tuple[Lists, Lists]], session: Session
) -> dict[str, Any]:
    rng = np.random.default_rng(_SEED)
    every, fresh = (_lists_of(choice.blend, lists, place, session) for place in (0, 1))
    plain = each(every, test.cases)
    if choice.second is not None:
        every = _again(choice, every, lists, test, session)
        fresh = fresh if test.own else every
    values = each(every, test.cases)
    known = _matrix(test, session)
    found: dict[str, Any] = {
        "model": name_of(choice.blend) + (", reranked" if choice.second else ""),
        "config": choice.blend.to_json()
        | {"configs": _configs(choice)}
        | {"reranker": list(choice.second.sources) if choice.second else None},
        "metrics": means(values) | beyond(every, known, rng),
        "intervals": intervals(values, rng, test.cases.whose()),
        "segments": {band: means(values, mask) for band, mask in bands(test.cases).items()},
    }
    if choice.second is not None:
        found["without_reranker"] = means(plain)
    if not test.own:
        return found
    found |= _apart(every, fresh, test.cases)
    if choice.discovery is not None:
        found["discovery_as_chosen"] = found["discovery"]
        fresh = _lists_of(choice.discovery, lists, 1, session)
        found["discovery"] = {
            "model": name_of(choice.discovery),
            "config": choice.discovery.to_json(),
        } | _apart(every, fresh, test.cases)["discovery"]
    return found


def _again(
    choice: Choice,
    first: Lists,
    lists: Mapping[str, tuple[Lists, Lists]],
    test: Split,
    session: Session,
) -> Lists:
    """Return the blend's lists after the reranker's second look."""
    assert choice.second is not None  # noqa: S101 -- narrows the type
    about = rerank.facts(test.known, session.n_items, session.side)
    parts = [lists[name][0] for name in choice.second.sources]
    return rerank.reordered(choice.second.model, first, parts, test.cases, about)


def _lists_of(
    blend: Blend, lists: Mapping[str, tuple[Lists, Lists]], place: int, session: Session
) -> Lists:
    """Return the blend of the sources' lists: at place 0 all items, at 1 those new to each."""
    parts = {name: pair[place] for name, pair in lists.items()}
    return blended(blend, parts, session.n_items, rerank.DEPTH)


def _apart(every: Lists, fresh: Lists, cases: Cases) -> dict[str, Any]:
    """Return repeats and discovery: known items in the lists, and new ones without known beside."""
    again = cases.is_repeat()
    found: dict[str, Any] = {"repeat_share": round(float(again.mean()), 4)}
    for name, lists, mask in (("repeat", every, again), ("discovery", fresh, ~again)):
        part = lists.take(cases.asked(mask))
        found[name] = means(each(part, cases.with_truth(mask)))
    return found


def _model(one: Tuned, test: Split, pair: tuple[Lists, Lists] | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": one.name,
        "config": one.config.to_json()
        | {"fold_in": {"decay": one.fold.decay, "half_life_days": one.fold.half_life_days}},
        "validation": {
            "NDCG@20": round(float(one.values.mean()), 6) if len(one.values) else None,
            "users": len(one.values),
        },
        "fit_s": round(one.seconds, 2),
    }
    if pair is None:
        return found | {"metrics": None}
    found["metrics"] = means(each(pair[0], test.cases))
    return found | (_apart(*pair, test.cases) if test.own else {})


def _refusal(one: Refused) -> dict[str, Any]:
    found: dict[str, Any] = {"model": one.name, "refused": one.why}
    if one.cost is not None:
        found["estimate"] = {
            "seconds": round(one.cost.seconds, 1),
            "mb": round(one.cost.bytes / 1e6),
        }
    return found


def _configs(choice: Choice) -> dict[str, Any]:
    sources = set(choice.sources())
    return {one.name: one.config.to_json() for one in choice.tuned if one.name in sources}


def _protocol(split: Split, test: Split, session: Session) -> str:
    return (
        f"test: {test.words}, {len(test.cases):,} cases; chosen on: {split.words},"
        f" {len(split.cases):,} cases; full ranking of {session.n_items:,} items;"
        f" known items {'may come again' if test.own else 'are left out'}"
    )


def _facts(given: Given, test: Split) -> dict[str, Any]:
    strangers = 0
    if given.test is not None and not given.baskets:
        strangers = len(np.setdiff1d(given.test.users, given.log.users))
    return {
        "test_users_not_in_train": strangers,
        "users": len(given.users),
        "items": len(given.items),
        "interactions": len(test.known),
        "timed": given.log.timed,
        "ratings": given.log.ratings,
        "left_out": given.log.left_out,
    }


def _matrix(test: Split, session: Session) -> csr_matrix:
    ones: NDArray[np.float32] = np.ones(len(test.known), np.float32)
    shape = (session.n_users, session.n_items)
    matrix = csr_matrix((ones, (test.known.users, test.known.items)), shape=shape)
    matrix.sum_duplicates()
    return matrix
