"""Rules on products: how they are judged when they are saved, and when they are published."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from personalization.catalog.selectors import types_of
from personalization.lib.errors import Problem
from recommender.engine.merchandising import Judge
from segments import selectors
from segments.engine.catalogue import OWN, PRODUCT, Attribute, Catalogue
from segments.engine.validation import FILTER_KINDS, faults
from segments.engine.values import is_number


def rule_faults(rule: Mapping[str, Any]) -> list[Problem]:
    """Return what keeps a rule from being served.

    An attribute of the shop's own that no product has any more is no fault: it holds for nothing,
    and must not keep others from publishing.
    """
    products = (*PRODUCT, *(Attribute(key, key, kind) for key, kind in _own(rule).items()))
    return faults(rule, Catalogue(products=products), kinds=FILTER_KINDS)


def new_rule_faults(rule: Mapping[str, Any]) -> list[Problem]:
    """Return every fault of a rule that is about to be saved: it must name what products have."""
    known = selectors.catalogue()
    named = _own(rule).keys() - {one.key for one in known.products}
    # the catalogue of words knows what the latest products have; an older one may have it too
    rarer = selectors.own_attributes(types_of({key.removeprefix(OWN) for key in named}))
    return faults(rule, replace(known, products=(*known.products, *rarer)), kinds=FILTER_KINDS)


def edited_faults(held: Iterable[Mapping[str, Any]]) -> Judge:
    """Return the judge of rules that stand beside those in `held`, the `rules` of strategies.

    One that is stored already and was not changed is judged as one that is served.
    """
    stored = [rule for rules in held for rule in _rules_in(rules)]
    return lambda rule: rule_faults(rule) if rule in stored else new_rule_faults(rule)


def _rules_in(rules: Mapping[str, Any]) -> list[Any]:
    rows = [*(rules.get("boosts") or ()), *(rules.get("quotas") or ())]
    return [rules.get("filter"), rules.get("bury"), *(row.get("rule") for row in rows)]


def _own(rule: Any) -> dict[str, str]:
    """Return the shop's own attributes that a rule names, each with the type that fits its uses."""
    found: dict[str, str] = {}
    for leaf in _leaves(rule):
        key = leaf.get("key")
        if leaf.get("kind") == "product" and isinstance(key, str) and key.startswith(OWN):
            kind = _type_for(leaf.get("op"), leaf.get("value"))
            # a text may be asked most questions: a use that asks for another type decides
            if found.get(key, "string") == "string":
                found[key] = kind
    return found


def _leaves(rule: Any) -> Iterator[Mapping[str, Any]]:
    children: Iterable[Any] = ()
    if isinstance(rule, Mapping):
        if "kind" in rule:
            yield rule
        children = rule.values()
    elif isinstance(rule, list):
        children = rule
    for child in children:
        yield from _leaves(child)


def _type_for(op: Any, value: Any) -> str:
    if op in ("any_of", "all_of", "none_of", "size"):
        return "strings"
    one = value[0] if isinstance(value, list) and value else value
    if isinstance(one, bool):
        return "boolean"
    return "number" if is_number(one) and op != "within_last" else "string"
