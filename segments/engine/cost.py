"""What a rule costs to keep up to date, so that no single one slows the whole processor.

One point is a counter that only the newest few events decide. A stream that keeps every event of
its window weighs more, the more so the longer the window and the more loosely it selects.
"""

from segments.engine.language import ANCHORED, Leaf, Node, leaves

# Twenty sequences of four steps over a year.
MOST_COST = 400
_DAY_US = 86_400_000_000
_LONG_US = 30 * _DAY_US


def cost(node: Node) -> int:
    """Return the points of a whole rule: the sum over its leaves."""
    return sum(map(_leaf_cost, leaves(node)))


def _leaf_cost(leaf: Leaf) -> int:
    if not leaf.matchers:
        return 1
    points = sum(1 + (2 if matcher.prefix else 0) for matcher in leaf.matchers)
    if _keeps_all(leaf):
        points *= 2 if _is_long(leaf) else 1
        points += 2
    return points + leaf.periods // 12


def _keeps_all(leaf: Leaf) -> bool:
    if leaf.kind in ("stopped", "then_not"):
        return False
    if leaf.kind in ("count", "distinct_days"):
        return leaf.window.type not in ANCHORED
    return not (leaf.kind == "aggregate" and leaf.agg == "last")


def _is_long(leaf: Leaf) -> bool:
    if leaf.window.type in ("last", "between"):
        return leaf.window.a > _LONG_US
    if leaf.window.type == "calendar_days":
        return leaf.window.a * _DAY_US > _LONG_US
    return True
