"""docs/api.md and docs/events.md say what the code does; they fail here when they fall behind."""

import json
import re
import shlex
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from personalization.access.services import create_key
from personalization.consent.models import Purpose
from personalization.decisions.urls import ofrep
from personalization.demo import services, state
from personalization.demo.management.commands.demo import addresses
from personalization.events.engine.taxonomy_page import table
from personalization.lib import clock
from personalization.ops.models import JobRun
from personalization.urls import wire
from tests import printed

DOCS = Path(settings.BASE_DIR) / "docs"
API = (DOCS / "api.md").read_text(encoding="utf-8")
# A call of curl, up to the line that ends its last word.
CALL = re.compile(r"^ *(curl -s .*(?:\n +.*)*)$", re.MULTILINE)
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
    answer = printed.call(example, client, keys)
    assert answer.status_code in {200, 201}, answer.content
    if answer.streaming:
        lines = b"".join(answer.streaming_content).splitlines()
        assert all(isinstance(json.loads(line), dict) for line in lines)
        return
    assert "rejected" not in answer.json() or not answer.json()["rejected"]


def test_api_page__examples__are_there() -> None:
    assert len(EXAMPLES) >= 9


@pytest.mark.django_db
def test_readme__calls__work_as_they_stand(client: Client) -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    calls = CALL.findall(readme)
    keys = {"KEY": create_key(name="secret", kind="secret", actor="t")[1]}

    sent, listed = (printed.call(one, client, keys) for one in calls)

    assert sent.json()["accepted"] == 1
    assert listed.json()["items"] == []


@pytest.mark.django_db
def test_readme__calls__are_those_that_the_demo_prints() -> None:
    JobRun.objects.create(kind=state.KIND, slot=state.SLOT, created_at=clock.now())
    told = addresses("http://127.0.0.1:8000", filling=False)
    plain = told.replace(services.ensure_keys().secret, "$KEY").replace(
        "http://127.0.0.1", "localhost"
    )
    readme = (
        (DOCS.parent / "README.md").read_text(encoding="utf-8").replace("${PORT:-8000}", "8000")
    )

    assert [words(one) for one in CALL.findall(readme)] == [
        words(one) for one in CALL.findall(plain)
    ]


def words(call: str) -> list[str]:
    """Return the words of a call, whatever its lines and quotes."""
    return [" ".join(word.split()) for word in shlex.split(call.replace("\\\n", " "))]


@pytest.mark.django_db
def test_readme__what_holds_before_an_answer__is_the_tables_default() -> None:
    readme = " ".join((DOCS.parent / "README.md").read_text(encoding="utf-8").split())
    allowed, waiting = (
        " and ".join(
            Purpose.objects.filter(default_granted=granted)
            .values_list("key", flat=True)
            .order_by("bit")
        )
        for granted in (True, False)
    )

    assert (
        f"By default {allowed} are allowed until somebody refuses; {waiting} waits for a yes"
        in readme
    )
    assert reverse("admin:consent_purpose_changelist") in readme
