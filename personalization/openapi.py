"""Puts the plain `/v1` views into the generated OpenAPI schema."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from django.apps import apps


def add_wire_paths(result: dict[str, Any], **_kwargs: Any) -> dict[str, Any]:
    """Return the schema with each app's wire endpoints (`<app>/openapi.py`, PATHS) added."""
    for path, item in wire_paths().items():
        result["paths"][path] = item
    result["paths"] = dict(sorted(result["paths"].items()))
    return result


def wire_paths() -> dict[str, Mapping[str, Any]]:
    """Return the OpenAPI path items that installed apps declare.

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
