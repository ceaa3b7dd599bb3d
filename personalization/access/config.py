"""The share of API keys in the published configuration: what `serve` authenticates with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from personalization.access.engine import keys
from personalization.access.models import ApiKey
from personalization.lib.errors import Unprocessable


class AccessPart:
    """Keys that are not revoked, by hash. Expiry is looked at when a key is used."""

    # A rollback must neither revive a revoked key nor lose one made since.
    never_rolls_back = True
    # Revocation must not wait until somebody mends a strategy.
    stands_alone = True

    def export(self) -> dict[str, Any]:
        """Return the keys that may be used, in the order of their ids."""
        rows = ApiKey.objects.filter(revoked_at=None).order_by("id")
        return {"keys": [_entry(row) for row in rows]}

    def load(self, data: Any) -> Mapping[str, keys.KeyRecord]:
        """Return {sha256: KeyRecord}, read-only."""
        try:
            return MappingProxyType(keys.records(data))
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the published keys cannot be read: {error}"
            raise Unprocessable(msg) from error

    def discreet(self, data: Any) -> Any:
        """Leave out secret keys.

        While PostgreSQL is away nobody can say whether one was revoked, and it may do everything;
        a public key stands in each page of the shop anyway.
        """
        return {"keys": [entry for entry in data["keys"] if entry["kind"] == ApiKey.Kind.PUBLIC]}


def _entry(row: ApiKey) -> dict[str, Any]:
    return {
        "id": row.pk,
        "sha256": row.sha256,
        "kind": row.kind,
        "name": row.name,
        "scopes": sorted(row.scopes),
        "origins": sorted(row.origins),
        "expires_at_s": int(row.expires_at.timestamp()) if row.expires_at else None,
    }
