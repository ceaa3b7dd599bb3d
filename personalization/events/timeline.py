"""Shape and pages of `/api/customers/{uuid}/timeline/`."""

from rest_framework import serializers

from personalization.consent import serve as consent
from personalization.events.engine import flags
from personalization.events.models import Event, LoggedEvent
from personalization.lib.pagination import KeyCursorPagination


class TimelinePagination(KeyCursorPagination):
    """Newest first, by the moment that the shopper did it."""

    ordering = ("-occurred_at", "-seq")


class TimelineSerializer(serializers.ModelSerializer[LoggedEvent]):
    """One event as it was kept. `purposes` held when it came in."""

    trust = serializers.SerializerMethodField()
    purposes = serializers.SerializerMethodField()
    flags = serializers.SerializerMethodField()
    properties = serializers.DictField()
    traits = serializers.DictField(allow_null=True)
    context = serializers.DictField()  # type: ignore[assignment]  # hides an attribute

    class Meta:
        model = LoggedEvent
        fields = (
            "message_id",
            "type",
            "name",
            "occurred_at",
            "received_at",
            "trust",
            "purposes",
            "flags",
            "properties",
            "traits",
            "context",
        )
        read_only_fields = fields

    def get_trust(self, event: LoggedEvent) -> str:
        """Return `public` or `secret`: the kind of key that it came with."""
        return Event.Trust(event.trust).name.lower()

    def get_purposes(self, event: LoggedEvent) -> list[str]:
        """Return the keys of the purposes that it may serve."""
        return list(consent.purposes().names(event.purposes))

    def get_flags(self, event: LoggedEvent) -> list[str]:
        """Return what ingestion noticed."""
        return flags.names(event.flags)
