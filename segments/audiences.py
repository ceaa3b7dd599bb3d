"""What audiences may name, of the tables or of a whole configuration; an audience in words."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from personalization.customers import serve as customers
from segments import selectors
from segments.engine.audience import Readable, audience_faults
from segments.engine.catalogue import COMPUTED, Attribute, Catalogue, Named, consents
from segments.engine.language import Rule, parse, references
from segments.models import Segment
from segments.words import describe

__all__ = ["audience_faults", "offered", "present", "published", "segments_of", "teller"]

# What the language raises for rules of another time, which are in the table all the same.
_UNREADABLE = (KeyError, TypeError, ValueError)


def present() -> Readable:
    """Return what an audience may name that is about to be saved."""
    personal = {one.key for one in customers.traits().values() if one.personal}
    in_force = Segment.objects.exclude(published=None).values_list("key", flat=True)
    return Readable(selectors.catalogue(), personal, frozenset(in_force))


def published(whole: Mapping[str, Any]) -> Readable:
    """Return what an audience may name that is published with the data of all parts."""
    traits = whole.get("traits", ())
    versions = whole.get("segments", {}).get("versions", ())
    purposes = whole.get("consent", {}).get("purposes", ())
    catalogue = Catalogue(
        traits=(
            *(Attribute(row["key"], row["title"], row["type"]) for row in traits),
            *COMPUTED,
            *consents((row["key"], row["title"]) for row in purposes),
        ),
        segments=tuple(Named(row["key"], row["title"]) for row in versions),
    )
    return Readable(
        catalogue,
        {row["key"] for row in traits if row["personal"]},
        {row["key"] for row in versions if row["in_force"]},
    )


def offered() -> Catalogue:
    """Return what the rule builder offers for an audience: nothing that would be refused."""
    known = present()
    return replace(
        known.catalogue,
        traits=[one for one in known.catalogue.traits if one.key not in known.personal],
        segments=[one for one in known.catalogue.segments if one.key in known.in_force],
    )


def teller() -> Callable[[Rule], str]:
    """Return what says audiences as sentences, in the words of the shop."""
    words = selectors.catalogue()

    def told(rule: Rule) -> str:
        try:
            return describe(parse(rule), words)
        except _UNREADABLE:
            return "A rule that cannot be read; make it anew."

    return told


def segments_of(rule: Rule) -> frozenset[str]:
    """Return the keys of the segments that an audience names; of one that cannot be read none."""
    try:
        return references(parse(rule))
    except _UNREADABLE:
        return frozenset()
