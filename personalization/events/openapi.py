"""OpenAPI of ingestion; a test compares its paths with the addresses that are served."""

from typing import Any

from personalization.events.engine import wire

_CALLS = {
    "track": ("t", "Something happened", ["event"]),
    "identify": ("i", "Who somebody is", []),
    "page": ("p", "A page was seen", []),
    "screen": ("s", "A screen of an app was seen", []),
    "group": ("g", "Somebody belongs to a group", []),
    "alias": ("a", "Two ids are one person", ["previousId", "userId"]),
}
# What the explorer offers: each works as it stands, as often as it is sent, since it has neither
# a messageId nor a time.
_EXAMPLES: dict[str, dict[str, Any]] = {
    "track": {
        "anonymousId": "explorer-1",
        "event": "Products Searched",
        "properties": {"query": "lamp"},
    },
    "identify": {"anonymousId": "explorer-1", "traits": {"plan": "gold"}},
    "page": {"anonymousId": "explorer-1", "name": "Home", "properties": {"path": "/"}},
    "screen": {"anonymousId": "explorer-1", "name": "Home"},
    "group": {"anonymousId": "explorer-1", "groupId": "acme", "traits": {"name": "Acme"}},
    "alias": {"previousId": "explorer-old", "userId": "explorer"},
}
_BATCH_EXAMPLE: dict[str, Any] = {
    "batch": [{"type": kind, **_EXAMPLES[kind]} for kind in ("page", "track")]
}
# The group of the addresses that analytics.js uses.
_SHORT = "Short addresses"
_TEXT: dict[str, Any] = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_OBJECT: dict[str, Any] = {"type": "object", "additionalProperties": True}
_EVENT: dict[str, Any] = {
    "event": {"type": "string", "maxLength": 200},
    "messageId": {"type": "string", "maxLength": wire.MAX_MESSAGE_ID},
    "userId": {"type": "string", "maxLength": wire.MAX_ID},
    "userToken": _TEXT,
    "anonymousId": {"type": "string", "maxLength": wire.MAX_ID},
    "previousId": {"type": "string", "maxLength": wire.MAX_ID},
    "groupId": _TEXT,
    "name": _TEXT,
    "timestamp": _TIME,
    "originalTimestamp": _TIME,
    "sentAt": _TIME,
    "properties": _OBJECT,
    "traits": _OBJECT,
    "context": _OBJECT,
    "writeKey": _TEXT,
}
_PROBLEM = {
    "type": "object",
    "required": ["path", "problem"],
    "properties": {"path": _TEXT, "problem": _TEXT},
}
_COUNT = {"type": "integer", "minimum": 0}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "description": "Each event is counted once.",
    "required": ["success", "accepted", "duplicates", "withheld", "rejected"],
    "properties": {
        "success": {"const": True},
        "accepted": _COUNT,
        "duplicates": _COUNT,
        "withheld": {**_COUNT, "description": "Minimised, or dropped, as consent demands."},
        "bot": {
            **_COUNT,
            "description": "By the user agent a robot's: kept, never folded. Absent for none.",
        },
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "messageId", "problems"],
                "properties": {
                    "index": _COUNT,
                    "messageId": _TEXT,
                    "problems": {"type": "array", "items": _PROBLEM},
                },
            },
        },
    },
}
_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
_REFUSALS = {
    "400": "Cannot be read.",
    "401": "No key, or none that is known.",
    "403": "The key may not do this.",
    "413": "The body is too large.",
    "429": "Too many requests; see Retry-After.",
    "503": "The store is away; nothing was accepted; see Retry-After.",
}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"apiKey": []}]


def _responses(content: dict[str, Any]) -> dict[str, Any]:
    refused = {code: {"description": words, "content": _ERROR} for code, words in _REFUSALS.items()}
    return {"200": {"description": "What became of each event.", "content": content}} | refused


def _post(
    name: str,
    summary: str,
    schema: dict[str, Any],
    example: dict[str, Any],
    tag: str = "Events",
) -> dict[str, Any]:
    content = {"schema": schema, "example": example}
    return {
        "post": {
            "operationId": f"v1_{name}_create",
            "summary": summary,
            "tags": [tag],
            "security": _SECURITY,
            "requestBody": {
                "required": True,
                "content": {"application/json": content, "text/plain": content},
            },
            "responses": _responses({"application/json": {"schema": _ANSWER}}),
        }
    }


def _call(required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": _EVENT}


_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "maxItems": 500,
            "items": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"enum": list(_CALLS)}, **_EVENT},
            },
        },
        "context": _OBJECT,
        "sentAt": _TIME,
        "userToken": _TEXT,
        "writeKey": _TEXT,
    },
}
_PIXEL: dict[str, Any] = {
    "get": {
        "operationId": "v1_pixel_retrieve",
        "summary": "One event from an image tag",
        "tags": ["Events"],
        "security": [*_SECURITY, {}],
        "parameters": [
            {
                "name": "data",
                "in": "query",
                "required": True,
                "description": "base64url of one event; its writeKey names the key.",
                "schema": _TEXT,
            }
        ],
        "responses": _responses({"image/gif": {}}),
    }
}

PATHS: dict[str, dict[str, Any]] = {
    "/v1/batch": _post("batch", "Up to 500 events of any kind", _BATCH, _BATCH_EXAMPLE),
    "/v1/b": _post("b", "Up to 500 events of any kind", _BATCH, _BATCH_EXAMPLE, _SHORT),
    "/v1/pixel.gif": _PIXEL,
}
for _name, (_short, _summary, _required) in _CALLS.items():
    _told = _summary, _call(_required), _EXAMPLES[_name]
    PATHS[f"/v1/{_name}"] = _post(_name, *_told)
    PATHS[f"/v1/{_short}"] = _post(_short, *_told, _SHORT)
