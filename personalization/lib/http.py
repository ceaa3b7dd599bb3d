"""The HTTP border: JSON in and out, one error shape, the only place that chooses a status code."""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as drf
from rest_framework.response import Response

from personalization.lib import errors
from personalization.lib.errors import AppError, Problem
from personalization.lib.storable import utterable

log = structlog.get_logger("lib")

STATUS: dict[type[AppError], int] = {
    errors.Malformed: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unprocessable: 422,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}
View = Callable[..., HttpResponse]
# Below these addresses programs ask: every answer is JSON, that of no view included.
_MACHINE_ROOTS = ("/v1/", "/api/", "/ofrep/")


def status_of(error: AppError) -> int:
    """HTTP status of an error: that of its nearest class in the table, 400 for a bare AppError."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 400)


def json_response(data: Any, *, status: int = 200) -> HttpResponse:
    """Answer `data` as JSON; dataclasses, datetimes, UUIDs and NumPy scalars included."""
    body = orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
    return HttpResponse(body, status=status, content_type="application/json")


def error_body(error: AppError) -> dict[str, Any]:
    """Return the one error shape (docs/api.md, Errors); it may quote whatever was sent."""
    details = [
        {"path": utterable(one.path), "problem": utterable(one.problem)} for one in error.details
    ]
    return {"error": {"code": error.code, "message": utterable(error.message), "details": details}}


def error_response(error: AppError) -> HttpResponse:
    """Answer an error in the one shape, with the headers of `error_headers`."""
    return HttpResponse(
        orjson.dumps(error_body(error)),
        status=status_of(error),
        content_type="application/json",
        headers=error_headers(error),
    )


def error_headers(error: AppError) -> dict[str, str]:
    """Return Retry-After where waiting helps, and how to present a key where one is missing."""
    headers = {}
    if status_of(error) == HTTPStatus.UNAUTHORIZED:
        # RFC 9110, 15.5.2: a 401 must say which scheme would do.
        headers["WWW-Authenticate"] = "Bearer"
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return headers


def wire_view(*methods: str) -> Callable[[View], View]:
    """Make a plain view one of `/v1`: its methods, errors in our shape, 503 without PostgreSQL."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                refused = error_response(
                    AppError(f"use {' or '.join(methods)}", code="method_not_allowed")
                )
                refused.status_code = 405
                refused["Allow"] = ", ".join(methods)
                return refused
            try:
                return view(request, *args, **kwargs)
            except AppError as error:
                return error_response(error)
            except (OperationalError, InterfaceError) as error:
                log.warning("http.store_unavailable", error=type(error).__name__)
                return error_response(
                    errors.Unavailable("the store is away; nothing was accepted; send it again")
                )

        return wrapped

    return decorate


def read_json(request: HttpRequest, *, max_bytes: int) -> Any:
    """Return the request's JSON (gzip accepted, any content type), or raise naming the fault.

    Raises
    ------
    TooLarge
        More than `max_bytes`, before or after decompression; a bomb is not unpacked further.
    Malformed
        Not UTF-8 JSON, or nested deeper than 1,024 levels.
    """
    return parse_json(read_body(request, max_bytes=max_bytes))


def read_body(request: HttpRequest, *, max_bytes: int) -> bytes:
    """Return the request's body, unpacked, at most `max_bytes` long."""
    try:
        announced = int(request.headers.get("Content-Length") or 0)
    except ValueError as error:
        msg = "Content-Length is not a number"
        raise errors.Malformed(msg) from error
    if announced > max_bytes:
        raise errors.TooLarge(_too_large(max_bytes))
    body = request.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise errors.TooLarge(_too_large(max_bytes))
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        msg = f"Content-Encoding {encoding[:20]!r} is not supported; use gzip or none"
        raise errors.Malformed(msg)
    return _gunzip(body, max_bytes)


def refuse_unknown(given: Iterable[str], known: Collection[str]) -> None:
    """Raise Malformed naming every query parameter that is not among `known`."""
    problems = [
        Problem(name[:60], "is not a parameter of this address")
        for name in sorted(given)
        if name not in known
    ]
    if problems:
        msg = f"unknown query parameters; known are {', '.join(sorted(known))}"
        raise errors.Malformed(msg, details=problems)


def parse_json(body: bytes) -> Any:
    """Parse UTF-8 JSON, at most 1,024 levels deep; `nested_deeper` checks finer limits."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        msg = f"not valid JSON: {error}"
        raise errors.Malformed(msg) from error


def nested_deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects in `value` are nested more than `levels` deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(
        nested_deeper(v, levels - 1) for v in value if isinstance(v, dict | list)
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer an address that leads nowhere (`handler404`)."""
    if request.path.startswith(_MACHINE_ROOTS):
        return error_response(errors.NotFound("there is nothing at this address"))
    return defaults.page_not_found(request, exception)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer for a view that raised (`handler500`): the log has the traceback, the caller not."""
    if request.path.startswith(_MACHINE_ROOTS):
        fault = AppError("the server failed; the fault is logged", code="server_error")
        return json_response(error_body(fault), status=500)
    return defaults.server_error(request)


def _too_large(max_bytes: int) -> str:
    return f"the body is larger than {max_bytes} bytes; send smaller batches"


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    unpack = zlib.decompressobj(wbits=31)
    try:
        data = unpack.decompress(body, max_bytes + 1)
    except zlib.error as error:
        msg = "Content-Encoding says gzip, the body is not"
        raise errors.Malformed(msg) from error
    if len(data) > max_bytes:
        raise errors.TooLarge(_too_large(max_bytes))
    if not unpack.eof:
        msg = "the gzip body is cut short"
        raise errors.Malformed(msg)
    return data


_DJANGO_ERRORS: dict[type[Exception], Callable[[], AppError]] = {
    OperationalError: lambda: errors.Unavailable("the store is away; send it again"),
    InterfaceError: lambda: errors.Unavailable("the store is away; send it again"),
    RequestDataTooBig: lambda: errors.TooLarge(_too_large(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)),
}
_DRF_ERRORS: tuple[tuple[type[Exception], type[AppError]], ...] = (
    (drf.NotAuthenticated, errors.Unauthorized),
    (drf.AuthenticationFailed, errors.Unauthorized),
    (drf.PermissionDenied, errors.Forbidden),
    (drf.NotFound, errors.NotFound),
    (Http404, errors.NotFound),
    (drf.ParseError, errors.Malformed),
    (drf.ValidationError, errors.Unprocessable),
)


def drf_exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn what `/api` views raise into the one error shape. DRF calls it (EXCEPTION_HANDLER)."""
    known = _as_app_error(error)
    if known is None:
        return None
    status = (
        getattr(error, "status_code", None)
        if isinstance(error, drf.MethodNotAllowed | drf.UnsupportedMediaType)
        else None
    )
    return Response(
        error_body(known), status=status or status_of(known), headers=error_headers(known)
    )


def _as_app_error(error: Exception) -> AppError | None:
    if isinstance(error, AppError):
        return error
    for kind, told in _DJANGO_ERRORS.items():
        if isinstance(error, kind):
            return told()
    if isinstance(error, drf.Throttled):
        wait_s = getattr(error, "wait", None)
        return errors.TooManyRequests("too many requests", retry_after_s=int(wait_s or 1))
    for kind, ours in _DRF_ERRORS:
        if isinstance(error, kind):
            detail = getattr(error, "detail", str(error))
            return ours(_words(detail), details=tuple(_problems(detail)))
    if isinstance(error, drf.APIException):
        return AppError(_words(error.detail), code=str(error.default_code))
    return None


def _words(detail: Any) -> str:
    return "the input is not valid" if isinstance(detail, dict | list) else str(detail)


def _problems(detail: Any, path: str = "") -> list[Problem]:
    if isinstance(detail, dict):
        return [
            p
            for key, value in detail.items()
            for p in _problems(value, f"{path}.{key}" if path else str(key))
        ]
    if isinstance(detail, list):
        nested = any(isinstance(value, dict | list) for value in detail)
        return [
            p
            for i, value in enumerate(detail)
            for p in _problems(value, f"{path}[{i}]" if nested else path)
        ]
    return [Problem(path, str(detail))] if path else []
