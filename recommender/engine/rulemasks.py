"""Rules on products over a whole catalogue at once: one truth a product, as an array.

Operators are those of `segments.engine.values`, to the letter.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from segments.engine.language import Group, Leaf, Node, Not, Rule, canonical, digest, leaves, parse
from segments.engine.values import condition

Mask = NDArray[np.bool_]
# What a test says of a field of each product, (size,).
Verdicts = Callable[[str, Callable[[Any], bool]], Mask]


@dataclass(frozen=True, slots=True)
class ProductRule:
    """A rule ready to be asked. `context`: its leaves about the request; `timed`: by the clock.

    `priced`: it reads what a product costs, which depends on the visitor's country.
    """

    name: str
    node: Node
    context: tuple[Leaf, ...]
    timed: bool
    priced: bool

    @classmethod
    def of(cls, rule: Rule) -> Self:
        """Return a rule that `segments.engine.validation` has passed."""
        plain = canonical(rule)
        node = parse(plain)
        held = tuple(leaves(node))
        return cls(
            digest(plain, 20),
            node,
            tuple(leaf for leaf in held if leaf.kind == "context"),
            any(leaf.op == "within_last" for leaf in held if leaf.kind == "product"),
            any(leaf.key == "price_minor" for leaf in held if leaf.kind == "product"),
        )

    def size(self) -> int:
        """Return how many conditions it has."""
        return sum(1 for _ in leaves(self.node))

    def truths(self, request: Mapping[str, Any], now_us: int, zone: ZoneInfo) -> tuple[bool, ...]:
        """Return what the request says to each leaf of `context`."""
        return tuple(
            condition(leaf.op, leaf.value, zone)(request.get(leaf.key), now_us)
            for leaf in self.context
        )


def rule_mask(
    rule: ProductRule,
    size: int,
    verdicts: Verdicts,
    *,
    truths: Iterable[bool],
    now_us: int,
    zone: ZoneInfo,
) -> Mask:
    """Return for which products a rule holds, (size,); `truths` from `ProductRule.truths`."""
    given = iter(truths)

    def leaf_mask(leaf: Leaf) -> Mask:
        if leaf.kind == "context":
            return np.full(size, next(given))
        test = condition(leaf.op, leaf.value, zone)
        return verdicts(leaf.key, lambda value: test(value, now_us))

    return _mask(rule.node, leaf_mask)


def possible_mask(
    rule: ProductRule,
    size: int,
    verdicts: Callable[[str, Callable[[Any], bool]], Mask | None],
    *,
    truths: Iterable[bool],
    now_us: int,
    zone: ZoneInfo,
) -> Mask:
    """Return for which products a rule may hold, (size,), where some fields are not looked at.

    `verdicts` returns what a test says of each product's field, None for a field not looked at.
    """
    given = iter(truths)
    unknown = np.zeros(size, np.bool_), np.ones(size, np.bool_)

    def bounds(node: Node) -> tuple[Mask, Mask]:
        """Return where the node surely holds, and where it may."""
        if isinstance(node, Not):
            surely, possibly = bounds(node.child)
            return ~possibly, ~surely
        if isinstance(node, Group):
            low, high = zip(*map(bounds, node.children), strict=True)
            return _joined(node, list(low)), _joined(node, list(high))
        if node.kind == "context":
            told = np.full(size, next(given))
            return told, told
        test = condition(node.op, node.value, zone)
        found = verdicts(node.key, lambda value: test(value, now_us))
        return unknown if found is None else (found, found)

    return bounds(rule.node)[1]


def _mask(node: Node, leaf_mask: Callable[[Leaf], Mask]) -> Mask:
    if isinstance(node, Leaf):
        return leaf_mask(node)
    if isinstance(node, Not):
        return ~_mask(node.child, leaf_mask)
    return _joined(node, [_mask(child, leaf_mask) for child in node.children])


def _joined(node: Group, masks: list[Mask]) -> Mask:
    return reduce(np.logical_and if node.op == "and" else np.logical_or, masks)
