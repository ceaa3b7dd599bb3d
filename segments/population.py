"""Who of the whole base a rule holds for now: SQL first, in process whom it leaves undecided."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.db import connection, transaction
from django.db.utils import OperationalError

from personalization.consent.serve import purposes
from personalization.events.facttable import BUCKETS
from segments import compile as sql
from segments.engine.language import Node, parse, references
from segments.engine.program import Program, Source
from segments.engine.values import instant_us
from segments.errors import PreviewTooSlow
from segments.live import rules
from segments.models import SegmentVersion
from segments.patterns import tabulated
from segments.people import Reader, names_of

Rule = Mapping[str, Any]

AT_HAND = "the rule at hand"
_HELD = """
SELECT count(*) FROM customers_customer
WHERE merged_into_id IS NULL AND id %% 64 = ANY(%s::bigint[])
"""
# Sets of customers are hashed in memory; without room PostgreSQL would search each of them for
# every customer. Parallel workers would each make all sets anew. Compiling a statement takes longer
# than running it. The index of the facts of one bucket lies in memory after the first look.
_SETTINGS = {
    "work_mem": "128MB",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "random_page_cost": "1.1",
}


def members_by_sql(
    rule: Rule, now: datetime, *, segments: Mapping[str, Rule] | None = None
) -> Iterator[int]:
    """Yield the customers for whom a valid rule holds: a bucket at a time, in no order within it.

    `segments`: rules by key that it may name; None: those in force.
    """
    question = Question({AT_HAND: rule}, now, segments)
    for bucket in range(BUCKETS):
        with settled():
            found = question.members(AT_HAND, [bucket])
        yield from found


class Question:
    """Some rules at a moment, ready to be asked of parts of the base."""

    def __init__(
        self, asked: Mapping[str, Rule], now: datetime, segments: Mapping[str, Rule] | None = None
    ) -> None:
        self._rules = {**_reached(asked.values(), segments), **asked}
        self.nodes: dict[str, Node] = {key: parse(rule) for key, rule in self._rules.items()}
        self.scope = sql.Scope(
            rules.setting(), instant_us(now), purposes(), names_of, segments=self.nodes
        )

    @cached_property
    def reader(self) -> Reader:
        """Return what reads people for the rules."""
        sources = [Source(key, rule) for key, rule in self._rules.items()]
        return Reader(Program(sources, self.scope.setting), self.scope.purposes)

    def members(self, key: str, buckets: Sequence[int]) -> list[int]:
        """Return the members of one rule in some buckets."""
        return decided(key, replace(self.scope, buckets=buckets), self.reader)


def decided(key: str, scope: sql.Scope, reader: Reader) -> list[int]:
    """Return the members of one of the scope's rules; the reader's program has it too."""
    scope = with_lists(scope)
    statement, params, exact = sql.members(scope.segments[key], scope)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    found = [customer for customer, certain in rows if certain]
    if not exact:
        open_ = [customer for customer, certain in rows if not certain]
        found += [c for c, truths in verdicts(reader, [key], open_, scope.now) if truths[key]]
    return found


def with_lists(scope: sql.Scope) -> sql.Scope:
    """Return a scope whose rules have their patterns as lists where that is possible."""
    return replace(scope, segments={k: tabulated(v, scope) for k, v in scope.segments.items()})


def verdicts(
    reader: Reader, keys: Sequence[str], customer_ids: Sequence[int], now: int
) -> Iterator[tuple[int, dict[str, bool]]]:
    """Yield (customer, key -> truth) as decided in process from whole histories."""
    program = reader.program
    places = [program.place_of[key] for key in keys]
    for people in reader.chunks(customer_ids, now):
        for customer, person in people.items():
            held = program.members(person, now, places)
            yield customer, {key: held[key][0] for key in keys}


def customers_in(buckets: Sequence[int]) -> int:
    """Return how many customers some buckets hold."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [list(buckets)])
        return int(cursor.fetchone()[0])


@contextmanager
def settled(*, most_ms: int = 0) -> Iterator[None]:
    """Run statements over the base: room for sets, and (0: none) a limit of time for each.

    Raises
    ------
    PreviewTooSlow
        A statement ran into the limit.
    """
    wanted = _SETTINGS | ({"statement_timeout": str(most_ms)} if most_ms else {})
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            before = {}
            for name, value in wanted.items():
                cursor.execute(
                    "SELECT current_setting(%s), set_config(%s, %s, TRUE)", [name, name, value]
                )
                before[name] = cursor.fetchone()[0]
            yield
            # an outer transaction goes on with what it had
            for name, value in before.items():
                cursor.execute("SELECT set_config(%s, %s, TRUE)", [name, value])
    except OperationalError as error:
        if getattr(error.__cause__, "pgcode", None) != _CANCELED:
            raise
        hint = "shorten its windows, or name fewer events"
        msg = f"The preview took longer than {most_ms / 1000:g} s; {hint}."
        raise PreviewTooSlow(msg) from error


_CANCELED = "57014"


def _reached(asked: Any, segments: Mapping[str, Rule] | None) -> dict[str, Rule]:
    """Return the rules that the given ones name, at any remove."""
    todo = {key for rule in asked for key in references(parse(rule))}
    found: dict[str, Rule] = {}
    while todo:
        missing = todo - found.keys()
        read = _in_force(missing) if segments is None else {k: segments[k] for k in missing}
        found |= read
        todo = {key for rule in read.values() for key in references(parse(rule))} - found.keys()
    return found


def _in_force(keys: set[str]) -> dict[str, Rule]:
    published = SegmentVersion.objects.filter(
        status=SegmentVersion.Status.PUBLISHED, segment__key__in=keys
    )
    return dict(published.values_list("segment__key", "rule"))
