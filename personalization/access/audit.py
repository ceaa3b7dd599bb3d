"""The audit trail: who did what to which object. Part of the writing transaction."""

import json
import re
from typing import Any

import orjson
import structlog
from django.db import models

from personalization.access.models import AuditEvent
from personalization.lib import clock

# An escaped NUL, which jsonb refuses, and not the letters of one behind a backslash.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


def audit(
    *, actor: str, action: str, obj: models.Model, before: Any = None, after: Any = None
) -> AuditEvent:
    """Write one row of the trail, in the caller's transaction.

    Parameters
    ----------
    action
        A verb of the service: "create", "update", "delete", "publish", "revoke", ...
    before, after
        What the object looked like, as far as it matters; None: there was nothing. No secrets.
    """
    return AuditEvent.objects.create(
        at=clock.now(),
        actor=actor[:150],
        action=action[:60],
        object_type=obj._meta.label_lower,
        object_id=str(obj.pk)[:100],
        object_label=str(obj)[:200],
        before=_plain(before),
        after=_plain(after),
        request_id=str(structlog.contextvars.get_contextvars().get("request_id", ""))[:36],
    )


def state(obj: models.Model, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Return the columns of `obj` as plain JSON, for `before` and `after`."""
    fields = [field for field in obj._meta.concrete_fields if field.name not in without]
    plain: dict[str, Any] = _plain({field.name: field.value_from_object(obj) for field in fields})
    return plain


def _plain(value: Any) -> Any:
    """Dates, UUIDs, Decimals and files become text; NUL is what jsonb refuses."""
    if value is None:
        return None
    try:
        body = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # jsonb gives a huge float back as an integer, which orjson does not write
        body = json.dumps(value, default=str).encode()
    return json.loads(_NUL.sub(rb"\1", body))
