"""Rules as SQL over the whole base: who is a member now, and who must be looked at in process.

The statement decides as `segments.engine` does, to the microsecond. Where PostgreSQL cannot (RE2
patterns and the like) it yields candidates: the condition that holds for certain and the one that
may, turned round under `not`. No text of a rule becomes SQL, all are parameters.

Every leaf reads its facts once, into a set of customers; the population is tested against the sets.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personalization.consent.serve import PERSONALIZATION, Purposes
from personalization.events.facttable import BUCKETS
from segments.engine.language import BEHAVIOURS, Leaf, Matcher, Node, Not
from segments.engine.program import Setting
from segments.engine.windows import Calendar
from segments.sql.behaviours import hits
from segments.sql.facts import Frame
from segments.sql.known import Known
from segments.sql.pieces import Params, Truth, all_of, any_of, certain


@dataclass(frozen=True, slots=True)
class Scope:
    """What rules are read by, and over whom.

    Parameters
    ----------
    now
        Microseconds.
    names
        The ids of the event names that a matcher means.
    buckets
        The sample; all of them: the whole base.
    among
        Only these customers; None for all.
    declared
        Keys of traits that are declared although computed ones, or consents, have them (cases).
    """

    setting: Setting
    now: int
    purposes: Purposes
    names: Callable[[Matcher], Sequence[int]]
    segments: Mapping[str, Node] = field(default_factory=dict)
    buckets: Sequence[int] = range(BUCKETS)
    among: Sequence[int] | None = None
    declared: Collection[str] = frozenset()


class Selection:
    """One statement over the population: rules become truths of its rows, leaves are shared."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.params = Params()
        calendar = Calendar(scope.setting.zone)
        self._frame = Frame(
            self.params,
            calendar,
            scope.setting.retention,
            scope.now,
            scope.names,
            scope.buckets,
        )
        self._known = Known(
            self.params, scope.setting.zone, scope.now, scope.purposes, scope.declared
        )
        self._columns: list[str] = []
        self._leaves: dict[str, Truth] = {}

    @property
    def values(self) -> dict[str, Any]:
        """Return the parameters of the statement."""
        return self.params.values

    def truth(self, node: Node) -> Truth:
        """Return the truth of a rule, in terms of the statement's columns."""
        if isinstance(node, Leaf):
            return self._leaf(node)
        if isinstance(node, Not):
            inner = self.truth(node.child)
            return Truth(f"(NOT {inner.may})", f"(NOT {inner.must})")
        return self.group(node.op, [self.truth(child) for child in node.children])

    def group(self, op: str, truths: Sequence[Truth]) -> Truth:
        """Return the truth of all (`and`) or any (`or`)."""
        if op == "or":
            return any_of(truths)
        held = all_of(truths)
        return Truth(f"({held.must})", f"({held.may})")

    def statement(self, select: str, where: str = "TRUE") -> str:
        """Return `SELECT select ...` over rows of `id` and the columns of all truths asked."""
        columns = "".join(f", {column}" for column in self._columns)
        # OFFSET 0 keeps the columns together: each set is hashed once and asked once a row
        return (
            f"SELECT {select} FROM (SELECT c.id{columns} FROM {self._population()} OFFSET 0) x "  # noqa: S608 -- parameters only
            f"WHERE {where}"
        )

    def _population(self) -> str:
        """Return the known customers: those with a profile who consent and are not absorbed."""
        scope, params = self._scope, self.params
        tables = (
            "customers_customer c JOIN customers_profile p ON p.customer_id = c.id "
            "LEFT JOIN consent_consentstate s ON s.customer_id = c.id"
        )
        parts = ["c.merged_into_id IS NULL", f"{self._known.in_force()} & {PERSONALIZATION} <> 0"]
        if scope.among is not None:
            parts.append(f"c.id = ANY({params.add(list(scope.among), 'bigint[]')})")
        elif len(scope.buckets) < BUCKETS:
            buckets = params.add(list(scope.buckets), "bigint[]")
            parts.append(f"c.id %% {BUCKETS} = ANY({buckets})")
        return f"{tables} WHERE {' AND '.join(parts)}"

    def _leaf(self, leaf: Leaf) -> Truth:
        if leaf.kind == "segment":
            return self.truth(self._scope.segments[leaf.key])
        name = repr(leaf)
        if name not in self._leaves:
            self._leaves[name] = self._rendered(leaf)
        return self._leaves[name]

    def _rendered(self, leaf: Leaf) -> Truth:
        if leaf.kind not in BEHAVIOURS:
            held = self._known.truth(leaf)
            must = self._column(held.must)
            return certain(must) if held.exact else Truth(must, self._column(held.may))
        found = hits(leaf, self._frame)
        column = self._column(f"c.id IN ({found.query})")
        holds = f"(NOT {column})" if found.negated else column
        if not found.doubts:
            return certain(holds)
        doubt = self._column(f"c.id IN ({found.doubts})")
        return Truth(f"({holds} AND NOT {doubt})", f"({holds} OR {doubt})")

    def _column(self, text: str) -> str:
        name = f"k{len(self._columns)}"
        self._columns.append(f"COALESCE({text}, FALSE) AS {name}")
        return f"x.{name}"


def members(node: Node, scope: Scope) -> tuple[str, dict[str, Any], bool]:
    """Return (statement of (customer, whether it is certain), its parameters, exact)."""
    selection = Selection(scope)
    held = selection.truth(node)
    statement = selection.statement(f"x.id, {held.must}", held.may)
    return statement, selection.values, held.exact
