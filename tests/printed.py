"""Calls of curl as pages and commands print them, made to Django's test client."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from django.test import Client

_SERVER = re.compile(r"^(?:\$SHOP|(?:http://)?(?:localhost|127\.0\.0\.1):(?:\d+|\$\{PORT:-8000\}))")


def call(printed: str, client: Client, keys: Mapping[str, str]) -> Any:
    """Make the call; `keys` are what its variables stand for."""
    words = shlex.split(printed.replace("\\\n", " "))[1:]
    headers, body, address = {}, "", ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = re.sub(r"\$(\w+)", lambda found: keys[found.group(1)], value)
        elif word == "-d":
            body = words.pop(0)
        elif not word.startswith("-"):
            address = _SERVER.sub("", word)
    # what curl sends with -d when nobody says otherwise
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    return client.generic(
        "POST" if body else "GET", address, body, content_type=kind, headers=headers
    )
