"""`/api/segments/`: read, edit by drafts, publish, roll back; the rest is in `people`, `beside`."""

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.authentication import actor_of
from personalization.lib import clock
from segments import diffs, errors, listing, selectors, services
from segments import serializers as shapes
from segments.models import Segment, SegmentVersion
from segments.views.base import open_faults, require, row_of, version_of
from segments.views.beside import BesideApi
from segments.views.people import PeopleApi

_Status = SegmentVersion.Status


class SegmentViewSet(PeopleApi, BesideApi):
    """Groups of customers, by rule or by list."""

    @extend_schema(responses=shapes.SegmentSerializer(many=True))
    def list(self, _request: Request) -> Response:
        """List segments, oldest first, with their sizes now and a trend of 30 days."""
        page = self.paginate_queryset(listing.segments())
        told = shapes.SegmentSerializer(listing.summaries(page or []), many=True)
        return self.get_paginated_response(told.data)

    @extend_schema(
        request=shapes.SegmentInputSerializer, responses={201: shapes.SegmentDetailSerializer}
    )
    def create(self, request: Request) -> Response:
        """Make a segment with a draft of its first version."""
        fields = self.valid(request, shapes.SegmentInputSerializer)
        key, rule = fields.pop("key"), fields.pop("rule")
        services.create_segment(key=key, values=fields, rule=rule, actor=actor_of(request))
        return self._told(key, 201)

    @extend_schema(responses=shapes.SegmentDetailSerializer)
    def retrieve(self, _request: Request, key: str) -> Response:
        """Return a segment with its versions and what names it."""
        return self._told(key)

    @extend_schema(request=shapes.SegmentTextSerializer, responses=shapes.SegmentDetailSerializer)
    def partial_update(self, request: Request, key: str) -> Response:
        """Change title or description; rules change by drafts."""
        fields = self.valid(request, shapes.SegmentTextSerializer)
        services.update_segment(key=row_of(key).key, values=fields, actor=actor_of(request))
        return self._told(key)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        """Delete a segment that nothing names. One that is decided live asks for a publisher."""
        if selectors.is_live(row_of(key)):
            require(request, "publisher")
        services.delete_segment(key=key, actor=actor_of(request))
        return Response(status=204)

    # --- Versions ---

    @extend_schema(request=shapes.DraftInputSerializer, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["put"])
    def draft(self, request: Request, key: str) -> Response:
        """Write the draft; the version in force stays."""
        fields = self.valid(request, shapes.DraftInputSerializer)
        if row_of(key).kind == Segment.Kind.LIST:
            msg = f"{key!r} is a list; upload its lines"
            raise errors.VersionStateWrong(msg)
        return _version(services.save_draft(key=key, actor=actor_of(request), **fields))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def shadow(self, request: Request, key: str) -> Response:
        """Have the draft decided beside the version in force."""
        return _version(services.start_shadow(key=row_of(key).key, actor=actor_of(request)))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, key: str) -> Response:
        """Let the newest version take over, as soon as every customer is decided by it."""
        return _version(services.publish_segment(key=row_of(key).key, actor=actor_of(request)))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, key: str) -> Response:
        """Let the version before take over again, at once."""
        return _version(services.roll_back(key=row_of(key).key, actor=actor_of(request)))

    @extend_schema(
        request=None,
        responses={204: None},
        parameters=[OpenApiParameter("number", int, OpenApiParameter.PATH)],
    )
    @action(detail=True, methods=["post"], url_path=r"versions/(?P<number>[0-9]{1,9})/stop")
    def stop(self, request: Request, key: str, number: str) -> Response:
        """Stop deciding a version that is not in force, which asks for publisher; drop a draft."""
        if version_of(key, number).status != _Status.DRAFT:
            require(request, "publisher")
        services.stop_version(key=key, number=int(number), actor=actor_of(request))
        return Response(status=204)

    @extend_schema(
        responses=shapes.DiffSerializer,
        parameters=[
            OpenApiParameter("from", int, description="The version in force."),
            OpenApiParameter("to", int, description="The draft, else the newest version."),
        ],
    )
    @action(detail=True, pagination_class=None)
    def diff(self, _request: Request, key: str) -> Response:
        """Tell who enters, leaves and stays when one version takes over from another."""
        row, asked = row_of(key), self.request.query_params
        old = version_of(key, asked["from"]) if "from" in asked else row.published
        if "to" in asked:
            new = version_of(key, asked["to"])
        else:
            new = max(row.versions.all(), key=lambda one: one.number)
        for one in (old, new):
            if one is not None and (open_ := open_faults(one.rule)):
                msg = f"version {one.number} cannot be looked at"
                raise errors.RuleInvalid(msg, details=open_)
        found = diffs.diff(old, new, now=clock.now())
        return Response(shapes.DiffSerializer(found).data)

    def _told(self, key: str, status: int = 200) -> Response:
        told = shapes.SegmentDetailSerializer(listing.detail(row_of(key)))
        return Response(told.data, status=status)


def _version(row: SegmentVersion) -> Response:
    return Response(shapes.VersionSerializer(listing.version_detail(row)).data)
