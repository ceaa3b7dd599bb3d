"""Purposes in force, from memory: the gate at ingestion and at decision."""

from collections.abc import Mapping
from typing import Any, Protocol

from personalization.consent.engine.purposes import (
    ANALYTICS,
    MARKETING,
    PERSONALIZATION,
    Purposes,
)
from personalization.ops import serve as config

__all__ = ["ANALYTICS", "MARKETING", "PERSONALIZATION", "Purposes", "gpc", "purposes"]


class Request(Protocol):
    """What is read of a request."""

    META: dict[str, Any]


def purposes() -> Purposes:
    """Return the purposes as last published."""
    part: Purposes = config.part("consent")
    return part


def gpc(request: Request) -> bool:
    """Whether the browser sent Global Privacy Control (`Sec-GPC: 1`)."""
    meta: Mapping[str, Any] = request.META
    return str(meta.get("HTTP_SEC_GPC", "")).strip() == "1"
