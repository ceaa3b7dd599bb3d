"""The doors of the decision API: `/v1/decide`, `/v1/recommendations`, and OFREP for flags.

Scope `decide`; throttle `access.limits`. With a public key a user id counts only when proven.
"""

from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from personalization.access import limits
from personalization.access.engine import roles
from personalization.access.errors import KeyMissing
from personalization.access.serve import Caller, address_of, authenticate
from personalization.access.staff import role_of
from personalization.consent.serve import gpc
from personalization.decisions import errors, record, serve, wire
from personalization.lib import clock
from personalization.lib.errors import Malformed
from personalization.lib.http import json_response, nested_deeper, read_json, wire_view

# Fifty placements with long lists fit; so does the largest page context.
_MAX_BYTES = 128 * 1024
_MAX_LEVELS = 10


@wire_view("POST")
def decide(request: HttpRequest) -> HttpResponse:
    """Answer every placement and flag that the page asks for."""
    data = _body(request)
    caller = _admit(request, data)
    ask = wire.parse_ask(data)
    _check_explain(request, caller, explain=ask.explain)
    decision = serve.decide(ask, caller, gpc=gpc(request), now=clock.now())
    record.keep(decision)
    return _answered(serve.answer(decision))


@wire_view("GET")
def recommendations(request: HttpRequest, strategy: str) -> HttpResponse:
    """Answer one strategy."""
    query: QueryDict = request.GET
    caller = _admit(request, {"writeKey": query.get("writeKey")})
    flat = {name: str(query[name]) for name in query}
    lists = {name: [str(value) for value in query.getlist(name)] for name in ("exclude", "items")}
    ask = wire.parse_query(strategy, flat, lists)
    _check_explain(request, caller, explain=ask.explain)
    decision = serve.recommend(ask, caller, gpc=gpc(request), now=clock.now())
    record.keep(decision)
    return _answered(serve.direct_answer(decision))


@wire_view("POST")
def evaluate_flag(request: HttpRequest, key: str) -> HttpResponse:
    """Answer one flag by OFREP: no flags are configured, so that each is unknown."""
    data = _body(request)
    _admit(request, data)
    fault = _context_fault(data)
    if fault:
        return json_response({"key": key} | fault, status=400)
    body = {
        "key": key,
        "errorCode": "FLAG_NOT_FOUND",
        "errorDetails": f"flag {key[:100]!r} does not exist",
    }
    return json_response(body, status=404)


@wire_view("POST")
def evaluate_flags(request: HttpRequest) -> HttpResponse:
    """Answer every flag by OFREP; 304 when the caller has this very answer."""
    data = _body(request)
    _admit(request, data)
    fault = _context_fault(data)
    if fault:
        return json_response(fault, status=400)
    response = json_response({"flags": []})
    etag = f'"{sha256(response.content).hexdigest()[:32]}"'
    if etag in _etags(request):
        response = HttpResponse(status=304)
    response["ETag"] = etag
    return response


def _body(request: HttpRequest) -> Any:
    data = read_json(request, max_bytes=_MAX_BYTES)
    if nested_deeper(data, _MAX_LEVELS):
        msg = f"the body is nested deeper than {_MAX_LEVELS} levels"
        raise Malformed(msg)
    return data


def _admit(request: HttpRequest, data: Any) -> Caller | None:
    """Return who calls; None for signed-in staff without a key."""
    key = data.get("writeKey") if isinstance(data, dict) else None
    try:
        caller = authenticate(request, body_key=key if isinstance(key, str) else "")
    except KeyMissing:
        if _staff(request):
            return None
        raise
    caller.require("decide")
    limits.check(caller, address_of(request))
    return caller


def _check_explain(request: HttpRequest, caller: Caller | None, *, explain: bool) -> None:
    if not explain or caller is None or caller.secret or _staff(request):
        return
    msg = "explain shows inner workings; ask with a secret key or signed in as staff"
    raise errors.ExplainForbidden(msg)


def _staff(request: HttpRequest) -> bool:
    return roles.allows(role_of(getattr(request, "user", None)), "viewer")


def _answered(body: dict[str, Any]) -> HttpResponse:
    response = json_response(body)
    response["Cache-Control"] = "no-store"
    return response


def _context_fault(data: Any) -> dict[str, str] | None:
    """Return the OFREP error of a body without a usable context, if any."""
    if not isinstance(data, dict) or not isinstance(data.get("context"), dict):
        return {"errorCode": "INVALID_CONTEXT", "errorDetails": "send an object with context"}
    unit = data["context"].get("targetingKey")
    if unit is None or unit == "":
        details = "context.targetingKey is missing"
        return {"errorCode": "TARGETING_KEY_MISSING", "errorDetails": details}
    if not isinstance(unit, str) or len(unit) > 255 or "\x00" in unit:  # noqa: PLR2004 -- an id
        details = "context.targetingKey is a text of at most 255 characters without NUL"
        return {"errorCode": "INVALID_CONTEXT", "errorDetails": details}
    return None


def _etags(request: HttpRequest) -> set[str]:
    given = request.headers.get("If-None-Match", "")
    return {tag.strip().removeprefix("W/") for tag in given.split(",")}
