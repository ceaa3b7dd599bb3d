"""`/api/segments/`: read, edit by drafts, publish, roll back; members, why, previews, lists.

Scope of a key: `admin`. Staff: viewers read and preview, editors write drafts and export,
publishers decide what is in force, and upload lists, which are in force at once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet
from personalization.access.authentication import actor_of
from personalization.access.errors import RoleMissing
from personalization.access.permissions import may
from personalization.lib import clock
from personalization.lib.errors import Malformed, NotFound, Problem
from personalization.lib.keys import is_key
from personalization.lib.storable import whole_number
from segments import audiences, diffs, errors, exports, listing, lists, selectors, services, why
from segments import serializers as shapes
from segments.engine.validation import AUDIENCE_KINDS, FILTER_KINDS, SEGMENT_KINDS, faults
from segments.faultwords import blanks, told_faults
from segments.learning import lookalikes
from segments.models import Segment, SegmentVersion
from segments.preview import preview
from segments.wire import (
    CsvRenderer,
    MemberPagination,
    NdjsonRenderer,
    NewestFirstPagination,
    RuleJSONParser,
    lines_of,
    preview_json,
)

_KINDS: Mapping[str, Sequence[str]] = {
    "segment": SEGMENT_KINDS,
    "audience": AUDIENCE_KINDS,
    "filter": FILTER_KINDS,
}
_PLACES = list(_KINDS)
_Status = SegmentVersion.Status
_VERSION = OpenApiParameter("version", int, description="A version's number; the one in force.")
# What each action reads of the query.
_READS: Mapping[str, frozenset[str]] = {
    "members": frozenset({"version"}),
    "export": frozenset({"version", "purpose", "traits"}),
    "explain": frozenset({"customer", "version"}),
    "diff": frozenset({"from", "to"}),
    "catalogue": frozenset({"for"}),
    "preview": frozenset({"faults"}),
}


class SegmentViewSet(ApiViewSet):
    """Groups of customers, by rule or by list."""

    queryset = Segment.objects.all()
    serializer_class = shapes.SegmentSerializer
    parser_classes = (RuleJSONParser,)
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    action_roles = {
        "preview": "viewer",
        "export": "editor",
        "publish": "publisher",
        "rollback": "publisher",
        "lists": "publisher",
    }

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]  # read only here
        """Each action reads its own."""
        return _READS.get(self.action, frozenset())

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
        fields = self._valid(request, shapes.SegmentInputSerializer)
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
        fields = self._valid(request, shapes.SegmentTextSerializer)
        services.update_segment(key=_row(key).key, values=fields, actor=actor_of(request))
        return self._told(key)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, key: str) -> Response:
        """Delete a segment that nothing names. One that is decided live asks for a publisher."""
        if selectors.is_live(_row(key)):
            _require(request, "publisher")
        services.delete_segment(key=key, actor=actor_of(request))
        return Response(status=204)

    # --- Versions ---

    @extend_schema(request=shapes.DraftInputSerializer, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["put"])
    def draft(self, request: Request, key: str) -> Response:
        """Write the draft; the version in force stays."""
        fields = self._valid(request, shapes.DraftInputSerializer)
        if _row(key).kind == Segment.Kind.LIST:
            msg = f"{key!r} is a list; upload its lines"
            raise errors.VersionStateWrong(msg)
        return _version(services.save_draft(key=key, actor=actor_of(request), **fields))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def shadow(self, request: Request, key: str) -> Response:
        """Have the draft decided beside the version in force."""
        return _version(services.start_shadow(key=_row(key).key, actor=actor_of(request)))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, key: str) -> Response:
        """Let the newest version take over, as soon as every customer is decided by it."""
        return _version(services.publish_segment(key=_row(key).key, actor=actor_of(request)))

    @extend_schema(request=None, responses=shapes.VersionSerializer)
    @action(detail=True, methods=["post"])
    def rollback(self, request: Request, key: str) -> Response:
        """Let the version before take over again, at once."""
        return _version(services.roll_back(key=_row(key).key, actor=actor_of(request)))

    @extend_schema(
        request=None,
        responses={204: None},
        parameters=[OpenApiParameter("number", int, OpenApiParameter.PATH)],
    )
    @action(detail=True, methods=["post"], url_path=r"versions/(?P<number>[0-9]{1,9})/stop")
    def stop(self, request: Request, key: str, number: str) -> Response:
        """Stop deciding a version that is not in force, which asks for publisher; drop a draft."""
        if _version_of(key, number).status != _Status.DRAFT:
            _require(request, "publisher")
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
        row, asked = _row(key), self.request.query_params
        old = _version_of(key, asked["from"]) if "from" in asked else row.published
        if "to" in asked:
            new = _version_of(key, asked["to"])
        else:
            new = max(row.versions.all(), key=lambda one: one.number)
        for one in (old, new):
            if one is not None and (open_ := _open(one.rule)):
                msg = f"version {one.number} cannot be looked at"
                raise errors.RuleInvalid(msg, details=open_)
        found = diffs.diff(old, new, now=clock.now())
        return Response(shapes.DiffSerializer(found).data)

    # --- People ---

    @extend_schema(responses=shapes.MemberSerializer(many=True), parameters=[_VERSION])
    @action(detail=True, pagination_class=MemberPagination)
    def members(self, _request: Request, key: str) -> Response:
        """List the members of a version, since when each is one."""
        version = _version_of(key, self.request.query_params.get("version"))
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
        version = _version_of(key, asked.get("version"))
        purpose = asked.get("purpose", exports.MARKETING)
        traits = tuple(filter(None, asked.get("traits", "").split(",")))
        if exports.check(purpose, traits):
            _require(request, "publisher")
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
        version = _version_of(key, request.query_params.get("version"))
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
        page = self.paginate_queryset(listing.history(_row(key).pk)) or []
        told = shapes.ChangeSerializer(listing.changes(page), many=True)
        return self.get_paginated_response(told.data)

    @extend_schema(methods=["get"], responses=shapes.LookalikeSerializer)
    @extend_schema(methods=["post"], request=None, responses={202: shapes.LookalikeSerializer})
    @action(detail=True, methods=["get", "post"], pagination_class=None)
    def lookalike(self, request: Request, key: str) -> Response:
        """Tell who is like the members; POST has a job learn it (one at a time), then score all."""
        row, status = _row(key), 200
        if request.method == "POST":
            lookalikes.start_lookalikes(key=row.key, actor=actor_of(request))
            status = 202
        told = shapes.LookalikeSerializer(lookalikes.lookalikes_of(row)).data
        return Response(told, status=status)

    # --- Beside segments ---

    @extend_schema(
        request=shapes.RuleInputSerializer,
        responses={200: shapes.PreviewSerializer, 422: shapes.InvalidRuleSerializer},
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
        problems = [*faults(rule, words), *(blanks(rule) if for_people else ())] or _open(rule)
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
        parser_classes=(MultiPartParser, RuleJSONParser),
        pagination_class=None,
    )
    def lists(self, request: Request) -> Response:
        """Make or change a static list; every bad line is told by its number."""
        fields = self._valid(request, shapes.ListInputSerializer)
        told = lists.upload_list(
            key=fields["key"],
            title=fields.get("title", ""),
            lines=lines_of(fields),
            actor=actor_of(request),
            replace=fields["replace"],
        )
        return Response(shapes.UploadSerializer(told).data)

    def _valid(self, request: Request, shape: type[shapes.Plain]) -> dict[str, Any]:
        """Return the typed fields of the body."""
        serializer = shape(data=request.data)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)

    def _told(self, key: str, status: int = 200) -> Response:
        told = shapes.SegmentDetailSerializer(listing.detail(_row(key)))
        return Response(told.data, status=status)


def _row(key: str) -> Segment:
    row = listing.segments().filter(key=key).first() if is_key(key) else None
    if row is None:
        msg = "there is no such segment"
        raise errors.SegmentUnknown(msg)
    return row


def _version_of(key: str, number: str | None) -> SegmentVersion:
    row = _row(key)
    if number is None:
        return why.version_of(row.key)
    wanted = whole_number(number)
    if wanted is None:
        msg = "a version is named by its number"
        raise Malformed(msg, details=[Problem("version", "is no number")])
    return why.version_of(row.key, wanted)


def _version(row: SegmentVersion) -> Response:
    return Response(shapes.VersionSerializer(listing.version_detail(row)).data)


def _open(rule: Any) -> list[Problem]:
    return [
        Problem(path, f"segment {key!r} has no version in force; publish it first")
        for path, key in listing.not_in_force(rule)
    ]


def _require(request: Request, role: str) -> None:
    if not may(request, role):
        msg = f"this needs the role {role!r}"
        raise RoleMissing(msg)
