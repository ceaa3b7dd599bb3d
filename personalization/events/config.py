"""The event schema's share of the published configuration: what `serve.schema()` reads."""

from typing import Any

from personalization.events.engine import schema
from personalization.events.models import EventSchema
from personalization.lib.errors import Unprocessable


class SchemaPart:
    """Every event type that the shop knows, built in or its own."""

    def export(self) -> dict[str, Any]:
        """Return the event types in the order of their names."""
        rows = EventSchema.objects.order_by("name").values("name", "fact", "properties")
        return {"types": list(rows)}

    def restore(self, data: Any) -> None:
        """Make the event types what they were.

        Those of the shop's own that were made since are deleted; built-in ones came with the code.
        """
        for row in data["types"]:
            values = {name: row[name] for name in ("fact", "properties")}
            EventSchema.objects.update_or_create(name=row["name"], defaults=values)
        told = [row["name"] for row in data["types"]]
        EventSchema.objects.filter(built_in=False).exclude(name__in=told).delete()

    def load(self, data: Any) -> schema.Schema:
        """Return the compiled event types."""
        try:
            return schema.compiled(data["types"])
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the published event types cannot be read: {error}"
            raise Unprocessable(msg) from error
