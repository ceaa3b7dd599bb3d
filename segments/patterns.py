"""Patterns made into lists: what RE2 finds among the values that a property has in the facts.

PostgreSQL cannot run RE2, so a pattern leaves everybody undecided who has any text there. Most
properties have few different values: those are read, tried on the pattern here, and the condition
becomes "is one of those that match", which SQL decides. It holds for the facts that were read, so
it is made anew for every statement.
"""

from dataclasses import replace

from django.db import connection

from segments.compile import Scope
from segments.engine.language import Condition, Leaf, Matcher, Node, Not
from segments.engine.values import condition
from segments.engine.windows import Calendar
from segments.sql.behaviours import bounds
from segments.sql.facts import Frame, joined
from segments.sql.operators import is_text, text
from segments.sql.paths import walk
from segments.sql.pieces import Params

# A property of more different values is left to the engine, customer by customer.
MOST_VALUES = 20_000


def tabulated(node: Node, scope: Scope) -> Node:
    """Return the same rule for the facts of a scope, patterns as lists where that is possible."""
    if isinstance(node, Not):
        return Not(tabulated(node.child, scope))
    if isinstance(node, Leaf):
        return _leaf(node, scope)
    return replace(node, children=tuple(tabulated(child, scope) for child in node.children))


def _leaf(leaf: Leaf, scope: Scope) -> Leaf:
    if not any(one.op == "matches" for matcher in leaf.matchers for one in matcher.where):
        return leaf
    matchers = []
    for matcher in leaf.matchers:
        where = tuple(
            _listed(leaf, matcher, one, scope) if one.op == "matches" else one
            for one in matcher.where
        )
        matchers.append(replace(matcher, where=where))
    return replace(leaf, matchers=tuple(matchers))


def _listed(leaf: Leaf, matcher: Matcher, one: Condition, scope: Scope) -> Condition:
    values = _values(leaf, matcher, one.key, scope)
    if len(values) > MOST_VALUES:
        return one
    test = condition(one.op, one.value, scope.setting.zone)
    return Condition(one.key, "in", [value for value in values if test(value, scope.now)])


def _values(leaf: Leaf, matcher: Matcher, key: str, scope: Scope) -> list[str]:
    """Return the different texts of a property in every fact that the leaf may look at."""
    params = Params()
    setting = scope.setting
    frame = Frame(
        params, Calendar(setting.zone), setting.retention, scope.now, scope.names, scope.buckets
    )
    low = None if leaf.kind == "first_time" else bounds(leaf, frame)[0]
    facts = frame.facts([matcher], low, scope.now)
    tables, _, value = walk(key, "f.props", params)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT {text(value)} FROM {joined(facts, tables)} "  # noqa: S608 -- parameters only
            f"AND {is_text(value)} LIMIT {MOST_VALUES + 1}",
            params.values,
        )
        return [row[0] for row in cursor.fetchall()]
