"""`/v1/consent`: the caller's own purposes. Scope `consent`; throttle `access.limits`.

With a public key a user id counts only when proven; else the call is about its anonymous id alone.
"""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from personalization.access import limits
from personalization.access.serve import Caller, address_of, authenticate, proven
from personalization.consent import errors, wire
from personalization.consent.selectors import resolved
from personalization.consent.serve import gpc, purposes
from personalization.consent.services import record
from personalization.customers.models import Identity
from personalization.customers.services import create_identities, log_in
from personalization.lib import clock
from personalization.lib.errors import Malformed
from personalization.lib.http import json_response, read_json, refuse_unknown, wire_view

# Ids, a token and fifteen purposes fit many times.
_MAX_BYTES = 32 * 1024
_QUERY = frozenset({"userId", "userToken", "anonymousId", "writeKey"})


@wire_view("GET", "POST")
def consent(request: HttpRequest) -> HttpResponse:
    """Answer the caller's purposes; with POST, after writing down what it says."""
    return _set(request) if request.method == "POST" else _get(request)


def _get(request: HttpRequest) -> HttpResponse:
    caller = _admit(request, request.GET.get("writeKey", ""))
    refuse_unknown(request.GET, _QUERY)
    ids = wire.parse_ids({name: request.GET.get(name) for name in _QUERY})
    subject = _subject(caller, ids)
    found = resolved([subject]).get(subject)
    said = (found.granted, found.denied) if found else (0, 0)
    return _answer(request, subject, said)


def _set(request: HttpRequest) -> HttpResponse:
    data = read_json(request, max_bytes=_MAX_BYTES)
    key = data.get("writeKey") if isinstance(data, dict) else ""
    caller = _admit(request, key if isinstance(key, str) else "")
    statement = wire.parse_statement(data)
    subject = _subject(caller, statement.ids)
    now = clock.now()
    if subject[0] == Identity.Kind.USER and statement.ids.anonymous_id:
        # The proven user speaks on this device: its words must hold after a log-out, too.
        device = (Identity.Kind.ANONYMOUS, statement.ids.anonymous_id)
        create_identities([subject, device], now=now)
        log_in(user=subject[1], device=device[1], now=now)
    said = record(
        identity=subject,
        purposes=statement.purposes,
        source=statement.source,
        policy_version=statement.policy_version,
        now=now,
    )
    return _answer(request, subject, said)


def _admit(request: HttpRequest, body_key: str) -> Caller:
    caller = authenticate(request, body_key=body_key)
    caller.require("consent")
    limits.check(caller, address_of(request))
    return caller


def _subject(caller: Caller, ids: wire.Ids) -> tuple[int, str]:
    """Return the identity that the call is about: the proven user id, else the anonymous id."""
    if ids.user_id and proven(caller, ids.user_id, ids.user_token, now=clock.now()):
        return (Identity.Kind.USER, ids.user_id)
    if ids.anonymous_id:
        return (Identity.Kind.ANONYMOUS, ids.anonymous_id)
    if ids.user_id:
        msg = (
            "the userId is not proven: send the userToken made by the shop's server, or anonymousId"
        )
        raise errors.IdentityNotProven(msg)
    msg = "send anonymousId, or userId with userToken"
    raise Malformed(msg)


def _answer(request: HttpRequest, subject: tuple[int, str], said: tuple[int, int]) -> HttpResponse:
    granted, denied = said
    known = purposes()
    mask = known.in_force(granted, denied, gpc=gpc(request))
    kind, value = subject
    name = "userId" if kind == Identity.Kind.USER else "anonymousId"
    body: Mapping[str, Any] = {
        name: value,
        "purposes": {p.key: bool(mask & p.mask) for p in known.all},
        "stated": {p.key: bool(granted & p.mask) for p in known.all if p.mask & (granted | denied)},
        "gpc": gpc(request),
    }
    response = json_response(body)
    response["Cache-Control"] = "no-store"
    return response
