"""Requests made from the schema of the whole interface: no 5xx, answers as the schema tells them.

Schemathesis makes both requests that fit the schema and requests that break it.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from personalization.access.services import create_key

Case = schemathesis.Case[Any]
pytestmark = pytest.mark.django_db

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _below(*roots: str) -> schemathesis.BaseSchema:
    drawn: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # untyped
    drawn["paths"] = {path: item for path, item in drawn["paths"].items() if path.startswith(roots)}
    loaded = schemathesis.openapi.from_dict(drawn)
    loaded.app = WSGIHandler()
    return loaded


storefront = _below("/v1", "/ofrep")
back_office = _below("/api")
# analytics.js' short paths lead to the very views of the long ones.
_LONG = storefront.exclude(path_regex=r"^/v1/[tipsgab]$")


@pytest.fixture(autouse=True)
def _one_transaction() -> Iterator[None]:
    """Keep the test's connection over requests, as Django's own test client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def key() -> str:
    """Return a secret key: it may ask for everything."""
    return create_key(name="fuzz", kind="secret", actor="test")[1]


def conforms(case: Case, key: str) -> None:
    """Assert that the server answers the case as the schema tells."""
    case.call_and_validate(
        headers={"Authorization": f"Bearer {key}", "Host": "localhost"}, checks=CHECKS
    )


@_LONG.parametrize()
@settings(settings.get_profile("fuzz"), max_examples=8)
def test_schema__requests_made_from_it__are_answered_as_it_tells(case: Case, key: str) -> None:
    conforms(case, key)


@back_office.parametrize()
@settings(settings.get_profile("fuzz"), max_examples=4)
def test_schema__back_office__is_answered_as_it_tells(case: Case, key: str) -> None:
    conforms(case, key)


@pytest.mark.deep
@back_office.parametrize()
@settings(settings.get_profile("fuzz"), max_examples=60)
def test_schema__back_office_many__are_answered_as_it_tells(case: Case, key: str) -> None:
    conforms(case, key)


@pytest.mark.deep
@storefront.parametrize()
@settings(settings.get_profile("fuzz"), max_examples=150)
def test_schema__many_requests_made_from_it__are_answered_as_it_tells(case: Case, key: str) -> None:
    conforms(case, key)
