"""The id of a message that came without one: the same bytes, the same id."""

import uuid
from collections.abc import Mapping
from typing import Any

import orjson

# Fixed for good: another namespace would give every id-less message a second row on its next retry.
_NAMESPACE = uuid.UUID("6f1d2b1e-7f0e-5c0a-9a54-0e8f6f5a2c11")
# What differs between retries, or between keys and proofs, of one and the same message.
_NOT_OF_THE_MESSAGE = ("sentAt", "userToken", "writeKey", "messageId")


def derived(item: Mapping[str, Any], kind: str) -> str:
    """Return UUIDv5 of the canonical body (sorted keys, no `sentAt`) of a call of type `kind`."""
    body = {key: value for key, value in item.items() if key not in _NOT_OF_THE_MESSAGE}
    body["type"] = kind
    canonical = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    return str(uuid.uuid5(_NAMESPACE, canonical.decode()))


def fresh() -> str:
    """Return a new id, for a message with neither id nor time: it cannot be recognised again."""
    return str(uuid.uuid4())
