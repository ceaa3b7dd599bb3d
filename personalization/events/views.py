"""The HTTP doors of the log: Segment's calls, the batch, the pixel; a customer's timeline."""

import base64
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from rest_framework.mixins import ListModelMixin

from personalization.access import limits
from personalization.access import serve as access
from personalization.access.api import ApiViewSet
from personalization.access.serve import Caller
from personalization.consent import serve as consent
from personalization.events import agents, bodies, selectors
from personalization.events.engine import times
from personalization.events.ingestion import ingest
from personalization.events.models import LoggedEvent
from personalization.events.sending import Outcome, Sending
from personalization.events.timeline import TimelinePagination, TimelineSerializer
from personalization.lib import clock
from personalization.lib.http import json_response, wire_view

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


def single(kind: str) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of one kind of call; its body is the event itself."""

    @wire_view("POST")
    def view(request: HttpRequest) -> HttpResponse:
        caller = _key_of_headers(request)
        body = bodies.read(request)
        caller = caller or _admitted(request, bodies.text(body, "writeKey"))
        sending = _sending(request, caller, kind=kind)
        return _answer(ingest([body], sending))

    view.__name__ = kind
    return view


@wire_view("POST")
def batch(request: HttpRequest) -> HttpResponse:
    """Accept up to 500 events of any kind."""
    caller = _key_of_headers(request)
    body = bodies.read(request)
    caller = caller or _admitted(request, bodies.text(body, "writeKey"))
    items = bodies.batch(body)
    return _answer(ingest(items, _sending(request, caller, body=body)))


@wire_view("GET")
def pixel(request: HttpRequest) -> HttpResponse:
    """Accept one event from an image tag; answer the smallest GIF, never cached."""
    event = bodies.pixel(request.GET.get("data", ""))
    caller = _key_of_headers(request) or _admitted(request, bodies.text(event, "writeKey"))
    ingest([event], _sending(request, caller, ids_required=False))
    return HttpResponse(_GIF, content_type="image/gif", headers={"Cache-Control": "no-store"})


class TimelineViewSet(ListModelMixin, ApiViewSet):
    """A customer's events, newest first, whatever id they came with. Scope `customers:read`."""

    serializer_class = TimelineSerializer
    pagination_class = TimelinePagination
    scope_read = "customers:read"
    queryset = LoggedEvent.objects.none()

    def get_queryset(self) -> QuerySet[LoggedEvent]:
        """Return the events of the customer that the address names."""
        return selectors.events_of(self.kwargs["uuid"])


def _key_of_headers(request: HttpRequest) -> Caller | None:
    """Admit a caller before its body is read; None when no header carries a key."""
    meta = request.META
    if "HTTP_AUTHORIZATION" in meta or "HTTP_X_API_KEY" in meta:
        return _admitted(request, "")
    return None


def _admitted(request: HttpRequest, body_key: str) -> Caller:
    caller = access.authenticate(request, body_key=body_key)
    caller.require("events:write")
    limits.check(caller, access.address_of(request))
    return caller


def _sending(
    request: HttpRequest,
    caller: Caller,
    *,
    kind: str = "",
    body: dict[str, Any] | None = None,
    ids_required: bool = True,
) -> Sending:
    """Return what the call knows. A secret key's peer is the shop's server, not the visitor."""
    shared = body or {}
    sent_text = bodies.text(shared, "sentAt") or None
    meta = {} if caller.secret else request.META
    return Sending(
        caller=caller,
        received_at=clock.now(),
        kind=kind,
        sent_at=times.parsed(sent_text) if sent_text else None,
        sent_text=sent_text,
        context=shared.get("context") or {},
        user_token=bodies.text(shared, "userToken") or None,
        gpc=consent.gpc(request),
        address=access.address_of(request) if meta else "",
        user_agent=meta.get("HTTP_USER_AGENT", "")[: agents.MAX_LENGTH],
        country=meta.get(_COUNTRY, ""),
        region=meta.get(_REGION, ""),
        ids_required=ids_required,
    )


def _answer(outcome: Outcome) -> HttpResponse:
    body: dict[str, Any] = {
        "success": True,
        "accepted": outcome.accepted,
        "duplicates": outcome.duplicates,
        "withheld": outcome.withheld,
        "rejected": [
            {
                "index": one.index,
                "messageId": one.message_id,
                "problems": [
                    {"path": fault.path, "problem": fault.problem} for fault in one.problems
                ],
            }
            for one in outcome.rejected
        ],
    }
    return json_response(body | {"bot": outcome.bots} if outcome.bots else body)


def _meta_name(header: str) -> str:
    return f"HTTP_{header.upper().replace('-', '_')}"


_COUNTRY = _meta_name(settings.GEO_COUNTRY_HEADER)
_REGION = _meta_name(settings.GEO_REGION_HEADER)
