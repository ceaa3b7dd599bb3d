"""`/api/strategies/` and `/api/models/`: read, edit, promote, roll back."""

from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet
from personalization.access.authentication import actor_of
from personalization.lib import clock
from recommender import registry, strategies
from recommender.models import ModelVersion, Strategy
from recommender.serializers import ModelVersionSerializer, StrategySerializer


class StrategyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Recommender configurations. Writes are audited and published at once."""

    queryset = Strategy.objects.all()
    serializer_class = StrategySerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"

    def partial_update(self, request: Request, key: str) -> Response:
        """Change fields of a strategy."""
        row = self.get_object()
        serializer = self.get_serializer(row, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        values = {name: value for name, value in serializer.validated_data.items() if name != "key"}
        row = strategies.save_strategy(key=key, values=values, actor=actor_of(request))
        return Response(self.get_serializer(row).data)

    def create(self, request: Request) -> Response:
        """Make a strategy."""
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = dict(serializer.validated_data)
        key = values.pop("key")
        row = strategies.save_strategy(
            key=key, values=values, actor=actor_of(request), expected="none"
        )
        return Response(self.get_serializer(row).data, status=201)


class ModelViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Trained models. Promotion moves one pointer; nodes notice within a second."""

    queryset = ModelVersion.objects.all()
    serializer_class = ModelVersionSerializer

    @action(detail=True, methods=["post"])
    def promote(self, request: Request, pk: str) -> Response:
        """Have this version serve."""
        row = self.get_object()
        row = registry.promote(row.pk, actor=actor_of(request), now=clock.now())
        return Response(self.get_serializer(row).data)

    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: str) -> Response:
        """Have the version before this one, which serves, serve again."""
        row = self.get_object()
        row = registry.rollback(
            row.algorithm, actor=actor_of(request), now=clock.now(), leaving=row.pk
        )
        return Response(self.get_serializer(row).data)
