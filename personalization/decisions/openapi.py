"""OpenAPI of the decision API; a test compares its paths with the addresses that are served."""

from typing import Any

# Of the fields of a request that an explanation names as unknown: enough to see what is wrong.
MOST_UNKNOWN = 20

_ID = {"type": "string", "maxLength": 255}
_KEY = {"type": "string", "minLength": 1, "maxLength": 100}
_ITEMS = {"type": "array", "maxItems": 500, "items": {"type": "string", "minLength": 1}}
_ERROR = {"$ref": "#/components/schemas/Error"}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"apiKey": []}]


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _body(schema: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    """Return a request body; the explorer offers its example, which works as it stands."""
    return {
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _told(words: str, schema: dict[str, Any] = _ERROR) -> dict[str, Any]:
    return {"description": words, "content": _json(schema)}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


_REFUSALS: dict[str, Any] = {
    "400": _told("Cannot be read; every fault is named with its path."),
    "401": _told("No key, or none that is known."),
    "403": _told("The key may not do this."),
    "413": _told("The body is too large."),
    "429": _told("Too many requests; see Retry-After."),
    "503": _told("No configuration could be read since this process started; see Retry-After."),
}
_ITEM: dict[str, Any] = {
    "type": "object",
    "required": ["id", "score", "reason", "source"],
    "properties": {
        "id": {"type": "string"},
        "score": {"type": "number"},
        "reason": {"type": "string"},
        "source": {"type": "string", "description": "The model or rule that named it."},
        "propensity": {"type": "number", "description": "Of what chance has put there alone."},
    },
}
_DEGRADED = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Stages that gave their fallback, such as recommend:budget.",
}
_FRAME: dict[str, Any] = {
    "decisionId": {"type": "string", "format": "uuid"},
    "configVersion": {"type": "integer"},
    "modelVersions": {"type": "object", "additionalProperties": {"type": "integer"}},
    "degraded": _DEGRADED,
    "explain": {
        "type": "object",
        "properties": {
            "unknown": {
                "type": "array",
                "maxItems": MOST_UNKNOWN,
                "items": {"type": "string"},
                "description": "Paths in the request that this version does not know, sorted.",
            }
        },
    },
}
_REASON = {
    "type": "string",
    "description": "personal, no_consent or profile_unavailable; for content campaign or default.",
}
_TOKEN = {
    "type": "string",
    "description": "Sent back by exposure and click events; absent without consent or a visitor.",
}
_PLACEMENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "campaign": {"type": ["string", "null"]},
        "block": {"type": ["string", "null"]},
        "content": {"type": "object"},
        "strategy": {"type": "string"},
        "items": {"type": "array", "items": _ITEM},
        "reason": _REASON,
        "token": _TOKEN,
        "explain": {"type": "object"},
        "error": {"type": "object"},
    },
}
_CONTEXT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "page": {
            "type": "object",
            "properties": {
                name: {"type": "string"} for name in ("path", "url", "title", "referrer", "search")
            },
        },
        "device": {"type": "object", "properties": {"type": {"type": "string"}}},
        "locale": {"type": "string"},
        "country": {"type": "string", "description": "ISO 3166-1 alpha-2; else the profile's."},
        "timezone": {"type": "string"},
        "cart": _ITEMS,
        "recent": {
            "type": "array",
            "description": "The page's last events; the newest 20 count in this very answer.",
            "items": {
                "type": "object",
                "required": ["event"],
                "properties": {
                    "event": {"type": "string"},
                    "item": {"type": "string"},
                    "items": _ITEMS,
                    "at": {"type": "string", "format": "date-time"},
                },
            },
        },
        "consent": {
            "type": "object",
            "properties": {"categoryPreferences": {"type": "object"}},
        },
    },
}
_WANTED: dict[str, Any] = {
    "oneOf": [
        _KEY,
        {
            "type": "object",
            "required": ["key"],
            "additionalProperties": False,
            "properties": {
                "key": _KEY,
                "item": _ID,
                "count": {"type": "integer", "minimum": 1, "description": "At most 100 come."},
                "exclude": _ITEMS,
                "items": {
                    **_ITEMS,
                    "description": "What to put in order, such as the results of a search.",
                },
                "filter": {"type": "object", "description": "A rule on products (docs/rules.md)."},
            },
        },
    ]
}
ASK: dict[str, Any] = {
    "type": "object",
    "properties": {
        "userId": _ID,
        "userToken": _ID,
        "anonymousId": _ID,
        "context": _CONTEXT,
        "placements": {"type": "array", "maxItems": 50, "items": _WANTED},
        "flags": {"type": "array", "maxItems": 200, "items": {"type": "string", "minLength": 1}},
        "deduplicate": {
            "type": "boolean",
            "default": False,
            "description": "Each product on one shelf only, the earliest that shows it.",
        },
        "explain": {"type": "boolean", "default": False},
        "writeKey": {"type": "string"},
    },
}
# Placements that the demo has.
_ASK_EXAMPLE: dict[str, Any] = {
    "anonymousId": "explorer-1",
    "placements": ["home.hero", {"key": "home.recommended", "count": 4}],
}
_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["decisionId", "configVersion", "modelVersions", "placements", "degraded"],
    "properties": {
        **_FRAME,
        "placements": {"type": "object", "additionalProperties": _PLACEMENT},
        "flags": {"type": "object", "additionalProperties": {"type": "object"}},
    },
}
_DIRECT: dict[str, Any] = {
    "type": "object",
    "required": ["decisionId", "configVersion", "strategy", "items", "degraded"],
    "properties": {
        **_FRAME,
        "strategy": {"type": "string"},
        "items": {"type": "array", "items": _ITEM},
        "reason": _REASON,
        "token": _TOKEN,
    },
}
_FLAG_ERROR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "key": {"type": "string"},
        "errorCode": {"type": "string"},
        "errorDetails": {"type": "string"},
    },
}
_FLAG_BODY = _body(
    {
        "type": "object",
        "required": ["context"],
        "properties": {
            "context": {
                "type": "object",
                "required": ["targetingKey"],
                "properties": {"targetingKey": {"type": "string", "minLength": 1}},
            }
        },
    },
    {"context": {"targetingKey": "explorer-1"}},
)
_FLAG_REFUSALS = _REFUSALS | {"400": _told("No usable context.", {"anyOf": [_FLAG_ERROR, _ERROR]})}

PATHS: dict[str, dict[str, Any]] = {
    "/v1/decide": {
        "post": {
            "operationId": "v1_decide",
            "summary": "Decide what every placement and flag of a page shows",
            "tags": ["Decide"],
            "security": _SECURITY,
            "requestBody": _body(ASK, _ASK_EXAMPLE),
            "responses": {
                "200": _told("The answer; what could not be personal says so.", _ANSWER),
                **_REFUSALS,
                "422": _told("A filter, which this version cannot evaluate."),
            },
        }
    },
    "/v1/recommendations/{strategy}": {
        "get": {
            "operationId": "v1_recommendations",
            "summary": "Recommend by one strategy",
            "tags": ["Recommendations"],
            "security": _SECURITY,
            "parameters": [
                {"name": "strategy", "in": "path", "required": True, "schema": _KEY},
                _query("userId", _ID),
                _query("userToken", _ID),
                _query("anonymousId", _ID),
                _query("item", _ID),
                _query("count", {"type": "integer", "minimum": 1, "maximum": 999999999}),
                _query("exclude", {"type": "string", "description": "Item ids, by commas."}),
                _query("items", {"type": "string", "description": "To put in order, by commas."}),
                _query("explain", {"type": "boolean"}),
                _query("writeKey", {"type": "string"}),
            ],
            "responses": {
                "200": _told("Items, best first.", _DIRECT),
                **{code: told for code, told in _REFUSALS.items() if code != "413"},
                "404": _told("No published strategy has this key."),
            },
        }
    },
    "/ofrep/v1/evaluate/flags/{key}": {
        "post": {
            "operationId": "ofrep_evaluate_flag",
            "summary": "Evaluate one flag (OpenFeature Remote Evaluation Protocol)",
            "tags": ["Flags"],
            "security": _SECURITY,
            "parameters": [
                {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "requestBody": _FLAG_BODY,
            "responses": {**_FLAG_REFUSALS, "404": _told("No flag has this key.", _FLAG_ERROR)},
        }
    },
    "/ofrep/v1/evaluate/flags": {
        "post": {
            "operationId": "ofrep_evaluate_flags",
            "summary": "Evaluate all flags (OpenFeature Remote Evaluation Protocol)",
            "tags": ["Flags"],
            "security": _SECURITY,
            "parameters": [{"name": "If-None-Match", "in": "header", "schema": {"type": "string"}}],
            "requestBody": _FLAG_BODY,
            "responses": {
                "200": _told(
                    "Every flag.",
                    {
                        "type": "object",
                        "required": ["flags"],
                        "properties": {"flags": {"type": "array", "items": {"type": "object"}}},
                    },
                ),
                "304": {"description": "The caller has this very answer."},
                **_FLAG_REFUSALS,
            },
        }
    },
}
