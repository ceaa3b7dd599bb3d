"""Rows of the monitoring doors as JSON."""

from rest_framework import serializers

from personalization.ops.models import JobRun


class JobRunSerializer(serializers.ModelSerializer):  # type: ignore[type-arg]  # not generic at run time
    """One run."""

    class Meta:
        model = JobRun
        fields = (
            "id", "kind", "slot", "status", "params", "done", "total", "checkpoint", "result",
            "error", "cancel_requested", "attempts", "created_at", "started_at", "heartbeat_at",
            "finished_at",
        )  # fmt: skip
        read_only_fields = fields
