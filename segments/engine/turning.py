"""How rules turn by the clock alone while nothing is still to come: once, or who knows.

A rule that only falls (or only rises) turns at the moment that its verdict names and never again,
so that nobody needs to ask what comes after.
"""

from segments.engine.language import Group, Leaf, Node, Not

# STAYS: does not turn; FALLS: may only turn false; RISES: only true; EITHER: any number of times.
STAYS, FALLS, RISES, EITHER = 0, 1, 2, 3
_OPPOSITE = (STAYS, RISES, FALLS, EITHER)
_COUNTS = {"gte": FALLS, "gt": FALLS, "lte": RISES, "lt": RISES}
# "Some value is above" is lost with that value, and does not come back; so is "below".
_FIGURES = {
    ("max", "gte"): FALLS,
    ("max", "gt"): FALLS,
    ("min", "lt"): FALLS,
    ("min", "lte"): FALLS,
}
_CONSTANT = frozenset({"score", "list", "bucket", "context", "product"})


def turns(node: Node) -> int:
    """Return how a rule may turn."""
    if isinstance(node, Not):
        return _OPPOSITE[turns(node.child)]
    if isinstance(node, Group):
        found = STAYS
        for child in node.children:
            found |= turns(child)
        return found
    return _of_events(node) if node.matchers else _of_facts(node)


def _of_events(leaf: Leaf) -> int:
    if leaf.window.type == "between":
        # what has happened is still to come into the window
        return EITHER
    if leaf.kind in ("count", "distinct_days"):
        return _COUNTS.get(leaf.op, EITHER)
    if leaf.kind == "aggregate":
        return _FIGURES.get((leaf.agg, leaf.op), EITHER)
    return FALLS if leaf.kind == "sequence" and leaf.window.anchored else EITHER


def _of_facts(leaf: Leaf) -> int:
    if leaf.kind in _CONSTANT or (leaf.kind == "profile" and leaf.op != "within_last"):
        return STAYS
    return EITHER
