"""`/api/learned-models/`: what was learnt about customers; learn, promote, roll back, stop.

Scope of a key: `admin`. Staff: viewers read, editors do the rest, as in the admin.
"""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet, typed
from personalization.access.authentication import actor_of
from personalization.lib import clock
from personalization.lib.errors import Malformed, Problem
from personalization.ops.models import JobRun
from segments.learning import fits, registry, services
from segments.learning import serializers as shapes
from segments.models.learning import LearnedModel

_FILTERS = {"key": None, "kind": LearnedModel.Kind, "status": LearnedModel.Status}


class LearnedModelViewSet(mixins.RetrieveModelMixin, ApiViewSet):
    """Clusters, scores and lookalikes: every version of each model, one of each key scores."""

    queryset = LearnedModel.objects.all()
    serializer_class = shapes.LearnedModelDetailSerializer

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]  # read only here
        """Lists alone read any."""
        return frozenset(_FILTERS) if self.action == "list" else frozenset()

    @extend_schema(
        responses=shapes.LearnedModelSerializer(many=True),
        parameters=[
            OpenApiParameter("key", str, description="Only versions of this model."),
            OpenApiParameter("kind", str, enum=LearnedModel.Kind.values),
            OpenApiParameter("status", str, enum=LearnedModel.Status.values),
        ],
    )
    def list(self, _request: Request) -> Response:
        """List versions, oldest first."""
        page = self.paginate_queryset(self._asked()) or []
        told = shapes.LearnedModelSerializer(page, many=True)
        return self.get_paginated_response(told.data)

    @extend_schema(request=shapes.ClusterInputSerializer, responses={202: shapes.FitSerializer})
    def create(self, request: Request) -> Response:
        """Have a job group customers, then score everybody (`/api/jobs/`); one at a time a key."""
        given = typed(shapes.ClusterInputSerializer(data=request.data))
        recipe = services.cluster_recipe(
            given.pop("key"), features_used=given.pop("features", ()), **given
        )
        return _started(fits.start_fit(recipe=recipe, actor=actor_of(request)))

    @extend_schema(request=None, responses={202: shapes.FitSerializer})
    @action(detail=True, methods=["post"])
    def fit(self, request: Request, pk: str) -> Response:
        """Have a job learn the model anew, by the recipe of this version, then score everybody."""
        return _started(fits.start_again(model=self.get_object(), actor=actor_of(request)))

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def promote(self, request: Request, pk: str) -> Response:
        """Have this version score customers, from the next scoring on."""
        row = registry.promote(self.get_object().pk, actor=actor_of(request), now=clock.now())
        return self._told(row)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, pk: str) -> Response:
        """Have the version score that did before the live one of this key; it is answered."""
        row = registry.rollback(self.get_object().key, actor=actor_of(request), now=clock.now())
        return self._told(row)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Have a model of the shop's own score nobody any more, nor be learnt again."""
        fits.stop_model(key=self.get_object().key, actor=actor_of(request))
        return Response(status=204)

    def _told(self, row: LearnedModel) -> Response:
        return Response(shapes.LearnedModelDetailSerializer(row).data)

    def _asked(self) -> QuerySet[LearnedModel]:
        """Return the versions that the query asks for."""
        rows = self.get_queryset().defer("manifest")
        for name, choices in _FILTERS.items():
            value: Any = self.request.query_params.get(name)
            if value is None:
                continue
            if choices is not None and value not in choices.values:
                msg = f"there is no such {name}"
                known = ", ".join(choices.values)
                raise Malformed(msg, details=[Problem(name, f"is one of {known}")])
            rows = rows.filter(**{name: value})
        return rows


def _started(run: JobRun) -> Response:
    return Response(shapes.FitSerializer(run).data, status=202)
