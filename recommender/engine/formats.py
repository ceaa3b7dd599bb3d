"""Public data sets as interactions and test cases; lines in, arrays out.

Formats: sessions (one a line, items in order), and purchases with times (tab separated
`user item [weight [unix time]]`, or the columns of UCI Online Retail).
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from recommender.engine.base import Interactions, Query
from recommender.engine.evaluation import Case
from recommender.engine.queries import MAX_RECENT, recency_weights


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Data to fit on, cases to be tested with, and the words that say what was done."""

    known: Interactions
    cases: list[Case]
    as_of_s: float
    protocol: str


class _Table:
    """Rows given to names in the order of their appearance."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def __getitem__(self, name: str) -> int:
        return self.rows.setdefault(name, len(self.rows))


def sessions(train: Iterable[str], test: Iterable[str]) -> Benchmark:
    """Return the next-item benchmark: `train` one session a line, `test` `prefix<TAB>next item`.

    Sessions have an order but no times; items of the prefix may come again and are not filtered.
    """
    items = _Table()
    rows = [[items[key] for key in line.split()] for line in train]
    users = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    flat = np.array([item for row in rows for item in row], np.int32)
    # seconds within the session keep the order; the same age for all sessions
    at_s = np.array([place for row in rows for place in range(len(row))], np.float64)
    pairs = [line.rstrip("\n").split("\t") for line in test]
    asked = [([items[key] for key in prefix.split()], items[target]) for prefix, target in pairs]
    known = Interactions(
        users.astype(np.int32),
        flat,
        np.ones(len(flat), np.float32),
        at_s,
        len(rows),
        len(items.rows),
    )
    cases = [
        Case(_newest_first(prefix[::-1]), np.array([item], np.int32)) for prefix, item in asked
    ]
    protocol = (
        f"given split: {len(rows):,} training sessions, {len(cases):,} test prefixes, next item,"
        f" full ranking of {len(items.rows):,} items, repeats count"
    )
    return Benchmark(known, cases, 0.0, protocol)


def temporal(rows: Iterable[tuple[str, str, float, float]], *, days: float) -> Benchmark:
    """Return the benchmark "all purchases of the last `days`" of (user, item, weight, time).

    Tested are users seen on both sides of the cut; what they bought before may come again.
    """
    users, items = _Table(), _Table()
    read = [(users[user], items[item], weight, at_s) for user, item, weight, at_s in rows]
    columns = list(zip(*read, strict=True)) or [(), (), (), ()]
    data = Interactions(
        np.array(columns[0], np.int32),
        np.array(columns[1], np.int32),
        np.array(columns[2], np.float32),
        np.array(columns[3], np.float64),
        len(users.rows),
        len(items.rows),
    )
    cut = float(data.at_s.max(initial=0.0)) - days * 86_400
    known = data.where(data.at_s <= cut)
    cases = list(_by_user(known, data.where(data.at_s > cut)))
    day = datetime.fromtimestamp(cut, UTC).date().isoformat()
    protocol = (
        f"time split at {day}: {len(known):,} lines before, {len(cases):,} customers who bought"
        f" again in the {days:g} days after, truth: all they bought then, full ranking of"
        f" {len(items.rows):,} products, repeats count"
    )
    return Benchmark(known, cases, cut, protocol)


def purchases(lines: Iterable[str]) -> Iterator[tuple[str, str, float, float]]:
    """Yield (user, item, weight, unix time) of a purchase file; the header tells which kind it is.

    Returns, cancellations and guests of Online Retail are left out.
    """
    stream = iter(lines)
    first = next(stream, "")
    if "InvoiceNo" in first:
        for row in csv.DictReader(stream, fieldnames=first.strip().split(",")):
            if row["CustomerID"] and int(row["Quantity"]) > 0 and row["InvoiceNo"][0] != "C":
                at = datetime.strptime(row["InvoiceDate"], "%m/%d/%y %H:%M").replace(tzinfo=UTC)
                yield row["CustomerID"], row["StockCode"], 1.0, at.timestamp()
        return
    for line in (first, *stream):
        fields = line.rstrip("\n").split("\t")
        if len(fields) > 1:
            weight = float(fields[2]) if len(fields) > 2 else 1.0  # noqa: PLR2004 -- third column
            at_s = float(fields[3]) if len(fields) > 3 else 0.0  # noqa: PLR2004 -- fourth column
            yield fields[0], fields[1], weight, at_s


def _by_user(known: Interactions, later: Interactions) -> Iterator[Case]:
    bought: dict[int, set[int]] = {}
    for user, item in zip(later.users.tolist(), later.items.tolist(), strict=True):
        bought.setdefault(user, set()).add(item)
    order = np.lexsort((-known.at_s, known.users))
    users = known.users[order]
    for user, truth in bought.items():
        start, stop = np.searchsorted(users, [user, user + 1])
        if start < stop:
            history = known.items[order[start:stop]]
            yield Case(_newest_first(history.tolist()), np.array(sorted(truth), np.int32))


def _newest_first(items: list[int]) -> Query:
    """Return the query of items given newest first."""
    newest = np.array(items[:MAX_RECENT], np.int64)
    unique, place = np.unique(newest, return_inverse=True)
    weights = np.bincount(place, recency_weights(np.ones(len(newest), np.float32)), len(unique))
    return Query(unique.astype(np.int32), weights.astype(np.float32))
