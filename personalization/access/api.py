"""The base of every `/api` view set: unknown parameters are refused, writes may be repeated."""

import json
from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.exceptions import ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer, Serializer
from rest_framework.viewsets import GenericViewSet

from personalization.access import idempotency
from personalization.access.authentication import actor_of
from personalization.lib import clock
from personalization.lib.errors import Malformed, NotFound
from personalization.lib.http import refuse_unknown
from personalization.lib.storable import is_storable, shown, unstorable

# What pagination and content negotiation read on every list.
_EVERYWHERE = frozenset({"cursor", "page_size", "format"})
# Of members that are no field: a body of 2 MB may have a hundred thousand, each told in a line.
_MOST_TOLD = 50


class _Answered(Exception):  # noqa: N818 -- not a fault: the way out of DRF's dispatch
    """The write was done before; this is what was answered."""

    def __init__(self, answer: idempotency.Answer) -> None:
        super().__init__()
        self.answer = answer


class ApiViewSet(GenericViewSet):  # type: ignore[type-arg]  # not generic at run time
    """Add to it what `RolePermission` reads, and `query_parameters` that the view understands."""

    query_parameters: frozenset[str] = frozenset()
    _slot: idempotency.Slot | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer the request; with Idempotency-Key, write and answer are one transaction."""
        if request.method in SAFE_METHODS or not request.headers.get("Idempotency-Key"):
            return super().dispatch(request, *args, **kwargs)
        with transaction.atomic():
            response = super().dispatch(request, *args, **kwargs)
            if response.status_code >= 400:  # noqa: PLR2004 -- HTTP's own border
                transaction.set_rollback(True)
            elif self._slot is not None:
                self._keep(response, self._slot)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then the address, then whether this write was answered before."""
        super().initial(request, *args, **kwargs)
        if not all(is_storable(str(part)) for part in kwargs.values()):
            # PostgreSQL would not even look for it
            msg = "there is nothing at this address"
            raise NotFound(msg)
        refuse_unknown(request.query_params, self.query_parameters | _EVERYWHERE)
        if faults := list(unstorable(request.query_params.dict())):
            msg = f"{', '.join(one.path for one in faults)}: no parameter holds NUL"
            raise Malformed(msg, details=faults)
        key = request.headers.get("Idempotency-Key", "")
        if not key or request.method in SAFE_METHODS:
            return
        wanted = idempotency.slot(
            actor=actor_of(request),
            key=key,
            method=str(request.method),
            path=request.get_full_path(),
            body=request._request.body,
        )
        answered = idempotency.claim(wanted)
        if answered is not None:
            raise _Answered(answered)
        self._slot = wanted

    def handle_exception(self, exc: Exception) -> Response:
        """Answer again what was answered before; anything else is DRF's, as JSON always.

        Also where lines were asked for.
        """
        self.request.accepted_renderer = JSONRenderer()
        self.request.accepted_media_type = JSONRenderer.media_type
        if isinstance(exc, _Answered):
            data = json.loads(exc.answer.body) if exc.answer.body else None
            return Response(data, status=exc.answer.status, headers={"Idempotent-Replay": "true"})
        return super().handle_exception(exc)

    def _keep(self, response: HttpResponseBase, used: idempotency.Slot) -> None:
        data = getattr(response, "data", None)
        body = "" if data is None else JSONRenderer().render(data).decode()
        idempotency.keep(used, status=response.status_code, body=body, now=clock.now())


def typed(serializer: "BaseSerializer[Any]") -> dict[str, Any]:
    """Return the typed fields of a body that a serializer was made of.

    Raises
    ------
    ValidationError
        Names every fault, and members that are no field, of very many the first few: a misspelt
        one would be lost in silence.
    """
    assert isinstance(serializer, Serializer)  # noqa: S101 -- narrows the type
    sent, known = serializer.initial_data, serializer.fields
    faults = {} if serializer.is_valid() else dict(serializer.errors)
    if isinstance(sent, Mapping):
        unknown = f"is not known; known are {', '.join(known)}"
        strange = sorted(sent.keys() - known.keys())[:_MOST_TOLD]
        faults |= {shown(name): [unknown] for name in strange}
    if faults:
        raise ValidationError(faults)
    return dict(serializer.validated_data)
