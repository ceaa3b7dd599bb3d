"""OpenAPI of `/v1/consent`; a test compares its paths with the addresses that are served."""

from typing import Any

_ID = {"type": "string", "maxLength": 255}
_PURPOSES = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "boolean"},
}
# What the explorer offers: it works as it stands.
_EXAMPLE: dict[str, Any] = {
    "anonymousId": "explorer-1",
    "purposes": {"analytics": True, "personalization": True, "marketing": False},
}
_ERROR = {"$ref": "#/components/schemas/Error"}


def _refusal(words: str) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": _ERROR}}}


_ANSWER: dict[str, Any] = {
    "type": "object",
    "required": ["purposes", "stated", "gpc"],
    "properties": {
        "userId": _ID,
        "anonymousId": _ID,
        "purposes": {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "description": "What holds for this call, `Sec-GPC` included.",
        },
        "stated": {
            "type": "object",
            "additionalProperties": {"type": "boolean"},
            "description": "What the customer has said; purposes left to their default are absent.",
        },
        "gpc": {"type": "boolean"},
    },
}
_RESPONSES: dict[str, Any] = {
    "200": {
        "description": "The caller's purposes.",
        "content": {"application/json": {"schema": _ANSWER}},
    },
    "400": _refusal("Cannot be read."),
    "401": _refusal("No key, or none that is known."),
    "403": _refusal("The key may not do this, or the user id is not proven."),
    "413": _refusal("The body is too large."),
    "422": _refusal("An unknown purpose, or an id that stands for nobody."),
    "429": _refusal("Too many requests; see Retry-After."),
    "503": _refusal("The store is away; see Retry-After."),
}
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {"apiKey": []}]


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


PATHS: dict[str, dict[str, Any]] = {
    "/v1/consent": {
        "get": {
            "operationId": "v1_consent_retrieve",
            "summary": "Read the caller's own purposes",
            "tags": ["Consent"],
            "security": _SECURITY,
            "parameters": [
                _query("userId", _ID),
                _query("userToken", _ID),
                _query("anonymousId", _ID),
                _query("writeKey", {"type": "string"}),
            ],
            "responses": {code: told for code, told in _RESPONSES.items() if code != "413"},
        },
        "post": {
            "operationId": "v1_consent_create",
            "summary": "Set the caller's own purposes",
            "description": "Holds from the very next decision. Each call is kept as proof.",
            "tags": ["Consent"],
            "security": _SECURITY,
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "example": _EXAMPLE,
                        "schema": {
                            "type": "object",
                            "required": ["purposes"],
                            "properties": {
                                "userId": _ID,
                                "userToken": _ID,
                                "anonymousId": _ID,
                                "purposes": _PURPOSES,
                                "source": {"type": "string", "maxLength": 40, "default": "api"},
                                "policyVersion": {"type": "string", "maxLength": 40},
                                "writeKey": {"type": "string"},
                            },
                        },
                    }
                },
            },
            "responses": _RESPONSES,
        },
    }
}
