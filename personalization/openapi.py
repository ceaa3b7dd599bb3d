"""What the generated schema cannot know by itself: plain `/v1` views, and how calls are refused."""

import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from django.apps import apps

ERROR: dict[str, Any] = {
    "type": "object",
    "description": "The one shape of every refusal.",
    "required": ["error"],
    "additionalProperties": False,
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "additionalProperties": False,
            "properties": {
                "code": {"type": "string", "description": "For machines; it does not change."},
                "message": {"type": "string", "description": "For people."},
                "details": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["path", "problem"],
                        "additionalProperties": False,
                        "properties": {
                            "path": {"type": "string", "description": "Such as batch[3].event."},
                            "problem": {"type": "string"},
                        },
                    },
                },
            },
        }
    },
}
KEY_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "The key as user name, an empty password.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
# Groups of the explorer in its order; the back office's follow by their names.
TAGS: Mapping[str, str] = {
    "Decide": "What a page shows: content, shelves and flags in one call.",
    "Recommendations": "One strategy by itself.",
    "Events": "What visitors and servers did.",
    "Consent": "What somebody allows.",
    "Flags": "OpenFeature Remote Evaluation Protocol.",
    "Short addresses": "The same events by the addresses that analytics.js uses.",
}
# What Django REST framework's own reads do, where they have no words of their own.
_READS: Mapping[str, str] = {"list": "List {tag}", "retrieve": "Read one of the {tag}"}
_METHODS = frozenset({"get", "post", "put", "patch", "delete"})
# status -> (description, the methods that may answer it)
_REFUSALS: Mapping[str, tuple[str, frozenset[str]]] = {
    "400": ("Cannot be read, or asks by a parameter that does not exist.", _METHODS),
    "401": ("No key and no session, or none that is known.", _METHODS),
    "403": ("The caller may not do this.", _METHODS),
    "404": ("There is no such row, or none that the body names.", _METHODS),
    "409": ("The state of the row does not allow it.", _METHODS - {"get"}),
    "413": ("The body is too large.", _METHODS - {"get", "delete"}),
    "422": ("Makes no sense; every fault is named with its path.", _METHODS),
    "429": ("Too many requests; see Retry-After.", _METHODS),
    "503": ("The store is away; see Retry-After.", _METHODS),
}


def complete(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Return the schema with `/v1`, the error shape and every way in which `/api` refuses.

    drf-spectacular calls it last (POSTPROCESSING_HOOKS).
    """
    for path, method in _operations(result["paths"]):
        operation = result["paths"][path][method]
        operation["summary"] = _summary(operation)
        operation["tags"] = [tag.capitalize() for tag in operation["tags"]]
        for status, told in _refusals(path, method):
            operation["responses"].setdefault(status, told)
    components = result.setdefault("components", {})
    components["schemas"] = dict(sorted({**components.get("schemas", {}), "Error": ERROR}.items()))
    components["securitySchemes"] = KEY_SCHEMES | components.get("securitySchemes", {})
    result["paths"] = dict(sorted({**result["paths"], **wire_paths()}.items()))
    used = {
        tag for item in result["paths"].values() for one in item.values() for tag in one["tags"]
    }
    office = [{"name": tag} for tag in sorted(used - TAGS.keys())]
    result["tags"] = [{"name": tag, "description": told} for tag, told in TAGS.items()] + office
    return result


def wire_paths() -> dict[str, Mapping[str, Any]]:
    """Return the OpenAPI path items that installed apps declare (`<app>/openapi.py`, PATHS).

    Raises
    ------
    RuntimeError
        Two apps declare the same path.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for app in apps.get_app_configs():
        for path, item in _declared(app.name).items():
            if path in found:
                msg = f"{path} is declared twice; one openapi.py must drop it"
                raise RuntimeError(msg)
            found[path] = item
    return found


def _operations(paths: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    return ((path, method) for path, item in paths.items() for method in _METHODS & item.keys())


def _summary(operation: Mapping[str, Any]) -> str:
    """Return the first words of the description; of a plain read of rows what it reads."""
    words = " ".join(str(operation.get("description", "")).split())
    tag = operation["tags"][0]
    read = _READS.get(operation["operationId"].removeprefix(f"{tag}_"))
    if read is not None and words.partition(" ")[0] not in {"List", "Return"}:
        return read.format(tag=tag)
    return re.split(r"[.;:](?: |$)", words, maxsplit=1)[0]


def _refusals(path: str, method: str) -> Iterator[tuple[str, dict[str, Any]]]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for status, (words, methods) in _REFUSALS.items():
        names_a_row = "{" in path or method == "post"
        if method in methods and (status != "404" or names_a_row):
            yield status, {"description": words, "content": content}


def _declared(app: str) -> Mapping[str, Mapping[str, Any]]:
    name = f"{app}.openapi"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return {}
    paths: Mapping[str, Mapping[str, Any]] = getattr(module, "PATHS", {})
    return paths
