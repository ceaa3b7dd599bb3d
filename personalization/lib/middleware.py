"""Binds a request id for logs and answers, and forgets it afterwards."""

import re
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

# What a caller may hand in as X-Request-ID; anything else gets a fresh one: no forged logs.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,36}")


class RequestContextMiddleware:
    """Give each request an id: the caller's `X-Request-ID` where it is sane, else a new one."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer with the id in `X-Request-ID`, bound to every log line on the way."""
        given = request.headers.get("X-Request-ID", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self._get_response(request)
        response["X-Request-ID"] = request_id
        return response
