"""`/metrics` for Prometheus; `/api/jobs/`: runs of long work, how far they are."""

import hmac
import os
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet
from personalization.access.authentication import actor_of
from personalization.lib import errors
from personalization.lib.http import wire_view
from personalization.monitoring import metricfiles
from personalization.monitoring.serializers import JobRunSerializer
from personalization.ops import services as jobs
from personalization.ops.errors import JobStateWrong
from personalization.ops.models import JobRun


@wire_view("GET")
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the counts of all processes of this machine in Prometheus' text format.

    Raises
    ------
    Forbidden
        The caller has no METRICS_TOKEN and is not on this machine.
    """
    if not _may_read(request):
        msg = "send Authorization: Bearer METRICS_TOKEN, or scrape from this machine"
        raise errors.Forbidden(msg)
    return HttpResponse(_text(), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    """Whether the caller shows the token; without one set, whether it sits on this machine."""
    token = settings.METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(given.encode(), token.encode())
    # A proxy on this machine makes every visitor look local; it names them here.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    peer = request.META.get("REMOTE_ADDR", "")
    # No address: a Unix socket, whose file rights decide.
    return peer == "" or _is_loopback(peer)


def _is_loopback(peer: str) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    loopback: bool = address.is_loopback
    return loopback


def _text() -> bytes:
    """Return what all processes of this machine have counted; without shared files, this one."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder is None:
        return generate_latest(REGISTRY)
    with metricfiles.read(Path(folder)) as registry:
        return generate_latest(registry)


class JobRunViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Runs of long work, by id. Scope of a key: `admin`. Publishers cancel and resume."""

    # Here and not in the ops room, whose floor lies below the one that knows callers.
    queryset = JobRun.objects.all()
    serializer_class = JobRunSerializer

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask a run to stop at its next step."""
        run = self.get_object()
        if not jobs.request_cancel(run.pk, actor=actor_of(request)):
            msg = f"run {pk} is {run.status}; there is nothing to stop"
            raise JobStateWrong(msg)
        run.refresh_from_db()
        return Response(self.get_serializer(run).data)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Let a failed, cancelled or silent run go on."""
        run = jobs.resume(self.get_object().pk, actor=actor_of(request))
        return Response(self.get_serializer(run).data)
