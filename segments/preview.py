"""A rule before it is saved: how many, who for example, what each condition removes, overlaps.

Exact up to SEGMENT_PREVIEW_EXACT customers; above it whole buckets are a sample, with its margin.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from personalization.events.facttable import BUCKETS
from segments import compile as sql
from segments.engine.catalogue import Catalogue
from segments.engine.language import GROUPS, parse
from segments.errors import PreviewTooSlow
from segments.faces import Someone, people
from segments.population import AT_HAND, Question, Rule, customers_in, settled, verdicts, with_lists
from segments.sampling import estimate
from segments.sql.pieces import Truth
from segments.words import describe, describe_part

MOST_MS = 5_000
# So long the whole of a small base is tried before a sample answers, within MOST_MS together.
_WHOLE_MS = 2_500
SAMPLE = 10
# A sample has at least so many customers: ± 0.8 % of the base at worst.
_LEAST_SAMPLED = 15_000

_MANY = """
SELECT count(*) FROM (SELECT FROM customers_customer WHERE merged_into_id IS NULL LIMIT %s) c
"""
_OVERLAP = """
SELECT s.key, s.title, shared.many, COALESCE(
    CASE WHEN %(sampled)s THEN (
        SELECT z.members FROM segments_size z WHERE z.segment_id = s.id ORDER BY z.at DESC LIMIT 1
    ) END,
    (SELECT count(*) FROM segments_membership m WHERE m.version_id = s.published_id))
FROM (
    SELECT m.version_id, count(*) AS many
    FROM unnest(%(members)s::bigint[]) AS held (id)
    JOIN segments_membership m ON m.customer_id = held.id
    GROUP BY 1
) shared JOIN segments_segment s ON s.published_id = shared.version_id
ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition: for how many it holds alone, and how many it removes.

    `removes`: members that the rule would have without it, less those it has; under `or` a
    condition adds, which is less than 0. Margins are as that of the count.
    """

    path: str
    sentence: str
    matching: int
    matching_margin: int
    removes: int
    removes_margin: int


@dataclass(frozen=True, slots=True)
class Overlap:
    """A segment in force: how many members of the rule are in it, and how many it has.

    `size` is counted, not sampled.
    """

    key: str
    title: str
    shared: int
    shared_margin: int
    size: int


@dataclass(frozen=True, slots=True)
class Preview:
    """What a rule says of the base at a moment.

    `margin`: how far off `count` may be, at 95 %; 0 when `exact`. `total`: known customers who
    consent. `share`: the part of the base that was looked at.
    """

    count: int
    total: int
    exact: bool
    margin: int
    share: float
    sample: tuple[Someone, ...]
    conditions: tuple[Condition, ...]
    overlap: tuple[Overlap, ...]
    sentence: str
    ms: float
    as_of: datetime


def preview(
    rule: Rule,
    *,
    now: datetime,
    catalogue: Catalogue | None = None,
    segments: Mapping[str, Rule] | None = None,
) -> Preview:
    """Return what a valid rule says of the base.

    Parameters
    ----------
    catalogue
        Words for the sentences; None: keys as they are.
    segments
        Rules by key that it may name; None: those in force.

    Raises
    ------
    PreviewTooSlow
        A statement took longer than five seconds.
    """
    began = time.perf_counter()
    words = catalogue or Catalogue()
    parts = conditions_of(rule)
    asked = {AT_HAND: rule, **{path: part for path, part in parts if path}}
    question = Question(asked, now, segments)
    share, tally = _first_in_time(question, rule, [path for path, _ in parts])
    members = tally.members
    with settled(most_ms=MOST_MS):
        overlap = _overlap(members, tally.total, share)
        sample = people(_spread(members))
    whole = estimate(len(members), tally.total, share)
    return Preview(
        count=whole.count,
        total=round(tally.total / share),
        exact=share == 1,
        margin=whole.margin,
        share=share,
        sample=sample,
        conditions=tuple(
            _condition(path, describe_part(parse(part), words), tally, share)
            for path, part in parts
        ),
        overlap=overlap,
        sentence=describe(parse(rule), words),
        ms=1000 * (time.perf_counter() - began),
        as_of=now,
    )


def _condition(path: str, sentence: str, tally: "_Tally", share: float) -> Condition:
    matching = estimate(tally.matching[path], tally.total, share)
    # one holds of all for whom the other does, so that these are customers of the sample too
    more = tally.without[path] - len(tally.members)
    removed = estimate(abs(more), tally.total, share)
    removes = removed.count if more > 0 else -removed.count
    return Condition(path, sentence, matching.count, matching.margin, removes, removed.margin)


def conditions_of(rule: Rule) -> list[tuple[str, Rule]]:
    """Return (path, rule) of the direct children of the top group, or the rule itself."""
    for op in GROUPS:
        if op in rule:
            return [(f"{op}[{place}]", child) for place, child in enumerate(rule[op])]
    return [("", rule)]


def _first_in_time(question: Question, rule: Rule, paths: Sequence[str]) -> tuple[float, "_Tally"]:
    """Return (share of the base that was looked at, counts within it).

    A small base whose customers did so much that counting all of them takes too long is sampled.
    """
    samples = _samples()
    for buckets in samples:
        is_last = buckets is samples[-1]
        try:
            with settled(most_ms=MOST_MS if is_last else _WHOLE_MS):
                return len(buckets) / BUCKETS, _tally(question, rule, paths, buckets)
        except PreviewTooSlow:
            if is_last:
                raise
    raise AssertionError


def _samples() -> list[Sequence[int]]:
    """Return the buckets to look at, and those for when that is too slow."""
    exact = settings.SEGMENT_PREVIEW_EXACT
    with connection.cursor() as cursor:
        cursor.execute(_MANY, [exact + 1])
        is_small = cursor.fetchone()[0] <= exact
    wanted = min(-(-_LEAST_SAMPLED // max(customers_in([0]), 1)), BUCKETS)
    whole, sample = range(BUCKETS), range(wanted)
    if is_small:
        return [whole] if wanted == BUCKETS else [whole, sample]
    return [sample]


# --- Counting -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """Counts within the sample, by path of a condition."""

    total: int
    members: list[int]
    matching: dict[str, int]
    without: dict[str, int]

    def add(self, customer: int, truths: Mapping[str, bool], op: str) -> None:
        """Count one customer who was decided in process."""
        holds = all if op == "and" else any
        if truths[AT_HAND]:
            self.members.append(customer)
        for path in self.matching:
            self.matching[path] += truths[path or AT_HAND]
            rest = [truths[other] for other in self.matching if other != path]
            self.without[path] += holds(rest)


def _tally(question: Question, rule: Rule, paths: Sequence[str], buckets: Sequence[int]) -> _Tally:
    """Count all conditions in one statement; in process those whom it leaves undecided."""
    op = "or" if "or" in rule else "and"
    # the whole rule is put together from its conditions, each made once
    needed = {k: v for k, v in question.nodes.items() if k != AT_HAND or "" in paths}
    scope = with_lists(replace(question.scope, buckets=buckets, segments=needed))
    selection = sql.Selection(scope)
    truths = {path: selection.truth(scope.segments[path or AT_HAND]) for path in paths}
    held = selection.group(op, list(truths.values()))
    rest = {
        path: selection.group(op, [truth for other, truth in truths.items() if other != path])
        for path in paths
    }
    exact = all(truth.exact for truth in truths.values())
    # one and the same customer is counted here in everything, or in process in everything
    known = "TRUE" if exact else _all_known(truths.values())
    counted = [held, *(truths[path] for path in paths), *(rest[path] for path in paths)]
    select = ["count(*)", f"array_agg(x.id) FILTER (WHERE {known} AND {held.must})"]
    select += [f"count(*) FILTER (WHERE {known} AND {one.must})" for one in counted[1:]]
    select.append("NULL" if exact else f"array_agg(x.id) FILTER (WHERE NOT {known})")
    with connection.cursor() as cursor:
        cursor.execute(selection.statement(", ".join(select)), selection.values)
        total, members, *counts, undecided = cursor.fetchone()
    found = _Tally(
        total,
        members or [],
        dict(zip(paths, counts[: len(paths)], strict=True)),
        dict(zip(paths, counts[len(paths) :], strict=True)),
    )
    if undecided:
        keys = [AT_HAND, *(path for path in paths if path)]
        for customer, said in verdicts(question.reader, keys, undecided, question.scope.now):
            found.add(customer, said, op)
    return found


def _all_known(truths: Iterable[Truth]) -> str:
    """Return SQL that says whether every condition of a customer is decided."""
    open_ = [f"({one.may} AND NOT {one.must})" for one in truths if not one.exact]
    return f"(NOT ({' OR '.join(open_)}))"


# --- People and segments --------------------------------------------------------------------------


def _spread(members: Sequence[int]) -> list[int]:
    """Return ten members from all over the list."""
    step = max(1, len(members) // SAMPLE)
    return list(members[::step][:SAMPLE])


def _overlap(members: Sequence[int], asked: int, share: float) -> tuple[Overlap, ...]:
    """Return the segments in force that share members, the most first; `asked`: of so many sampled.

    Sizes of a large base are as last measured for the trend: counting them takes longer than all
    the rest.
    """
    params: dict[str, Any] = {"members": list(members), "sampled": share < 1}
    with connection.cursor() as cursor:
        cursor.execute(_OVERLAP, params)
        rows = cursor.fetchall()
    told = ((key, title, estimate(many, asked, share), size) for key, title, many, size in rows)
    return tuple(Overlap(key, title, one.count, one.margin, size) for key, title, one, size in told)
