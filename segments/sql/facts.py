"""Which facts a leaf reads: of some names, of a stretch of time, in some buckets."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from personalization.events.facttable import BUCKETS
from segments.engine.language import Matcher
from segments.engine.windows import Calendar
from segments.sql.paths import where
from segments.sql.pieces import Params, Truth, certain


@dataclass(frozen=True, slots=True)
class Frame:
    """What all leaves of a statement are rendered in.

    `retention` is microseconds, None: for good. `names` says the ids of the names that a matcher
    means. `buckets`: which of the facts' buckets are read.
    """

    params: Params
    calendar: Calendar
    retention: int | None
    now: int
    names: Callable[[Matcher], Sequence[int]]
    buckets: Sequence[int]

    @property
    def kept_since(self) -> int | None:
        """Return the moment at or before which no event exists; None for none."""
        return None if self.retention is None else self.now - self.retention

    @property
    def customer(self) -> str:
        """Return the customer of a fact, to group by.

        Of one bucket the index has customers in order. Of many, merging their indexes is slower
        than hashing; an expression has no index.
        """
        return "f.customer_id" if len(self.buckets) == 1 else "(f.customer_id + 0)"

    def facts(self, matchers: Sequence[Matcher], low: int | None, high: int) -> str:
        """Return `events_fact f WHERE ...`: of these names, with low < at <= high.

        A single bucket is named by its partition: a condition on the bucket, true of every row,
        would keep PostgreSQL from answering from an index alone.
        """
        ids = sorted({name for matcher in matchers for name in self.names(matcher)})
        parts = [self.named(ids), f"f.at <= {self.params.add(min(high, self.now), 'bigint')}"]
        if self.kept_since is not None:
            low = self.kept_since if low is None else max(low, self.kept_since)
        if low is not None:
            parts.append(f"f.at > {self.params.add(low, 'bigint')}")
        table = "events_fact"
        if len(self.buckets) == 1:
            table = f"events_fact_{self.buckets[0]:02d}"
        elif len(self.buckets) < BUCKETS:
            buckets = self.params.add(list(self.buckets), "smallint[]")
            parts.append(f"f.bucket = ANY({buckets})")
        return f"{table} f WHERE {' AND '.join(parts)}"

    def named(self, ids: Sequence[int]) -> str:
        """Return whether a fact has one of the names."""
        if not ids:
            return "FALSE"
        if len(ids) == 1:
            return f"f.name_id = {self.params.add(ids[0], 'int')}"
        return f"f.name_id = ANY({self.params.add(list(ids), 'int[]')})"

    def takes(self, matcher: Matcher, *, alone: bool = False) -> Truth:
        """Return whether a matcher takes a fact; `alone`: all facts read have its names."""
        held = where(matcher.where, "f", self.params, self.calendar.zone)
        if alone:
            return held
        name = certain(self.named(sorted(self.names(matcher))))
        return Truth(f"({name.must} AND {held.must})", f"({name.may} AND {held.may})")


def joined(facts: str, tables: Sequence[str]) -> str:
    """Return facts joined with tables made of each, such as the elements of a list."""
    source, rest = facts.split(" WHERE ", 1)
    return f"{' CROSS JOIN LATERAL '.join([source, *tables])} WHERE {rest}"


def doubtful(takes: Sequence[Truth]) -> str:
    """Return SQL of facts that SQL cannot decide; empty where it decides all."""
    open_ = [f"({one.may} AND ({one.must}) IS NOT TRUE)" for one in takes if not one.exact]
    return f"({' OR '.join(open_)})" if open_ else ""
