"""Reading the bodies that clients send: JSON under any content type, gzip, beacons, pixels."""

import base64
import binascii
import re
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from personalization.events.engine import times, wire
from personalization.lib import http
from personalization.lib.errors import Malformed, Problem, TooLarge

_BOM = b"\xef\xbb\xbf"
# An escape, seen from its first backslash: a surrogate pair, a lone surrogate, or anything else.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_REPLACEMENT = rb"\ufffd"


def read(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object of a request.

    Raises
    ------
    Malformed, TooLarge
        Naming what is wrong and what to do.
    """
    return parsed(http.read_body(request, max_bytes=settings.BATCH_MAX_BYTES))


def parsed(body: bytes) -> dict[str, Any]:
    """Parse a body that must be one JSON object.

    Two faults of real clients are mended: a byte order mark, and half of a surrogate pair, which
    is what JavaScript writes when a text was cut inside an emoji; it becomes U+FFFD.
    """
    try:
        data = http.parse_json(body)
    except Malformed:
        mended = _ESCAPE.sub(_mended, body.removeprefix(_BOM))
        if mended == body:
            raise
        data = http.parse_json(mended)
    if type(data) is not dict:
        msg = "the body is not a JSON object"
        raise Malformed(msg)
    return data


def pixel(data: str) -> dict[str, Any]:
    """Return the event in the `data` parameter of the pixel: base64url of a JSON object."""
    if len(data) > 2 * wire.MAX_BYTES:
        msg = f"data is longer than {2 * wire.MAX_BYTES} characters; post the event instead"
        raise TooLarge(msg)
    try:
        body = base64.b64decode(data + "=" * (-len(data) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        msg = "data is not base64url of one event"
        raise Malformed(msg) from error
    return parsed(body)


def batch(body: dict[str, Any]) -> list[Any]:
    """Return the events of a batch body."""
    items = body.get("batch")
    if type(items) is not list:
        msg = "the body has no list of events"
        raise Malformed(msg, details=[Problem("batch", 'send {"batch": [...]}')])
    if len(items) > settings.BATCH_MAX_EVENTS:
        msg = f"more than {settings.BATCH_MAX_EVENTS} events; send smaller batches"
        raise TooLarge(msg)
    problems = wire.shared_faults(body.get("context"))
    if body.get("sentAt") is not None and times.parsed(body["sentAt"]) is None:
        problems.append(Problem("sentAt", "is not a time; send ISO 8601"))
    if problems:
        msg = "what the batch says for all of its events cannot be used"
        raise Malformed(msg, details=problems)
    return items


def text(body: dict[str, Any], key: str) -> str:
    """Return a text of the body, "" for anything else."""
    value = body.get(key)
    return value if type(value) is str else ""


def _mended(found: re.Match[bytes]) -> bytes:
    return _REPLACEMENT if found[1] else found[0]
