"""What is known and what is asked: the split of each format, for the test and for validation.

The validation part is cut from the training data in the way of the test, so that what wins there
wins here. Nothing of the test is looked at before the last step.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Rows
from recommender.engine.cases import Cases, build
from recommender.engine.logs import Asked, Given, Log

SEED = 42
# What is held out where the files do not say it.
SHARE = 0.2
# A cut by time leaves few who are seen on both sides where people come once, in one burst; then the
# newest of each is held out. 100 users give a recall near .2 a standard error of .03.
FEW = 100
# An item asked again this often is worth recommending again.
REPEATS = 0.1
# The least of a basket to hide one of.
_BASKET = 3
# Steps of one session asked at most, and the share of sessions held out for validation.
_SESSION_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Split:
    """What to fit on and what to ask. `own`: items of the history may come again.

    `later`: what is asked came after what is known, so that time is learned from too. `held`: the
    interactions that were held out, where they are no mere items.
    """

    known: Log
    cases: Cases
    own: bool
    as_of_s: float
    words: str
    later: bool = True
    held: Log | None = None


class NothingToAskError(ValueError):
    """No case is left: the message says what the data lacks."""


def validation(name: str, given: Given, *, cut_s: float | None = None) -> Split:
    """Return the training data of `given` split as the format's test is.

    Raises
    ------
    NothingToAskError
        The data is too small to hold anything out.
    """
    base = _training(name, given, cut_s)
    return HOLDOUTS[name](base, _earlier(base.log, given, cut_s))


def held_out(name: str, given: Given, *, own: bool, cut_s: float | None = None) -> Split:
    """Return the test: what the test file holds, or what the format holds out of one file.

    `own`: whether known items may come again, as the validation part told.

    Raises
    ------
    NothingToAskError
        No test case is left.
    """
    if given.asked is not None:
        return _asked(given, given.asked)
    if given.test is not None:
        return _given(name, given, given.test, own=own)
    return _owned(HOLDOUTS[name](given, cut_s), own=own)


def _training(name: str, given: Given, cut_s: float | None) -> Given:
    """Return what may be learned from: everything but the test."""
    if given.test is not None or given.asked is not None:
        return replace(given, test=None, asked=None)
    return replace(given, log=HOLDOUTS[name](given, cut_s).known)


def _earlier(base: Log, given: Given, cut_s: float | None) -> float | None:
    """Return a cut that leaves as long a window as the test's, of half of the time at most."""
    if cut_s is None or not len(base):
        return None
    first, last = float(base.at_s.min()), float(base.at_s.max())
    asked = given.log if given.test is None else given.test
    window = float(asked.at_s.max(initial=cut_s)) - cut_s
    return last - min(window, (last - first) / 2) if window > 0 else None


def _cut(given: Given, cut_s: float | None) -> Split:
    """Hold out all that came from `cut_s` on, asked of those who were there before."""
    log = given.log
    if cut_s is None:
        cut_s = float(np.quantile(log.at_s, 1 - SHARE)) if len(log) else 0.0
    return _by_mask(given, log.at_s >= cut_s, cut_s, own=True, words=f"all from {_day(cut_s)} on")


def _temporal(given: Given, cut_s: float | None) -> Split:
    """Hold out what came from the cut on; without one the newest fifth of the time."""
    log = given.log
    if not len(log):
        raise NothingToAskError(_EMPTY)
    first, last = float(log.at_s.min()), float(log.at_s.max())
    if cut_s is None:
        cut_s = last - SHARE * (last - first)
    elif not first < cut_s <= last:
        msg = (
            f"--cut leaves nothing on one side: the data is from {_day(first)} to {_day(last)};"
            " choose a moment after the first and not after the last"
        )
        raise NothingToAskError(msg)
    return _cut(given, cut_s)


def _tsv(given: Given, _cut_s: float | None) -> Split:
    """Hold out the newest fifth by time, else a random fifth of each user's."""
    log = given.log
    if not log.timed:
        return _lightgcn(given, None)
    found = _with_repeats(_try(lambda: _cut(given, None)))
    if found is not None and len(found.cases) >= min(FEW, _users_of(log) / 5):
        return found
    held = _newest_of_each(log)
    return _own_by_data(
        _by_mask(given, held, None, own=True, words="the newest fifth of each user's")
    )


def _lightgcn(given: Given, _cut_s: float | None) -> Split:
    """Hold out a random fifth of each user's items."""
    rank = np.random.default_rng(SEED).random(len(given.log))
    held = _last_share(given.log.users, rank)
    made = _by_mask(given, held, None, own=False, words="a random fifth of each user's, seed 42")
    return replace(made, later=False)


def _leave_one_out(given: Given, _cut_s: float | None) -> Split:
    """Hold out each user's last item, of those with two or more."""
    log = given.log
    if not len(log):
        raise NothingToAskError(_EMPTY)
    last = np.append(log.users[1:] != log.users[:-1], [True])
    held = last & (np.bincount(log.users)[log.users] > 1)
    return _by_mask(given, held, None, own=False, words="the last item of each user")


def _sessions(given: Given, _cut_s: float | None) -> Split:
    """Hold out the last tenth of the sessions: each step asked of those before it."""
    log = given.log
    # the sessions there are: those of a part held out before have left their names behind
    lengths = np.bincount(log.users)
    late = _last_users(len(lengths), _SESSION_SHARE)
    cut = int(np.argmax(late)) if late.any() else len(lengths)
    known = log.where(log.users < cut)
    part = log.where(log.users >= cut)
    bounds = np.append(np.flatnonzero(np.diff(part.users, prepend=-1)), len(part))
    before, after = [], []
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        steps = part.items[start:stop].tolist()
        for place in range(1, len(steps)):
            before.append(tuple(steps[:place]))
            after.append(steps[place])
    asked = Asked(tuple(before), tuple(after))
    return _asked(replace(given, log=known), asked)


def _baskets(given: Given, _cut_s: float | None) -> Split:
    """Hide one item of each of the last fifth of the baskets with three or more."""
    log = given.log
    order = _basket_order(log)
    late = np.zeros(len(given.users), np.bool_)
    late[order[len(order) - round(SHARE * len(order)) :]] = True
    known = log.where(~late[log.users])
    return _hidden(given, known, log.where(late[log.users]))


HOLDOUTS: dict[str, Callable[[Given, float | None], Split]] = {
    "tsv": _tsv,
    "lightgcn": _lightgcn,
    "leave-one-out": _leave_one_out,
    "sessions": _sessions,
    "baskets": _baskets,
    "temporal": _temporal,
}


def _given(name: str, given: Given, test: Log, *, own: bool) -> Split:
    """Return the cases of a test file: what each of its users is known for, and what came."""
    if name == "baskets":
        return _hidden(given, given.log, test)
    log = given.log
    as_of_s = float(log.at_s.max(initial=0.0)) if log.timed else 0.0
    cases = _by_user(log, test, as_of_s, len(given.items))
    made = Split(log, cases, own=True, as_of_s=as_of_s, words="the given test file", held=test)
    return _owned(made, own=own)


def _hidden(given: Given, known: Log, late: Log) -> Split:
    """Hide one item of each basket of `late` that holds three or more distinct ones, seed 42."""
    rng = np.random.default_rng(SEED)
    pairs = np.unique(late.users.astype(np.int64) * len(given.items) + late.items)
    users, items = pairs // max(len(given.items), 1), pairs % max(len(given.items), 1)
    bounds = np.append(np.flatnonzero(np.diff(users, prepend=-1)), len(users))
    histories, truths = [], []
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if stop - start < _BASKET:
            continue
        basket = items[start:stop].astype(np.int32)
        place = int(rng.integers(len(basket)))
        rest = np.delete(basket, place)
        histories.append((rest, np.ones(len(rest), np.float32), np.zeros(len(rest))))
        truths.append(basket[place : place + 1])
    as_of_s = float(known.at_s.max(initial=0.0)) if known.timed else 0.0
    cases = build(
        histories, truths, as_of_s=as_of_s, n_items=len(given.items), ordered=False, timed=False
    )
    words = "one item hidden of each basket of 3 or more of the last fifth, seed 42"
    return _checked(Split(known, cases, own=False, as_of_s=as_of_s, words=words))


def _asked(given: Given, asked: Asked) -> Split:
    histories = []
    for prefix in asked.before:
        items = np.array(prefix, np.int32)
        histories.append(
            (items, np.ones(len(items), np.float32), np.arange(len(items), dtype=float))
        )
    truths = [np.array([item], np.int32) for item in asked.after]
    cases = build(
        histories,
        truths,
        as_of_s=0.0,
        n_items=len(given.items),
        ordered=True,
        timed=False,
        users=_sessions_of(asked),
    )
    words = "next item of each prefix"
    return _checked(Split(given.log, cases, own=True, as_of_s=0.0, words=words))


def _sessions_of(asked: Asked) -> NDArray[np.int64]:
    """Return the session of each question (n,).

    Test files do not say it: lines are of one where either goes on just where the other ends, so
    that two sessions that begin alike may count as one.
    """
    lines = list(zip(asked.before, asked.after, strict=True))
    parted = [
        later != (*before, item) and before != (*later, following)
        for (before, item), (later, following) in pairwise(lines)
    ]
    return np.cumsum([0, *parted])[: len(lines)]


def _by_mask(
    given: Given, held: NDArray[np.bool_], as_of_s: float | None, *, own: bool, words: str
) -> Split:
    log = given.log
    known = log.where(~held)
    if as_of_s is None:
        as_of_s = float(known.at_s.max(initial=0.0)) if log.timed else 0.0
    cases = _by_user(known, log.where(held), as_of_s, len(given.items))
    made = Split(known, cases, own=True, as_of_s=as_of_s, words=words, held=log.where(held))
    return _owned(made, own=own)


def _by_user(known: Log, later: Log, as_of_s: float, n_items: int) -> Cases:
    """Return one case a user of `later` who is in `known` (both sorted by user)."""
    asked = np.intersect1d(later.users, known.users)
    begin = np.searchsorted(known.users, asked)
    end = np.searchsorted(known.users, asked, side="right")
    first = np.searchsorted(later.users, asked)
    last = np.searchsorted(later.users, asked, side="right")
    spans = zip(begin.tolist(), end.tolist(), first.tolist(), last.tolist(), strict=True)
    histories, truths = [], []
    for start, stop, since, until in spans:
        histories.append(
            (known.items[start:stop], known.weights[start:stop], known.at_s[start:stop])
        )
        truths.append(np.unique(later.items[since:until]))
    return build(
        histories,
        truths,
        as_of_s=as_of_s,
        n_items=n_items,
        ordered=known.ordered,
        timed=known.timed,
    )


def _owned(split: Split, *, own: bool) -> Split:
    """Return the split with or without repeats: where known items never come, nor may truths be."""
    if own or not split.own:
        return _checked(split)
    cases = split.cases.with_truth(~split.cases.is_repeat())
    if len(split.cases) and not len(cases):
        msg = (
            f"no test case ({split.words}): all that is asked is known already from the training"
            " data, and known items are left out; is --test the same file as --train?"
        )
        raise NothingToAskError(msg)
    return _checked(replace(split, cases=cases, own=False))


def _own_by_data(split: Split) -> Split:
    """Return the split with repeats where the data repeats itself, else without them."""
    share = float(split.cases.is_repeat().mean()) if len(split.cases.truth) else 0.0
    own = share >= REPEATS
    what = "they count" if own else "known items are left out"
    return _owned(replace(split, words=f"{split.words}; {share:.1%} repeats: {what}"), own=own)


def _with_repeats(split: Split | None) -> Split | None:
    return None if split is None else _try(lambda: _own_by_data(split))


def _try(make: Callable[[], Split]) -> Split | None:
    try:
        return make()
    except NothingToAskError:
        return None


_EMPTY = "the training data is empty: give at least two lines of one user"


def _checked(split: Split) -> Split:
    if not len(split.cases):
        msg = (
            f"no test case ({split.words}): nobody is on both sides of the split;"
            " give more lines, another --cut, or a --test file whose users are in --train"
        )
        raise NothingToAskError(msg)
    return split


def _newest_of_each(log: Log) -> NDArray[np.bool_]:
    return _last_share(log.users, log.at_s)


def _last_share(users: Rows, rank: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask of each user's highest fifth by `rank`; at least one of two or more."""
    order = np.lexsort((rank, users))
    counts = np.bincount(users, minlength=1)
    held = np.where(counts > 1, np.maximum(np.round(SHARE * counts), 1), 0).astype(np.int64)
    ends = np.cumsum(counts)
    place = np.arange(len(users))
    mask = np.zeros(len(users), np.bool_)
    mask[order] = place >= (ends - held)[users[order]]
    return mask


def _last_users(count: int, share: float) -> NDArray[np.bool_]:
    mask = np.zeros(count, np.bool_)
    mask[count - max(round(share * count), min(1, count - 1)) :] = count > 1
    return mask


def _basket_order(log: Log) -> NDArray[np.int64]:
    """Return the baskets (users that have any item) by time, those of one moment by row."""
    users, first = np.unique(log.users, return_index=True)
    return users[np.lexsort((users, log.at_s[first]))].astype(np.int64)


def _users_of(log: Log) -> int:
    return len(np.unique(log.users))


def _day(at_s: float) -> str:
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # no year of ours
        return f"{at_s:.0f} s"
