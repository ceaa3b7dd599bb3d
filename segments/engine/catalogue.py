"""What rules may name: events and their properties, traits, segments, scores, lists, products.

Made from the published configuration by `segments.selectors`; read by validation, by the words of
`describe`, and (as JSON) by the rule builder.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segments.engine.values import COMPARISONS

STRING, NUMBER, BOOLEAN, DATETIME, STRINGS = "string", "number", "boolean", "datetime", "strings"
# A property of an object or list of objects: its inner paths are listed on their own.
OBJECT = "object"

_ANY = ("eq", "neq", "in", "not_in")
_THERE = ("exists", "not_exists")
_ORDER = ("lt", "lte", "gt", "gte", "between")
# Type of an attribute -> operators that make sense on it, the usual ones first.
OPERATORS: Mapping[str, tuple[str, ...]] = {
    STRING: (
        *_ANY,
        "contains",
        "not_contains",
        "starts_with",
        "ends_with",
        "matches",
        *_THERE,
        *_ORDER,
        "semver_eq",
        "semver_gt",
        "semver_gte",
        "semver_lt",
        "semver_lte",
        "cidr",
        # a text may be a time
        "before",
        "after",
        "within_last",
        "weekday",
        "any_of",
        "none_of",
    ),
    NUMBER: (*_ORDER, *_ANY, *_THERE, "before", "after", "within_last", "weekday"),
    BOOLEAN: ("eq", "neq", *_THERE),
    DATETIME: ("within_last", "before", "after", "weekday", *_THERE, "eq", "neq"),
    STRINGS: ("any_of", "all_of", "none_of", "size", "contains", "not_contains", *_THERE),
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that a condition may read. `values`: what it is known to take, for choosing."""

    key: str
    title: str
    type: str
    values: tuple[str, ...] = ()
    computed: bool = False


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of event, with the paths of its properties."""

    name: str
    title: str
    properties: tuple[Attribute, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A segment, list or score by key."""

    key: str
    title: str


def attributes(rows: Iterable[tuple[str, str, str]], *, computed: bool = False) -> tuple[Any, ...]:
    """Return attributes of (key, title, type)."""
    return tuple(Attribute(key, title, kind, computed=computed) for key, title, kind in rows)


def consents(purposes: Iterable[tuple[str, str]]) -> tuple[Attribute, ...]:
    """Return the consents of (key, title) of purposes."""
    return tuple(
        Attribute(f"consent.{key}", f"Consent: {title}", BOOLEAN, computed=True)
        for key, title in purposes
    )


# Beside every event (docs/rules.md, Paths).
CONTEXT = attributes(
    [
        ("$context.device.type", "Device", STRING),
        ("$context.country", "Country", STRING),
        ("$context.region", "Region", STRING),
        ("$context.locale", "Language and region", STRING),
        ("$context.timezone", "Time zone", STRING),
        ("$context.campaign.source", "Campaign source", STRING),
        ("$context.campaign.medium", "Campaign medium", STRING),
        ("$context.campaign.name", "Campaign", STRING),
        ("$context.campaign.term", "Campaign term", STRING),
        ("$context.campaign.content", "Campaign content", STRING),
        ("$context.page.path", "Page path", STRING),
        ("$context.page.referrer", "Referrer", STRING),
        ("$session.id", "Session", STRING),
        ("$product.category", "Product's category", STRING),
        ("$product.brand", "Product's brand", STRING),
        ("$product.price_minor", "Product's price (minor units)", NUMBER),
    ]
)
COMPUTED = attributes(
    [
        ("events", "Events", NUMBER),
        ("sessions", "Sessions", NUMBER),
        ("orders", "Orders", NUMBER),
        ("revenue_minor", "Revenue (minor units)", NUMBER),
        ("first_seen", "First seen", DATETIME),
        ("last_seen", "Last seen", DATETIME),
        ("last_order", "Last order", DATETIME),
        ("country", "Country", STRING),
        ("region", "Region", STRING),
        ("locale", "Language and region", STRING),
        ("timezone", "Time zone", STRING),
        ("device_type", "Device", STRING),
    ],
    computed=True,
)
REQUEST = attributes(
    [
        ("page.path", "Page path", STRING),
        ("device.type", "Device", STRING),
        ("locale", "Language and region", STRING),
        ("timezone", "Time zone", STRING),
        ("cart", "Items in the cart", STRINGS),
        ("local_time.hour", "Hour of the visitor's day", NUMBER),
        ("local_time.weekday", "Weekday of the visitor (1 Monday … 7)", NUMBER),
    ]
)
PRODUCT = attributes(
    [
        ("key", "Product", STRING),
        ("title", "Title", STRING),
        ("category", "Category", STRING),
        ("categories", "Categories", STRINGS),
        ("brand", "Brand", STRING),
        ("price_minor", "Price (minor units)", NUMBER),
        ("available", "Available", BOOLEAN),
        ("created_at", "In the catalogue since", DATETIME),
    ]
)
# Before the name of an attribute that the shop gives its products itself.
OWN = "attributes."


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything that rules may name. `references`: segment -> segments that its rule names."""

    events: Mapping[str, EventType] = field(default_factory=dict)
    traits: Sequence[Attribute] = COMPUTED
    segments: Sequence[Named] = ()
    lists: Sequence[Named] = ()
    scores: Sequence[Named] = ()
    references: Mapping[str, frozenset[str]] = field(default_factory=dict)
    products: Sequence[Attribute] = PRODUCT
    currency: str = "EUR"
    time_zone: str = "UTC"

    def properties(self, names: Iterable[str]) -> dict[str, Attribute]:
        """Return the attributes, by path, that events of these names have, with what is beside."""
        found = {one.key: one for one in CONTEXT}
        for name in names:
            event = self.events.get(name)
            if event is not None:
                found |= {one.key: one for one in event.properties}
        return found

    def as_json(self, kinds: Sequence[str]) -> dict[str, Any]:
        """Return what the rule builder offers, for a place where leaves of these kinds may be."""
        return {
            "events": [
                {"name": one.name, "title": one.title, "properties": _json(one.properties)}
                for one in self.events.values()
            ],
            "context": _json(CONTEXT),
            "traits": _json(self.traits),
            "segments": [{"key": one.key, "title": one.title} for one in self.segments],
            "lists": [{"key": one.key, "title": one.title} for one in self.lists],
            "scores": [{"key": one.key, "title": one.title} for one in self.scores],
            "request": _json(REQUEST),
            "product": _json(self.products),
            "operators": {
                kind: [{"op": op, "title": TITLES[op]} for op in ops]
                for kind, ops in OPERATORS.items()
            },
            "comparisons": [{"op": op, "title": COUNTS[op]} for op in COMPARISONS],
            "kinds": [{"kind": kind, "title": KIND_TITLES[kind]} for kind in kinds],
            "currency": self.currency,
            "time_zone": self.time_zone,
        }


def _json(rows: Iterable[Attribute]) -> list[dict[str, Any]]:
    return [
        {
            "key": one.key,
            "title": one.title,
            "type": one.type,
            "values": list(one.values),
            "computed": one.computed,
        }
        for one in rows
    ]


TITLES: Mapping[str, str] = {
    "eq": "is",
    "neq": "is not",
    "lt": "is less than",
    "lte": "is at most",
    "gt": "is more than",
    "gte": "is at least",
    "between": "is between",
    "in": "is one of",
    "not_in": "is none of",
    "contains": "contains",
    "not_contains": "does not contain",
    "starts_with": "starts with",
    "ends_with": "ends with",
    "matches": "matches the pattern",
    "exists": "is known",
    "not_exists": "is not known",
    "before": "is before",
    "after": "is after",
    "within_last": "is within the last",
    "weekday": "falls on",
    "semver_eq": "is version",
    "semver_gt": "is a later version than",
    "semver_gte": "is version or later",
    "semver_lt": "is an earlier version than",
    "semver_lte": "is version or earlier",
    "cidr": "is an address in",
    "any_of": "has any of",
    "all_of": "has all of",
    "none_of": "has none of",
    "size": "has so many elements",
}
COUNTS: Mapping[str, str] = {
    "gte": "at least",
    "lte": "at most",
    "eq": "exactly",
    "gt": "more than",
    "lt": "fewer than",
    "between": "between",
    "neq": "anything but",
}
KIND_TITLES: Mapping[str, str] = {
    "count": "Did something a number of times",
    "distinct_days": "Did something on a number of days",
    "aggregate": "Sum, average or other figure of what they did",
    "first_time": "Did something for the first time",
    "sequence": "Did things one after the other",
    "then_not": "Did one thing and then not another",
    "stopped": "Stopped doing something",
    "regularly": "Does something regularly",
    "profile": "Is known by a trait",
    "segment": "Is in another segment",
    "score": "Has a predicted score",
    "context": "Asks from a page, device or time of day",
    "bucket": "Belongs to a random share",
    "list": "Is on a list",
    "product": "The product is",
}
