"""Who is in a segment: members, exports, why, entries and exits, and who is like them."""

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.authentication import actor_of
from personalization.lib import clock
from personalization.lib.errors import Malformed, NotFound, Problem
from segments import exports, listing, why
from segments import serializers as shapes
from segments.learning import lookalikes
from segments.views.base import SegmentApi, require, row_of, version_of
from segments.wire import (
    CsvRenderer,
    MemberPagination,
    NdjsonRenderer,
    NewestFirstPagination,
)

_VERSION = OpenApiParameter("version", int, description="A version's number; the one in force.")


class PeopleApi(SegmentApi):
    """The people of one segment."""

    @extend_schema(responses=shapes.MemberSerializer(many=True), parameters=[_VERSION])
    @action(detail=True, pagination_class=MemberPagination)
    def members(self, _request: Request, key: str) -> Response:
        """List the members of a version, since when each is one."""
        version = version_of(key, self.request.query_params.get("version"))
        page = self.paginate_queryset(listing.members(version)) or []
        known = listing.who(row.customer_id for row in page)
        told = [
            {**known[row.customer_id], "entered_at": row.entered_at}
            for row in page
            if row.customer_id in known
        ]
        return self.get_paginated_response(shapes.MemberSerializer(told, many=True).data)

    @extend_schema(
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
        parameters=[
            _VERSION,
            OpenApiParameter("purpose", str, description="Must be in force; `marketing`."),
            OpenApiParameter(
                "traits", str, description="Keys, by commas; personal ones for publishers alone."
            ),
        ],
    )
    @action(
        detail=True,
        renderer_classes=(CsvRenderer, NdjsonRenderer, JSONRenderer),
        pagination_class=None,
    )
    def export(self, request: Request, key: str) -> StreamingHttpResponse:
        """Hand all members over, line by line; leaves a line in the trail."""
        asked = request.query_params
        version = version_of(key, asked.get("version"))
        purpose = asked.get("purpose", exports.MARKETING)
        traits = tuple(filter(None, asked.get("traits", "").split(",")))
        if exports.check(purpose, traits):
            require(request, "publisher")
        kind = "csv" if request.accepted_renderer.format == "csv" else "ndjson"
        lines = exports.export(
            exports.Export(version, purpose, traits), kind, actor=actor_of(request)
        )
        name = f"{key}-v{version.number}.{kind}"
        return StreamingHttpResponse(
            lines,
            content_type=exports.KINDS[kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @extend_schema(
        responses=shapes.WhySerializer,
        parameters=[
            OpenApiParameter(
                "customer", str, required=True, description="User id, anonymous id, uuid, number."
            ),
            _VERSION,
        ],
    )
    @action(detail=True, pagination_class=None)
    def explain(self, request: Request, key: str) -> Response:
        """Tell why a customer is in the segment, or not: each condition with what decided it."""
        term = request.query_params.get("customer", "")
        if not term:
            msg = "name a customer: ?customer="
            raise Malformed(msg, details=[Problem("customer", "is missing")])
        version = version_of(key, request.query_params.get("version"))
        customer_id = why.customer_for(term)
        if customer_id is None:
            msg = "no customer goes by this id"
            raise NotFound(msg)
        now = clock.now()
        [found] = why.explained(customer_id, [version], now=now)
        told = why.as_json(found) | {
            "customer": listing.who([customer_id])[customer_id]["uuid"],
            "as_of": now,
        }
        return Response(told)

    @extend_schema(responses=shapes.ChangeSerializer(many=True))
    @action(detail=True, pagination_class=NewestFirstPagination)
    def history(self, _request: Request, key: str) -> Response:
        """List entries and exits, newest first."""
        page = self.paginate_queryset(listing.history(row_of(key).pk)) or []
        told = shapes.ChangeSerializer(listing.changes(page), many=True)
        return self.get_paginated_response(told.data)

    @extend_schema(methods=["get"], responses=shapes.LookalikeSerializer)
    @extend_schema(methods=["post"], request=None, responses={202: shapes.LookalikeSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def lookalike(self, request: Request, key: str) -> Response:
        """Tell who is like the members; POST has a job learn it (one at a time), then score all."""
        row, status = row_of(key), 200
        if request.method == "POST":
            lookalikes.start_lookalikes(key=row.key, actor=actor_of(request))
            status = 202
        told = shapes.LookalikeSerializer(lookalikes.lookalikes_of(row)).data
        return Response(told, status=status)
