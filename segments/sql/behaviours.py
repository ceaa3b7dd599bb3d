"""Leaves that read events, as SQL: the customers for whom each holds.

A leaf becomes a query of customers. Where absence makes it true it is a query of those for whom it
does *not* hold, and the leaf is negated. Facts that SQL cannot decide make their customers
doubtful: whoever has one in the leaf's stretch of time is decided in process.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from personalization.events.facttable import BUCKETS
from segments.engine.language import Leaf
from segments.engine.values import compared
from segments.engine.windows import NEVER, Span
from segments.sql import figures
from segments.sql.facts import Frame, doubtful
from segments.sql.pieces import Truth
from segments.sql.zones import local_day


@dataclass(frozen=True, slots=True)
class Hits:
    """Queries of customers: who (or, negated, who not), and who is doubtful ("" for nobody)."""

    query: str
    negated: bool = False
    doubts: str = ""


def hits(leaf: Leaf, frame: Frame) -> Hits:
    """Return the customers for whom the leaf holds."""
    return _MAKE[leaf.kind](leaf, frame)


def bounds(leaf: Leaf, frame: Frame) -> tuple[int | None, int]:
    """Return (low, high): the window now is low < t <= high; None for no beginning."""
    low, high = Span(leaf.window, frame.calendar, frame.retention).bounds(frame.now)
    return (None if low <= -NEVER else low), high


def _doubts(frame: Frame, facts: str, takes: Sequence[Truth]) -> str:
    found = doubtful(takes)
    return f"SELECT f.customer_id FROM {facts} AND {found}" if found else ""  # noqa: S608 -- parameters only


# --- Leaves that count ----------------------------------------------------------------------------


def _count(leaf: Leaf, frame: Frame) -> Hits:
    facts, takes = _single(leaf, frame)
    negated = compared(leaf.op, leaf.value)(0)
    query = f"SELECT {frame.customer} FROM {facts} AND {takes.must}"  # noqa: S608 -- parameters only
    if not _is_once(leaf):
        holds = figures.compares("count(*)", leaf.op, leaf.value, frame.params)
        query += f" GROUP BY {frame.customer} HAVING {_not(holds, negated=negated)}"
    return Hits(query, negated, _doubts(frame, facts, [takes]))


def _is_once(leaf: Leaf) -> bool:
    """Whether one event decides it: "at least once" or the opposite."""
    holds = compared(leaf.op, leaf.value)
    return (leaf.op in ("gte", "gt", "lt", "lte") and holds(0) != holds(1)) or (
        leaf.op in ("eq", "neq") and leaf.value == 0
    )


def _distinct_days(leaf: Leaf, frame: Frame) -> Hits:
    low, high = bounds(leaf, frame)
    zone = frame.calendar.zone
    day = local_day("f.at", frame.params, zone, 0 if low is None else low, high)
    return _distinct(leaf, frame, day)


def _distinct(leaf: Leaf, frame: Frame, what: str) -> Hits:
    facts, takes = _single(leaf, frame)
    negated = compared(leaf.op, leaf.value)(0)
    holds = figures.compares("count(*)", leaf.op, leaf.value, frame.params)
    query = (
        f"SELECT d.customer_id FROM (SELECT DISTINCT f.customer_id, {what} "  # noqa: S608 -- parameters only
        f"FROM {facts} AND {takes.must}) d "
        f"GROUP BY d.customer_id HAVING {_not(holds, negated=negated)}"
    )
    return Hits(query, negated, _doubts(frame, facts, [takes]))


def _aggregate(leaf: Leaf, frame: Frame) -> Hits:
    facts, takes = _single(leaf, frame)
    figure = figures.figure(leaf, frame, facts, takes.must)
    if not figure.exact:
        return Hits(_NOBODY, doubts=f"SELECT f.customer_id FROM {facts}")  # noqa: S608 -- parameters only
    return Hits(figure.query, figure.negated, _doubts(frame, facts, [takes]))


def _stopped(leaf: Leaf, frame: Frame) -> Hits:
    low, high = bounds(leaf, frame)
    facts, takes = _single(leaf, frame, (low, frame.now))
    query = (
        f"SELECT {frame.customer} FROM {facts} AND {takes.must} GROUP BY {frame.customer} "  # noqa: S608 -- parameters only
        f"HAVING max(f.at) <= {frame.params.add(high, 'bigint')}"
    )
    return Hits(query, doubts=_doubts(frame, facts, [takes]))


def _regularly(leaf: Leaf, frame: Frame) -> Hits:
    now, period = (frame.params.add(value, "bigint") for value in (frame.now, leaf.after))
    facts, takes = _single(leaf, frame)
    query = (
        f"SELECT d.customer_id FROM (SELECT DISTINCT f.customer_id, ({now} - f.at) / {period} "  # noqa: S608 -- parameters only
        f"FROM {facts} AND {takes.must}) d GROUP BY d.customer_id "
        f"HAVING count(*) >= {frame.params.add(leaf.min_periods, 'int')}"
    )
    return Hits(query, doubts=_doubts(frame, facts, [takes]))


def _single(
    leaf: Leaf, frame: Frame, stretch: tuple[int | None, int] | None = None
) -> tuple[str, Truth]:
    """Return the facts of the one matcher in the window (or a stretch), and what it takes."""
    low, high = stretch or bounds(leaf, frame)
    facts = frame.facts(leaf.matchers, low, high)
    return facts, frame.takes(leaf.matchers[0], alone=True)


def _not(holds: str, *, negated: bool) -> str:
    return f"NOT ({holds})" if negated else holds


_NOBODY = "SELECT NULL::bigint WHERE FALSE"


# --- Leaves about order ---------------------------------------------------------------------------


def _first_time(leaf: Leaf, frame: Frame) -> Hits:
    (matcher,) = leaf.matchers
    if not matcher.where:
        return _first_seen(leaf, frame)
    low, high = bounds(leaf, frame)
    facts, takes = _single(leaf, frame, (None, frame.now))
    query = (
        f"SELECT {frame.customer} FROM {facts} AND {takes.must} GROUP BY {frame.customer} "  # noqa: S608 -- parameters only
        f"HAVING {_inside('min(f.at)', low, high, frame)}"
    )
    return Hits(query, doubts=_doubts(frame, facts, [takes]))


def _first_seen(leaf: Leaf, frame: Frame) -> Hits:
    """Return who did it first in the window, as remembered for good."""
    kept = frame.retention if leaf.window.type == "ever" else None
    low, high = Span(leaf.window, frame.calendar, kept).bounds(frame.now)
    begin = None if low <= -NEVER else low
    ids = list(frame.names(leaf.matchers[0]))
    rows = f"events_firstseen h WHERE h.name_id = ANY({frame.params.add(ids, 'int[]')})"
    if len(frame.buckets) < BUCKETS:
        buckets = frame.params.add(list(frame.buckets), "int[]")
        rows += f" AND h.customer_id %% {BUCKETS} = ANY({buckets})"
    if len(ids) == 1:
        return Hits(f"SELECT h.customer_id FROM {rows} AND {_inside('h.at', begin, high, frame)}")  # noqa: S608 -- parameters only
    inside = _inside("min(h.at)", begin, high, frame)
    return Hits(f"SELECT h.customer_id FROM {rows} GROUP BY h.customer_id HAVING {inside}")  # noqa: S608 -- parameters only


def _inside(at: str, low: int | None, high: int, frame: Frame) -> str:
    end = f"{at} <= {frame.params.add(high, 'bigint')}"
    return end if low is None else f"{at} > {frame.params.add(low, 'bigint')} AND {end}"


def _sequence(leaf: Leaf, frame: Frame) -> Hits:
    """Return who did the steps in order.

    Step by step: a fact reaches step k when the latest one before it that reached step k-1 is near
    enough; if any is, the latest is. One scan and one sort for all steps.
    """
    low, high = bounds(leaf, frame)
    facts = frame.facts(leaf.matchers, low, frame.now)
    takes = [frame.takes(matcher) for matcher in leaf.matchers]
    flags = ", ".join(f"({one.must}) AS m{place}" for place, one in enumerate(takes))
    ended = f"f.at <= {frame.params.add(high, 'bigint')}"
    inner = f"SELECT f.customer_id, f.at, f.seq, {flags}, ({takes[0].must}) AND {ended} AS r0 "
    inner += f"FROM {facts} AND ({' OR '.join(one.must for one in takes)})"
    for place, within in list(enumerate(leaf.withins))[1:]:
        inner = _followed(inner, place, len(takes), within, frame)
    query = f"SELECT q.customer_id FROM ({inner}) q WHERE q.r{len(takes) - 1}"  # noqa: S608 -- parameters only
    return Hits(query, doubts=_doubts(frame, facts, takes))


def _followed(inner: str, place: int, steps: int, within: int | None, frame: Frame) -> str:
    last, rest = f"l{place}", "".join(f", q.m{later}" for later in range(place + 1, steps))
    near = f"x.m{place} AND x.{last} IS NOT NULL"
    if within is not None:
        near += f" AND x.at - x.{last} <= {frame.params.add(within, 'bigint')}"
    carried = rest.replace("q.", "x.")
    return (
        f"SELECT x.customer_id, x.at, x.seq{carried}, {near} AS r{place} FROM ("  # noqa: S608 -- parameters only
        f"SELECT q.customer_id, q.at, q.seq, q.m{place}{rest}, "
        f"max(q.at) FILTER (WHERE q.r{place - 1}) OVER (PARTITION BY q.customer_id "
        f"ORDER BY q.at, q.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS {last} "
        f"FROM ({inner}) q) x"
    )


def _then_not(leaf: Leaf, frame: Frame) -> Hits:
    low, high = bounds(leaf, frame)
    facts = frame.facts(leaf.matchers, low, frame.now)
    did, since = (frame.takes(matcher) for matcher in leaf.matchers)
    first = f"({did.must} AND f.at <= {frame.params.add(high, 'bigint')})"
    place = "max(ARRAY[f.at, f.seq])"
    old = frame.params.add(frame.now - leaf.after, "bigint")
    last_a, last_b = f"{place} FILTER (WHERE {first})", f"{place} FILTER (WHERE {since.must})"
    query = (
        f"SELECT {frame.customer} FROM {facts} AND ({first} OR {since.must}) "  # noqa: S608 -- parameters only
        f"GROUP BY {frame.customer} HAVING ({last_a})[1] <= {old} "
        f"AND COALESCE({last_b} <= {last_a}, TRUE)"
    )
    return Hits(query, doubts=_doubts(frame, facts, [did, since]))


_MAKE: Mapping[str, Callable[[Leaf, Frame], Hits]] = {
    "count": _count,
    "distinct_days": _distinct_days,
    "aggregate": _aggregate,
    "first_time": _first_time,
    "sequence": _sequence,
    "then_not": _then_not,
    "stopped": _stopped,
    "regularly": _regularly,
}
