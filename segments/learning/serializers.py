"""Shapes of `/api/learned-models/`. Settings of clusters are judged by `engine.methods`."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from personalization.ops.models import JobRun
from segments.learning import pages
from segments.learning.engine.catalogue import NAMES
from segments.learning.engine.methods import METHODS
from segments.models.learning import LearnedModel, Observation


class LearnedModelSerializer(serializers.ModelSerializer[LearnedModel]):
    """One version of a model. `quality`: the figure that its kind is judged by, in words."""

    quality = serializers.SerializerMethodField()

    class Meta:
        model = LearnedModel
        fields: tuple[str, ...] = (
            "id",
            "key",
            "kind",
            "version",
            "status",
            "algorithm",
            "reason",
            "quality",
            "manifest_sha256",
            "run",
            "created_at",
            "promoted_at",
        )
        read_only_fields = fields

    def get_quality(self, row: LearnedModel) -> str:
        """Return the figure of the admin's list."""
        return pages.quality(row)


class ObservationSerializer(serializers.ModelSerializer[Observation]):
    """How it fared at its latest scoring: customers, sizes of clusters, drift of its inputs."""

    class Meta:
        model = Observation
        fields = ("as_of", "customers", "sizes", "drift")


class LearnedModelDetailSerializer(LearnedModelSerializer):
    """A version with its figures, what it learnt from (`manifest.facts`), and how it fares."""

    scored = serializers.SerializerMethodField()

    class Meta(LearnedModelSerializer.Meta):
        fields = (*LearnedModelSerializer.Meta.fields, "metrics", "manifest", "scored")
        read_only_fields = fields

    @extend_schema_field(ObservationSerializer(allow_null=True))
    def get_scored(self, row: LearnedModel) -> Any:
        """Return the latest scoring; null before one."""
        seen = row.observations.order_by("-as_of").first()
        return None if seen is None else ObservationSerializer(seen).data


class ClusterInputSerializer(serializers.Serializer[Any]):
    """Which method groups customers, by what of them; left out: found, or all."""

    key = serializers.CharField(
        max_length=60, help_text="A model that is there gets its next version."
    )
    title = serializers.CharField(max_length=200, required=False)
    algorithm = serializers.ChoiceField(choices=[(key, one.title) for key, one in METHODS.items()])
    k = serializers.IntegerField(
        required=False, help_text="Of methods that do not find it themselves; 0, or 2 to 20."
    )
    least_share = serializers.FloatField(
        required=False, help_text="Of hdbscan: the share of customers that makes a group."
    )
    reach = serializers.FloatField(
        required=False, help_text="Of dbscan: radius of a neighbour in interquartile ranges."
    )
    features = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=len(NAMES)
    )


class FitSerializer(serializers.ModelSerializer[JobRun]):
    """The job that learns (`/api/jobs/`): `done` of `total` steps, then everybody is scored."""

    class Meta:
        model = JobRun
        fields = ("id", "kind", "status", "done", "total", "created_at", "finished_at")
        read_only_fields = fields
