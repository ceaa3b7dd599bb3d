"""The wire passes by what serves people; pages and sessions do not."""

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core import checks
from django.http import HttpRequest
from django.test import Client

from personalization.demo import state
from personalization.demo.engine.traffic import Plan
from personalization.lib import clock
from personalization.lib.backoffice import on_wire
from personalization.ops.models import JobRun

_OF_PAGES = ("Content-Security-Policy", "X-Frame-Options")
_OF_ALL = ("X-Content-Type-Options", "X-Request-ID", "Referrer-Policy", "Content-Length")


def _request(path: str, cookies: str = "") -> HttpRequest:
    request = HttpRequest()
    request.path_info = path
    request.META["HTTP_COOKIE"] = cookies
    return request


@pytest.mark.parametrize(
    ("path", "cookies", "expected"),
    [
        ("/v1/batch", "", True),
        ("/ofrep/v1/evaluate/flags", "", True),
        ("/v1/decide", "_ga=1; theme=dark", True),
        ("/v1/decide", "_ga=1; sessionid=abc", False),
        ("/api/products/", "", False),
        ("/admin/", "", False),
        ("/v1", "", False),
    ],
)
def test_on_wire__path_and_cookies__only_calls_without_a_session(
    path: str, cookies: str, expected: bool
) -> None:
    assert on_wire(_request(path, cookies)) is expected


@pytest.mark.django_db
def test_wire__call_without_session__carries_headers_of_answers_alone() -> None:
    response = Client().post("/v1/batch", b"{}", content_type="application/json")

    assert [name for name in _OF_ALL if name not in response] == []
    assert [name for name in _OF_PAGES if name in response] == []


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/api/products/"])
def test_back_office__any_call__is_protected(path: str) -> None:
    response = Client().get(path)

    assert [name for name in (*_OF_ALL, *_OF_PAGES) if name not in response] == []


def _directives(header: str) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in header.split(";"))
    return {name: sources for name, _, sources in parts}


@pytest.mark.parametrize("path", ["/admin/", "/admin/segments/segment/", "/shop/", "/api/docs/"])
def test_page__content_policy__own_files_alone_and_nothing_unsafe(
    admin_client: Client, path: str
) -> None:
    JobRun.objects.create(
        kind=state.KIND,
        slot=state.SLOT,
        params=state.params_of(Plan(seed=4, end_us=1_795_000_000_000_000)),
        created_at=clock.now(),
    )

    response = admin_client.get(path)

    header = response["Content-Security-Policy"]
    policy = _directives(header)
    assert response.status_code == 200
    assert "unsafe" not in header
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"


@pytest.mark.django_db
def test_back_office__form_without_token__is_refused() -> None:
    response = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "a"})

    assert response.status_code == 403


@pytest.mark.django_db
def test_wire__staff_session__is_known_to_the_view() -> None:
    client = Client()
    viewer = User.objects.create_user("staff", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client.force_login(viewer)

    response = client.post("/v1/decide", b"{}", content_type="application/json")

    # Past the key: staff need none; the body has faults.
    assert response.status_code == 400


def test_wire__unknown_host__is_refused() -> None:
    response = Client().post(
        "/v1/batch", b"{}", content_type="application/json", headers={"host": "evil.example"}
    )

    assert response.status_code == 400


def test_middleware__admin_checks__find_what_the_admin_needs() -> None:
    found = [fault.id for fault in checks.run_checks(tags=["admin"])]

    assert found == []
    assert settings.MIDDLEWARE.index("personalization.lib.backoffice.Sessions") < (
        settings.MIDDLEWARE.index("personalization.lib.backoffice.Authentication")
    )
