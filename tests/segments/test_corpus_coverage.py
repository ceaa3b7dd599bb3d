"""No pair of the grammar goes without a case whose answer turns, with steps at its very edges."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise, product
from typing import Any

import pytest

from tests.segments.casefiles import Case, corpus, expected, leaves, wheres
from tests.segments.corpus_grid import AGGREGATES, COMPARISONS, WINDOWS
from tests.segments.edges import edges_us
from tests.segments.oracle_operators import OPERATORS, SECOND, seconds_us

# `context` and `product` are not allowed in segments: `test_oracle.py` has them.
_COMPARED = [*product(("count", "distinct_days"), WINDOWS, COMPARISONS)]
_AGGREGATED = [("aggregate", *rest) for rest in product(WINDOWS, COMPARISONS, AGGREGATES)]
_WINDOWED = [*product(("first_time", "sequence", "then_not"), WINDOWS)]
_PLAIN = [("stopped",), ("regularly",), ("segment",), ("bucket",), ("list",)]
_READ = [*product(("profile", "where"), OPERATORS), *product(("score",), COMPARISONS)]
_PATHS = [
    ("path", path)
    for path in (
        "x",
        "a.b",
        "tags[]",
        "products[].category",
        "$session.id",
        "$context.device.type",
        *(f"$context.campaign.{of}" for of in ("source", "medium", "name", "term", "content")),
        *(f"$context.page.{of}" for of in ("path", "referrer")),
        *(f"$context.{of}" for of in ("country", "region", "locale", "timezone")),
        *(f"$product.{of}" for of in ("category", "brand", "price_minor")),
    )
]
_SHAPES = [("group", "and"), ("group", "or"), ("group", "not"), ("event", "prefix")]
# Each way in which the order of events of one moment shows.
_TIES = ("sequence-by-arrival", "sequence-late-start-comes-after", "then-not", "first", "last")
# Each window, and each kind that reads events, at the end of what is kept.
_KEPT = (
    *("ever", "last", "between", "absolute", "calendar-days"),
    *("distinct-days", "sum", "absence", "sequence", "then-not", "stopped", "regularly"),
    "first-time-of-an-old-span-is-remembered",
    "first-time-ever-ends-with-ever",
    "first-time-with-where-begins-anew",
    "first-time-remembers-for-good",
    "late-beyond",
)
WANTED = [*_COMPARED, *_AGGREGATED, *_WINDOWED, *_PLAIN, *_READ, *_PATHS, *_SHAPES]

Pair = tuple[str, ...]


def _rules(case: Case) -> list[Any]:
    return [case["segment"], *case.get("segments", {}).values()]


def _pairs(case: Case) -> Iterator[Pair]:
    """Every pair that a case is about."""
    for rule in _rules(case):
        yield from (("group", group) for group in ("and", "or", "not") if group in rule)
        for leaf in leaves(rule):
            yield _pair(leaf)
            if any("prefix" in part for part in _events(leaf)):
                yield ("event", "prefix")
            for condition in wheres(leaf):
                yield ("where", condition["op"])
                yield ("path", condition["key"])


def _pair(leaf: Any) -> Pair:
    members = (leaf["kind"], leaf.get("window", {}).get("type"), leaf.get("op"), leaf.get("agg"))
    return tuple(member for member in members if member is not None)


def _events(leaf: Any) -> list[Any]:
    parts = (leaf, leaf.get("a", {}), leaf.get("b", {}), *leaf.get("steps", ()))
    return [part["event"] for part in parts if isinstance(part.get("event"), dict)]


def _turns(case: Case) -> bool:
    answers = expected(case)
    return any(before != after for before, after in pairwise(answers))


def _at_an_edge(case: Case) -> bool:
    """Whether the clock stops at an edge, a second before it and a second after it."""
    stops = {seconds_us(step["at"]) for step in case["steps"]}
    times = [seconds_us(event["ts"]) for step in case["steps"] for event in step["ingest"]]
    found = edges_us(
        _rules(case), times, zone=case["timezone"], retention_days=case.get("retention_days")
    )
    return any({edge - SECOND, edge, edge + SECOND} <= stops for edge in found)


def _has_tie(case: Case) -> bool:
    """Whether somebody did two things at the same moment."""
    told = [(event["user"], event["ts"]) for step in case["steps"] for event in step["ingest"]]
    return len(set(told)) < len(told)


def _stops_where_retention_ends(case: Case) -> bool:
    """Whether the clock stops at the very moment at which an event is no longer kept."""
    kept = seconds_us(case["retention_days"] * 86_400)
    times = {seconds_us(event["ts"]) for step in case["steps"] for event in step["ingest"]}
    return bool({at + kept for at in times} & {seconds_us(step["at"]) for step in case["steps"]})


@cache
def _covered() -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Return the pairs that have a case which turns, and those with one that stops at an edge."""
    turning = [case for cases in corpus().values() for case in cases if _turns(case)]
    edged = [case for case in turning if _at_an_edge(case)]
    return (
        frozenset(pair for case in turning for pair in _pairs(case)),
        frozenset(pair for case in edged for pair in _pairs(case)),
    )


def test_corpus__every_pair__has_a_case_that_turns() -> None:
    missing = [" ".join(pair) for pair in WANTED if pair not in _covered()[0]]

    assert not missing, f"no case whose answer changes: {missing}"


def test_corpus__every_pair_of_time__stops_a_second_about_an_edge() -> None:
    timed = [*_COMPARED, *_AGGREGATED, *_WINDOWED, ("stopped",), ("regularly",)]
    missing = [" ".join(pair) for pair in timed if pair not in _covered()[1]]

    assert not missing, f"no case stops at an edge, a second before and after: {missing}"


@pytest.mark.parametrize("kind", ["merge", "unmerge", "withdraw", "grant", "traits"])
def test_corpus__whatever_else_happens__has_a_case(kind: str) -> None:
    assert any(
        kind in step for cases in corpus().values() for case in cases for step in case["steps"]
    )


@pytest.mark.parametrize("window", WINDOWS)
def test_corpus__late_beyond_the_window_and_its_retention__has_a_case(window: str) -> None:
    late = {case["id"] for case in corpus()["order"]}

    assert f"late-beyond-{window}" in late


@pytest.mark.parametrize("what", _TIES)
def test_corpus__events_of_one_moment__have_a_case(what: str) -> None:
    tied = {case["id"] for case in corpus()["order"] if _has_tie(case)}

    assert f"tie-{what}" in tied


@pytest.mark.parametrize("what", _KEPT)
def test_corpus__the_end_of_retention__has_a_case_that_stops_there(what: str) -> None:
    ending = {case["id"] for case in corpus()["retention"] if _stops_where_retention_ends(case)}

    assert f"kept-{what}" in ending


def test_corpus__ids__are_unique() -> None:
    ids = [case["id"] for cases in corpus().values() for case in cases]

    assert len(ids) == len(set(ids))
    assert len(ids) >= 600
