"""Beside single segments: previews, what rules may name, overlaps, lists by their lines."""

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.authentication import actor_of
from personalization.lib import clock
from personalization.lib.errors import Malformed, Problem
from personalization.lib.parsers import StorableJSONParser
from segments import audiences, errors, listing, lists, selectors
from segments import serializers as shapes
from segments.engine.validation import AUDIENCE_KINDS, FILTER_KINDS, SEGMENT_KINDS, faults
from segments.faultwords import blanks, told_faults
from segments.preview import preview
from segments.views.base import SegmentApi, open_faults
from segments.wire import lines_of, preview_json

_KINDS: Mapping[str, Sequence[str]] = {
    "segment": SEGMENT_KINDS,
    "audience": AUDIENCE_KINDS,
    "filter": FILTER_KINDS,
}
_PLACES = list(_KINDS)
# For pages faults are an answer like another.
_PREVIEWED = PolymorphicProxySerializer(
    "PreviewOrFaults",
    [shapes.PreviewSerializer, shapes.InvalidRuleSerializer],
    resource_type_field_name=None,
)


class BesideApi(SegmentApi):
    """What is about no segment yet, or about all."""

    @extend_schema(
        request=shapes.RuleInputSerializer,
        responses={200: _PREVIEWED, 422: shapes.InvalidRuleSerializer},
        parameters=[
            OpenApiParameter(
                "faults",
                str,
                enum=["words"],
                description="`words`, for pages: faults come with 200, each in words for people"
                " too; a comparison with an empty text is one.",
            )
        ],
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def preview(self, request: Request) -> Response:
        """Tell who a rule is before it is saved; a rule with faults is answered with them."""
        rule: Any = request.data.get("rule") if isinstance(request.data, dict) else None
        for_people = request.query_params.get("faults") == "words"
        words = selectors.catalogue()
        problems = [*faults(rule, words), *(blanks(rule) if for_people else ())] or open_faults(
            rule
        )
        if not problems:
            try:
                return Response(preview_json(preview(rule, now=clock.now(), catalogue=words)))
            except errors.PreviewTooSlow as error:
                problems = [Problem("", error.message)]
        # a page asks at each letter: a browser would list every unfinished rule as an error
        told = told_faults(problems, for_people=for_people)
        return Response(told, status=200 if for_people else 422)

    @extend_schema(
        responses=OpenApiResponse(OpenApiTypes.OBJECT, description="What rules may name."),
        parameters=[OpenApiParameter("for", str, enum=_PLACES, default="segment")],
    )
    @action(detail=False, pagination_class=None)
    def catalogue(self, request: Request) -> Response:
        """Return what a rule may name, for the rule builder."""
        place = request.query_params.get("for", "segment")
        if place not in _KINDS:
            msg = "there is no such place for a rule"
            raise Malformed(msg, details=[Problem("for", f"is one of {', '.join(_KINDS)}")])
        known = audiences.offered() if place == "audience" else selectors.catalogue()
        return Response(selectors.suggested(known.as_json(_KINDS[place])))

    @extend_schema(responses=shapes.MatrixSerializer)
    @action(detail=False, pagination_class=None)
    def overlaps(self, _request: Request) -> Response:
        """Tell how many customers any two segments in force share."""
        return Response(shapes.MatrixSerializer(listing.matrix()).data)

    @extend_schema(
        request={
            "multipart/form-data": shapes.ListInputSerializer,
            "application/json": shapes.ListInputSerializer,
        },
        responses=shapes.UploadSerializer,
    )
    @action(
        detail=False,
        methods=["post"],
        parser_classes=(MultiPartParser, StorableJSONParser),
        pagination_class=None,
    )
    def lists(self, request: Request) -> Response:
        """Make or change a static list; every bad line is told by its number."""
        fields = self.valid(request, shapes.ListInputSerializer)
        told = lists.upload_list(
            key=fields["key"],
            title=fields.get("title", ""),
            lines=lines_of(fields),
            actor=actor_of(request),
            replace=fields["replace"],
        )
        return Response(shapes.UploadSerializer(told).data)
