"""The schema tells of every address that is served, and nothing in it points nowhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern
from drf_spectacular.generators import SchemaGenerator

from personalization.access.services import create_key
from personalization.decisions.urls import ofrep
from personalization.demo.shelves import publish_shelves
from personalization.openapi import wire_paths
from personalization.ops import serve as config
from personalization.urls import wire


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """The whole schema, as `/api/schema/` gives it."""
    drawn: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped
    return drawn


def _served() -> set[str]:
    patterns = [("/v1/", one) for one in wire] + [("/ofrep/v1/", one) for one in ofrep]
    assert all(isinstance(one, URLPattern) for _, one in patterns)
    return {re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", f"{root}{one.pattern}") for root, one in patterns}


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_wire_paths__all_apps__are_the_addresses_served() -> None:
    assert set(wire_paths()) == _served()


@pytest.mark.django_db
@pytest.mark.parametrize("path", sorted(_served()))
def test_wire_paths__methods__are_those_served(path: str, client: Client) -> None:
    address = re.sub(r"{\w+}", "x", path)

    allowed = {
        method for method in ("get", "post") if getattr(client, method)(address).status_code != 405
    }

    assert allowed == set(wire_paths()[path])


def _bodies() -> Iterator[tuple[str, str, Any]]:
    """(path, media type, what the explorer offers) of each body of the wire."""
    for path, item in wire_paths().items():
        for media, content in (
            item.get("post", {}).get("requestBody", {}).get("content", {}).items()
        ):
            yield path, media, content.get("example")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["public", "secret"])
@pytest.mark.parametrize(("path", "media", "example"), list(_bodies()))
def test_wire_paths__example_of_a_body__is_accepted_as_it_stands(
    path: str, media: str, example: Any, kind: str, client: Client
) -> None:
    publish_shelves(actor="t")
    config.reload()
    _, key = create_key(name="explorer", kind=kind, actor="t")

    answer = client.post(
        path.replace("{key}", "none"),
        json.dumps(example),
        content_type=media,
        headers={"Authorization": f"Bearer {key}"},
    )

    told = answer.json()
    # no flags are configured: one that is unknown was asked for in the right way
    accepted = 404 if "{key}" in path else 200
    assert answer.status_code == accepted, told
    assert told.get("errorCode") in {None, "FLAG_NOT_FOUND"}
    assert not told.get("rejected")
    assert not [one for one in told.get("placements", {}).values() if "error" in one]


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1/track", "/v1/batch"])
def test_wire_paths__example_of_an_event_sent_twice__counts_twice(
    path: str, client: Client
) -> None:
    _, key = create_key(name="explorer", kind="secret", actor="t")
    example = next(found for one, _, found in _bodies() if one == path)

    told = [
        client.post(
            path,
            example,
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        ).json()["duplicates"]
        for _ in range(2)
    ]

    assert told == [0, 0]


def test_schema__references__all_resolve(schema: dict[str, Any]) -> None:
    for reference in _references(schema):
        node = schema
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_schema__security__names_declared_schemes_one_at_a_time(schema: dict[str, Any]) -> None:
    declared = schema["components"]["securitySchemes"]
    for item in schema["paths"].values():
        for operation in item.values():
            for requirement in operation["security"]:
                assert len(requirement) <= 1
                assert requirement.keys() <= declared.keys()


def test_schema__api__every_operation_tells_how_it_refuses(schema: dict[str, Any]) -> None:
    error = {"$ref": "#/components/schemas/Error"}
    for path, item in schema["paths"].items():
        for operation in item.values():
            told = operation["responses"]
            assert {"400", "401", "403", "429", "503"} <= told.keys(), path
            assert told["401"]["content"]["application/json"]["schema"] == error


def test_schema__every_operation__has_a_summary_and_a_group_that_is_told(
    schema: dict[str, Any],
) -> None:
    told = [tag["name"] for tag in schema["tags"]]
    operations = [one for item in schema["paths"].values() for one in item.values()]

    assert told[:4] == ["Decide", "Recommendations", "Events", "Consent"]
    assert {tag for one in operations for tag in one["tags"]} == set(told)
    for one in operations:
        assert 0 < len(one["summary"]) < 100, one["operationId"]


@pytest.mark.parametrize(
    ("path", "method", "summary"),
    [
        ("/api/blocks/", "get", "List blocks"),
        ("/api/blocks/{key}/", "get", "Read one of the blocks"),
        ("/api/customers/", "get", "List customers, oldest first"),
        ("/api/models/{id}/promote/", "post", "Have this version serve"),
        ("/v1/track", "post", "Something happened"),
    ],
)
def test_schema__summary__first_words_of_what_it_does(
    schema: dict[str, Any], path: str, method: str, summary: str
) -> None:
    assert schema["paths"][path][method]["summary"] == summary
