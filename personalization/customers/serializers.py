"""Shapes of `/api/customers/`."""

from typing import Any

from rest_framework import serializers

from personalization.customers.models import Customer, Identity, Profile


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    """A customer in a list. `merged_into` names the customer that absorbed it."""

    merged_into = serializers.UUIDField(
        source="merged_into.uuid", default=None, allow_null=True, read_only=True
    )
    last_seen_at = serializers.DateTimeField(
        source="profile.last_seen_at", default=None, allow_null=True, read_only=True
    )

    class Meta:
        model = Customer
        fields = ("uuid", "created_at", "merged_into", "last_seen_at")
        read_only_fields = fields


class IdentitySerializer(serializers.ModelSerializer[Identity]):
    """One id; `ended_at` is set once it belongs to somebody else."""

    kind = serializers.SerializerMethodField()

    class Meta:
        model = Identity
        fields = ("kind", "value", "generation", "created_at", "ended_at")
        read_only_fields = fields

    def get_kind(self, identity: Identity) -> str:
        """Return `user_id` or `anonymous_id`."""
        return "user_id" if identity.kind == Identity.Kind.USER else "anonymous_id"


class ProfileSerializer(serializers.ModelSerializer[Profile]):
    """What is known of a customer, folded from events. Money in minor units of the shop."""

    class Meta:
        model = Profile
        fields = (
            "first_seen_at",
            "last_seen_at",
            "events",
            "sessions",
            "orders",
            "revenue_minor",
            "last_order_at",
            "country",
            "region",
            "locale",
            "timezone",
            "device_type",
            "traits",
            "updated_at",
        )
        read_only_fields = fields


class SaidSerializer(serializers.Serializer[Any]):
    """What was said of a purpose last."""

    granted = serializers.BooleanField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of this name hides an attribute
    policy_version = serializers.CharField()
    at = serializers.DateTimeField()


class ConsentSerializer(serializers.Serializer[Any]):
    """One purpose: whether it is in force, and what was said of it last."""

    in_force = serializers.BooleanField()
    said = SaidSerializer(allow_null=True)


class MembershipSerializer(serializers.Serializer[Any]):
    """A segment that the customer is in, since when, and the conditions that hold."""

    key = serializers.CharField()
    title = serializers.CharField()
    version = serializers.IntegerField()
    since = serializers.DateTimeField(allow_null=True)
    turns_at = serializers.DateTimeField(
        allow_null=True, help_text="When it ends if no event comes."
    )
    reasons = serializers.ListField(child=serializers.DictField())


class CustomerDetailSerializer(CustomerSerializer):
    """A customer with everything that is kept of it outside the event log."""

    identities = IdentitySerializer(many=True)
    profile = ProfileSerializer(allow_null=True, default=None)
    consent = serializers.DictField(child=ConsentSerializer())
    segments = MembershipSerializer(many=True)

    class Meta(CustomerSerializer.Meta):
        fields = (  # type: ignore[assignment]  # a longer tuple
            *CustomerSerializer.Meta.fields,
            "identities",
            "profile",
            "consent",
            "segments",
        )
        read_only_fields = fields  # type: ignore[assignment]  # as above


class ExportSerializer(serializers.Serializer[Any]):
    """What is held of a customer; the events are read page by page at `events`."""

    exported_at = serializers.DateTimeField()
    customer = CustomerDetailSerializer()
    held = serializers.DictField(help_text="What each app holds besides, by its name.")
    events = serializers.CharField(help_text="Address of the customer's events.")
