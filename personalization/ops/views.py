"""`/api/jobs/`: runs of long work, how far they are; cancel and resume."""

from typing import Any

from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from personalization.lib.http import refuse_unknown
from personalization.ops import errors, services
from personalization.ops.models import JobRun

_QUERY = frozenset({"cursor", "page_size", "format"})


class JobRunSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]  # not generic at run time
    """One run."""

    class Meta:
        model = JobRun
        fields = (
            "id", "kind", "slot", "status", "params", "done", "total", "checkpoint", "result",
            "error", "cancel_requested", "created_at", "started_at", "heartbeat_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class JobRunViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    GenericViewSet,  # type: ignore[type-arg]  # not generic at run time
):
    """Runs, by id. Scope of a key: `admin`. Staff: viewers read, publishers cancel and resume."""

    queryset = JobRun.objects.all()
    serializer_class = JobRunSerializer
    role_write = "publisher"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check the caller, then the query."""
        super().initial(request, *args, **kwargs)
        refuse_unknown(request.query_params, _QUERY)

    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        """Ask a run to stop at its next step."""
        run = self.get_object()
        if not services.request_cancel(run.pk, actor=_actor(request)):
            msg = f"run {pk} is {run.status}; there is nothing to stop"
            raise errors.JobStateWrong(msg)
        run.refresh_from_db()
        return Response(self.get_serializer(run).data)

    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Let a failed, cancelled or silent run go on."""
        run = services.resume(self.get_object().pk, actor=_actor(request))
        return Response(self.get_serializer(run).data)


def _actor(request: Request) -> str:
    """Return the name of a key, or of staff, for the audit trail."""
    return str(getattr(request.auth, "actor", "") or request.user.get_username())
