"""One event that an importer or the demo brings: already read, not yet a row."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple


class BulkEvent(NamedTuple):
    """An event for `events.bulk`. A named tuple: imports make millions of them.

    `message_id` is a function of the source alone, so that importing again writes nothing twice;
    `original_at` is the message's own time, aware; `user_id` counts as proven.
    """

    message_id: str
    type: str
    name: str
    original_at: datetime
    user_id: str | None
    anonymous_id: str | None
    properties: Mapping[str, Any]
    traits: Mapping[str, Any] | None = None
    context: Mapping[str, Any] = {}
