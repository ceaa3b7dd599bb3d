"""`/api/strategies/` and `/api/models/`: read, edit, promote, roll back."""

from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet, typed
from personalization.access.authentication import actor_of
from personalization.lib import clock
from personalization.lib.errors import Problem, Unprocessable
from recommender import mailings, registry, strategies
from recommender.models import ModelVersion, Strategy
from recommender.selectors import mark_of
from recommender.serializers import (
    MailingSerializer,
    ModelVersionSerializer,
    StrategySerializer,
)
from segments.wire import NdjsonRenderer


class StrategyViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Recommender configurations. Writes are audited and published at once."""

    queryset = Strategy.objects.all()
    serializer_class = StrategySerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    action_roles = {"lists": "editor"}

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]  # read only here
        """Lists alone read any."""
        return frozenset(MailingSerializer().fields) if self.action == "lists" else frozenset()

    def partial_update(self, request: Request, key: str) -> Response:
        """Change fields of a strategy."""
        values = self._valid(request, self.get_object())
        if values.pop("key", key) != key:
            msg = "a strategy keeps its key"
            fix = "cannot be changed, as placements name it; make another strategy"
            raise Unprocessable(msg, details=[Problem("key", fix)])
        row = strategies.save_strategy(key=key, values=values, actor=actor_of(request))
        return Response(self.get_serializer(row).data)

    def create(self, request: Request) -> Response:
        """Make a strategy."""
        values = self._valid(request)
        key = values.pop("key")
        row = strategies.save_strategy(
            key=key, values=values, actor=actor_of(request), expected=mark_of(None)
        )
        return Response(self.get_serializer(row).data, status=201)

    def _valid(self, request: Request, row: Strategy | None = None) -> dict[str, Any]:
        """Return the typed fields of the body, of a stored `row` those that are sent."""
        return typed(self.get_serializer(row, data=request.data, partial=row is not None))

    @extend_schema(
        parameters=[MailingSerializer], responses={(200, "application/x-ndjson"): OpenApiTypes.STR}
    )
    @action(detail=True, renderer_classes=(NdjsonRenderer, JSONRenderer), pagination_class=None)
    def lists(self, request: Request, key: str) -> StreamingHttpResponse:
        """Hand over what each customer who allows it would be shown now, a line each.

        In the order of customers, for e-mails; leaves a line in the trail. `after` goes on behind
        the `customer` of the last whole line.
        """
        asked = MailingSerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        given: dict[str, Any] = dict(asked.validated_data)
        after, limit = given.pop("after"), given.pop("limit")
        lines = mailings.stream(
            mailings.Mailing(self.get_object().key, **given),
            after=after,
            limit=limit,
            actor=actor_of(request),
            now=clock.now(),
        )
        return StreamingHttpResponse(lines, content_type=NdjsonRenderer.media_type)


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
