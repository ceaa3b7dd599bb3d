"""Programs get JSON at every address below theirs, also where no view answers."""

from typing import Any

import orjson
import pytest
from django.test import Client, RequestFactory
from rest_framework.exceptions import ParseError
from rest_framework.request import Request

from personalization.lib import http
from personalization.lib.pagination import KeyCursorPagination
from personalization.ops.models import JobRun


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/v1/none", "/api/jobs/0.5/", "/api/none/", "/ofrep/v2/x"])
def test_not_found__address_of_programs__one_error_shape(path: str) -> None:
    answer = Client().get(path)

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/json")
    assert orjson.loads(answer.content)["error"]["code"] == "not_found"


@pytest.mark.django_db
def test_not_found__address_of_people__a_page() -> None:
    answer = Client().get("/shop/none/")

    assert (answer.status_code, answer["Content-Type"][:9]) == (404, "text/html")


@pytest.mark.parametrize(("path", "kind"), [("/v1/decide", "application/json"), ("/shop/", "text")])
def test_failed__view_raised__says_so_without_traceback(path: str, kind: str) -> None:
    answer = http.failed(RequestFactory().get(path))

    assert answer.status_code == 500
    assert answer["Content-Type"].startswith(kind)
    assert b"Traceback" not in answer.content


@pytest.mark.parametrize(
    "query",
    [
        *({"cursor": cursor} for cursor in ("gauge", "\0", "cD0x\n", "é")),
        *({"page_size": size} for size in ("0", "-1", "1e9", "ten", "²", "9" * 10)),
    ],
    ids=repr,
)
def test_page__none_of_ours__malformed(rf: Any, query: dict[str, str]) -> None:
    asked = Request(rf.get("/api/jobs/", query))

    with pytest.raises(ParseError):
        KeyCursorPagination().paginate_queryset(JobRun.objects.all(), asked)
