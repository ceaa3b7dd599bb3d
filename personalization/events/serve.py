"""The event types in force, from memory. Ingestion checks events against them."""

from personalization.events.engine.schema import Schema
from personalization.ops import serve as config

__all__ = ["Schema", "schema"]


def schema() -> Schema:
    """Return the event types as last published."""
    part: Schema = config.part("schema")
    return part
