"""`/api/placements/ campaigns/ blocks/`: services write, audit and publish.

Scope of a key: `admin`. Staff: viewers read, editors write, publishers publish, end, and change
what is published.
"""

from typing import Any

from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet, typed
from personalization.access.authentication import actor_of
from personalization.access.permissions import may
from personalization.content import services
from personalization.content.models import Block, Campaign, Placement
from personalization.content.serializers import (
    BlockSerializer,
    CampaignSerializer,
    PlacementSerializer,
)
from personalization.lib.parsers import StorableJSONParser


class _Keyed(mixins.ListModelMixin, mixins.RetrieveModelMixin, ApiViewSet):
    """Rows that are named by key."""

    parser_classes = (StorableJSONParser,)
    lookup_field = "key"
    lookup_value_regex = "[^/]+"

    def valid(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        """Return the typed fields of the body."""
        return typed(self.get_serializer(data=request.data, partial=partial))

    def shown(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        """Answer one row."""
        return Response(self.get_serializer(row).data, status=code)


class PlacementViewSet(_Keyed):
    """Places in the shop. PUT makes or changes one."""

    queryset = Placement.objects.all()
    serializer_class = PlacementSerializer

    def create(self, request: Request) -> Response:
        """Make or change a placement by the key in the body."""
        fields = self.valid(request)
        key = fields.pop("key")
        row = services.upsert_placement(key=key, values=fields, actor=actor_of(request))
        return self.shown(row, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, key: str) -> Response:
        """Change fields of a placement."""
        fields = self.valid(request, partial=True)
        fields.pop("key", None)
        self.get_object()
        row = services.upsert_placement(key=key, values=fields, actor=actor_of(request))
        return self.shown(row)

    def destroy(self, request: Request, key: str) -> Response:
        """Delete a placement that no campaign uses."""
        services.delete_placement(key=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)


class CampaignViewSet(_Keyed):
    """Reasons to show something in a placement."""

    queryset = Campaign.objects.select_related("placement", "block")
    serializer_class = CampaignSerializer
    action_roles = {"publish": "publisher", "end": "publisher"}

    def create(self, request: Request) -> Response:
        """Make a draft."""
        fields = _flat(self.valid(request))
        key = fields.pop("key")
        row = services.create_campaign(key=key, values=fields, actor=actor_of(request))
        return self.shown(row, status.HTTP_201_CREATED)

    def partial_update(self, request: Request, key: str) -> Response:
        """Change fields of a campaign."""
        fields = _flat(self.valid(request, partial=True))
        fields.pop("key", None)
        row = services.update_campaign(
            key=key,
            values=fields,
            actor=actor_of(request),
            may_publish=may(request, "publisher"),
        )
        return self.shown(row)

    def destroy(self, request: Request, key: str) -> Response:
        """Delete a campaign that is not published."""
        services.delete_campaign(key=key, actor=actor_of(request))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @action(detail=True, methods=["post"])
    def publish(self, request: Request, key: str) -> Response:
        """Let it show, within its dates."""
        return self.shown(services.publish_campaign(key=key, actor=actor_of(request)))

    @action(detail=True, methods=["post"])
    def end(self, request: Request, key: str) -> Response:
        """Stop it."""
        return self.shown(services.end_campaign(key=key, actor=actor_of(request)))


class BlockViewSet(_Keyed):
    """What campaigns show."""

    queryset = Block.objects.select_related("campaign")
    serializer_class = BlockSerializer

    def create(self, request: Request) -> Response:
        """Make or change the block of a campaign."""
        fields = self.valid(request)
        row = services.upsert_block(
            campaign=fields["campaign"]["key"],
            key=fields["key"],
            content=fields["content"],
            actor=actor_of(request),
            may_publish=may(request, "publisher"),
        )
        return self.shown(row, status.HTTP_201_CREATED)


def _flat(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields with the placement as its key."""
    if "placement" in fields:
        fields["placement"] = fields["placement"]["key"]
    return fields
