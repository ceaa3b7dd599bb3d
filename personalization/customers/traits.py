"""Declared traits: the share of the published configuration, and the tables it comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from personalization.customers.models import Trait as TraitRow
from personalization.lib.errors import Unprocessable
from personalization.ops import serve as config


@dataclass(frozen=True, slots=True)
class Trait:
    """One declared trait, as serving and ingestion read it."""

    key: str
    title: str
    type: str
    personal: bool
    server_only: bool


def declared() -> Mapping[str, Trait]:
    """Return the declared traits as last published."""
    part: Mapping[str, Trait] = config.part("traits")
    return part


class TraitsPart:
    """All declared traits."""

    # What is personal, and what a browser may not set, does not go back with yesterday's campaigns.
    never_rolls_back = True

    def export(self) -> list[dict[str, Any]]:
        """Return the traits by key."""
        fields = ("key", "title", "type", "personal", "server_only")
        return list(TraitRow.objects.order_by("key").values(*fields))

    def load(self, data: Any) -> Mapping[str, Trait]:
        """Return the traits, immutable."""
        try:
            rows = [Trait(**row) for row in data]
        except TypeError as error:
            msg = f"the published traits cannot be read: {error}"
            raise Unprocessable(msg) from error
        unknown = sorted(row.type for row in rows if row.type not in TraitRow.Type.values)
        if unknown:
            msg = f"there is no trait type {unknown[0]!r}"
            raise Unprocessable(msg)
        return MappingProxyType({row.key: row for row in rows})
