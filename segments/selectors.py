"""Reads of segments: what rules may name, sizes, who names whom."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from personalization.catalog.selectors import attribute_types, brands, category_titles
from personalization.consent.serve import purposes
from personalization.customers import serve as customers
from personalization.events.engine.property_rows import seldom
from personalization.events.models import EventSchema
from personalization.events.tail import carried
from personalization.lib.registries import segment_users
from segments.config import LIVE
from segments.engine import catalogue as words
from segments.engine.catalogue import Attribute, Catalogue, EventType, Named
from segments.engine.language import Leaf, digest, leaves, parse, references
from segments.models import Segment, SegmentVersion

__all__ = ["LIVE", "catalogue", "dependents", "mark_of", "sizes"]

# Type of a described property -> type of an attribute.
_TYPES: Mapping[str, str] = {
    "string": words.STRING,
    "id": words.STRING,
    "number": words.NUMBER,
    "boolean": words.BOOLEAN,
    "datetime": words.DATETIME,
    "list": words.STRINGS,
}
_OWN_TYPES: Mapping[type, str] = {
    str: words.STRING,
    int: words.NUMBER,
    float: words.NUMBER,
    bool: words.BOOLEAN,
    list: words.STRINGS,
}
# So many values a list of suggestions holds; the rule builder draws no more.
_OFFERED = 500
# `products[].brand` and `$product.brand` are a brand.
_LAST_NAME = re.compile(r"[.$\]]+")
# The property that a new condition begins with, where an event has it.
_PRODUCT_ID = "product_id"
_SIZES = """
SELECT segment_id, count(*) FROM segments_membership m JOIN segments_segment s
    ON s.id = m.segment_id AND s.published_id = m.version_id GROUP BY 1
"""


@dataclass(frozen=True, slots=True)
class Use:
    """Something that names a segment: where it is, what it is called, its page ("": a segment)."""

    where: str
    what: str
    url: str = ""


def mark_of(draft: SegmentVersion | None) -> str:
    """Return what tells one state of a draft from another; `none` where there is no draft."""
    if draft is None:
        return "none"
    return f"{draft.number}-{digest([draft.rule, draft.note], 16)}"


def catalogue() -> Catalogue:
    """Return everything that rules may name in this shop, read from the tables."""
    segments = list(Segment.objects.order_by("title").values_list("key", "title", "kind"))
    return Catalogue(
        events={
            row.name: EventType(row.name, row.title or row.name, _properties(row.properties))
            for row in EventSchema.objects.order_by("name")
        },
        traits=(
            *_traits(),
            *words.COMPUTED,
            *words.consents((one.key, one.title) for one in purposes().all),
        ),
        segments=tuple(Named(key, title) for key, title, _ in segments),
        lists=tuple(
            Named(key, title) for key, title, kind in segments if kind == Segment.Kind.LIST
        ),
        scores=_scores(),
        references=named_by(),
        products=(*words.PRODUCT, *own_attributes(attribute_types())),
        currency=settings.SHOP_CURRENCY,
        time_zone=settings.SHOP_TIME_ZONE,
    )


def suggested(told: dict[str, Any]) -> dict[str, Any]:
    """Return what the rule builder is offered, with values to choose from for brand and category.

    The properties of an event stand by how many events carry them, the product first. Apart from
    `catalogue`, which every check of a rule reads: these are two walks of an index and the newest
    events.
    """
    shares = carried()
    for event in told["events"]:
        known_of = shares.get(event["name"], {})
        event["properties"].sort(
            key=lambda one, of=known_of: (one["key"] != _PRODUCT_ID, seldom(of, one["key"]))
        )
    known = {"brand": brands(_OFFERED), "category": sorted(category_titles())[:_OFFERED]}
    known["categories"] = known["category"]
    lists = [one["properties"] for one in told["events"]]
    for one in (row for rows in (*lists, told["context"], told["product"]) for row in rows):
        name = _LAST_NAME.split(one["key"])[-1]
        if name in known and not one["values"] and one["type"] in (words.STRING, words.STRINGS):
            one["values"] = known[name]
    return told


def own_attributes(types: Mapping[str, type]) -> tuple[Attribute, ...]:
    """Return what the shop says of its products beside the usual, as far as rules can read it.

    `types`: attribute -> the type of a value.
    """
    return words.attributes(
        (f"{words.OWN}{name}", name, _OWN_TYPES[kind])
        for name, kind in sorted(types.items())
        if kind in _OWN_TYPES and "." not in name
    )


def named_by() -> dict[str, frozenset[str]]:
    """Return segment -> segments that its live rules or its draft name."""
    found: dict[str, frozenset[str]] = {}
    rows = SegmentVersion.objects.exclude(status=SegmentVersion.Status.RETIRED)
    for key, rule in rows.values_list("segment__key", "rule"):
        found[key] = found.get(key, frozenset()) | references(parse(rule))
    return found


def titles(keys: Collection[str]) -> dict[str, str]:
    """Return the titles of segments by key; one that is no more is absent."""
    return dict(Segment.objects.filter(key__in=keys).values_list("key", "title"))


def is_live(row: Segment) -> bool:
    """Whether any version of a segment is decided live: in force, in shadow or standing by."""
    return row.versions.filter(status__in=LIVE).exists()


def dependents(key: str) -> list[Use]:
    """Return everything that names a segment: other segments, and what upper floors tell of."""
    users = {other for other, named in named_by().items() if key in named} | _beside(key)
    found = [Use(f"segments.{other}", f"segment {other}") for other in sorted(users - {key})]
    for where, uses in segment_users.items():
        found += [Use(f"{where}.{one.key}", one.what, one.url) for one in uses(key)]
    return found


def _beside(key: str) -> set[str]:
    """Return the segments whose live rules or drafts name it as a list, or its lookalikes."""
    lookalike = f"lookalike:{key}"
    return _naming(lambda leaf: (leaf.kind, leaf.key) in {("list", key), ("score", lookalike)})


def readers_of_scores(keys: Collection[str], prefixes: Collection[str]) -> set[str]:
    """Return the segments whose live rules or drafts read a score of these keys, or begun so."""
    begun = tuple(prefixes)
    return _naming(
        lambda leaf: leaf.kind == "score" and (leaf.key in keys or leaf.key.startswith(begun))
    )


def _naming(names: Callable[[Leaf], bool]) -> set[str]:
    rows = SegmentVersion.objects.exclude(status=SegmentVersion.Status.RETIRED)
    return {
        segment
        for segment, rule in rows.values_list("segment__key", "rule")
        if any(names(leaf) for leaf in leaves(parse(rule)))
    }


def sizes() -> dict[int, int]:
    """Return how many customers are in each segment in force, by id."""
    with connection.cursor() as cursor:
        cursor.execute(_SIZES)
        return dict(cursor.fetchall())


def _properties(described: Mapping[str, Any]) -> tuple[Attribute, ...]:
    """Return the properties in the order of their titles, the product first.

    PostgreSQL gives the keys of a jsonb by their length, not as they were written.
    """
    return tuple(
        sorted(_paths("", described), key=lambda one: (one.key != _PRODUCT_ID, one.title.lower()))
    )


def _paths(before: str, described: Mapping[str, Any]) -> Iterator[Attribute]:
    for key, spec in described.items():
        path, kind = f"{before}{key}", spec.get("type")
        if kind == "objects":
            yield from _paths(f"{path}[].", spec.get("of", {}))
        elif kind in _TYPES:
            title = spec.get("title") or path.replace("[].", " ").replace("_", " ")
            yield Attribute(path, title, _TYPES[kind])


def _traits() -> tuple[Attribute, ...]:
    return tuple(Attribute(one.key, one.title, one.type) for one in customers.traits().values())


def _scores() -> tuple[Named, ...]:
    """Return the scores that models have written, a loose index scan over their keys."""
    with connection.cursor() as cursor:
        cursor.execute(_SCORE_KEYS)
        return tuple(Named(row[0], row[0]) for row in cursor.fetchall())


_SCORE_KEYS = """
WITH RECURSIVE k AS (
    (SELECT key FROM segments_score ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT key FROM segments_score s WHERE s.key > k.key ORDER BY key LIMIT 1)
    FROM k WHERE k.key IS NOT NULL
)
SELECT key FROM k WHERE key IS NOT NULL
"""


def as_of(now: datetime) -> str:
    """Return a moment as pages and answers give it."""
    return f"{now:%Y-%m-%dT%H:%M:%SZ}"
