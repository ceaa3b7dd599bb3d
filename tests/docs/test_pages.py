"""docs/api.md and docs/events.md say what the code does; they fail here when they fall behind."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from personalization.access.services import create_key
from personalization.decisions.urls import ofrep
from personalization.events.engine.taxonomy_page import table
from personalization.urls import wire

DOCS = Path(settings.BASE_DIR) / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```sh\n(curl .*?)\n```$", API, re.DOTALL | re.MULTILINE)


def test_events_page__taxonomy__is_the_codes_table() -> None:
    text = (DOCS / "events.md").read_text(encoding="utf-8")
    found = re.search(r"^\| Event \|.*?\n\n", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    assert found.group() == table() + "\n"


def test_readme__what_make_asks_the_system_for__is_said_before() -> None:
    makefile = (DOCS.parent / "Makefile").read_text(encoding="utf-8")
    asked = re.findall(r"on Debian: apt-get install ([\w.-]+)", makefile)
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    said = re.search(r"`apt-get install ([^`]+)`", readme)

    assert len(asked) >= 2
    assert said is not None
    assert set(asked) <= set(said.group(1).split())


@pytest.mark.parametrize(
    "path",
    sorted(
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"{root}{one.pattern}")
        for root, served in (("/v1/", wire), ("/ofrep/v1/", ofrep))
        for one in served
    ),
)
def test_api_page__every_wire_address__is_named(path: str) -> None:
    assert re.search(rf"`(?:GET\|?|POST |GET )*{re.escape(path)}[`?]", API), path


@pytest.mark.django_db
@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_api_page__example__works_as_it_stands(example: str, client: Client) -> None:
    keys = {
        name: create_key(name=kind, kind=kind, actor="t")[1]
        for name, kind in (("PUBLIC", "public"), ("SECRET", "secret"))
    }
    answer = _run(example, client, keys)
    assert answer.status_code in {200, 201}, answer.content
    if answer.streaming:
        lines = b"".join(answer.streaming_content).splitlines()
        assert all(isinstance(json.loads(line), dict) for line in lines)
        return
    assert "rejected" not in answer.json() or not answer.json()["rejected"]


def test_api_page__examples__are_there() -> None:
    assert len(EXAMPLES) >= 9


def _run(example: str, client: Client, keys: Mapping[str, str]) -> Any:
    words = shlex.split(example)[1:]
    headers, body, address = {}, "", ""
    while words:
        word = words.pop(0)
        if word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = re.sub(r"\$(\w+)", lambda found: keys[found.group(1)], value)
        elif word == "-d":
            body = words.pop(0)
        elif not word.startswith("-"):
            address = word.removeprefix("$SHOP")
    # what curl sends with -d when nobody says otherwise
    kind = headers.pop("Content-Type", "application/x-www-form-urlencoded")
    return client.generic(
        "POST" if body else "GET", address, body, content_type=kind, headers=headers
    )
