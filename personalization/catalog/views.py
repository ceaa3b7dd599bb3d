"""`/api/products/`: bulk upsert with an answer per item, list, one, delete."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet
from personalization.access.authentication import actor_of
from personalization.catalog import selectors, services
from personalization.catalog.models import Product
from personalization.catalog.serializers import (
    ProductInputSerializer,
    ProductSerializer,
    UpsertedSerializer,
)
from personalization.lib import clock
from personalization.lib.errors import NotFound, TooLarge

MAX_ITEMS = 1000


class ProductViewSet(ListModelMixin, RetrieveModelMixin, ApiViewSet):
    """What the shop sells. Scope `catalog:write` for keys, editor for staff."""

    serializer_class = ProductSerializer
    lookup_field = "key"
    lookup_value_regex = "[^/]+"
    query_parameters = frozenset({"brand"})
    scope_read = scope_write = "catalog:write"
    queryset = Product.objects.none()

    def get_queryset(self) -> QuerySet[Product]:
        """Return products that were not deleted, of one brand where asked."""
        rows = selectors.products()
        brand = self.request.query_params.get("brand")
        return rows.filter(brand=brand) if brand else rows

    @extend_schema(parameters=[OpenApiParameter("brand", str)])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List products, oldest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(request=ProductInputSerializer(many=True), responses={200: UpsertedSerializer})
    def create(self, request: Request) -> Response:
        """Create or change up to 1,000 products, or one; what is well-formed is kept."""
        items = request.data if isinstance(request.data, list) else [request.data]
        if len(items) > MAX_ITEMS:
            msg = f"{len(items)} products; send at most {MAX_ITEMS} at a time"
            raise TooLarge(msg)
        outcome = services.upsert_products(items, actor=actor_of(request), now=clock.now())
        return Response(UpsertedSerializer(outcome).data)

    def destroy(self, request: Request, key: str) -> Response:
        """Take a product off sale for good; an upsert of its key brings it back."""
        if not services.delete_products([key], actor=actor_of(request), now=clock.now()):
            msg = "no product has this key"
            raise NotFound(msg)
        return Response(status=204)
