"""`/api/customers/`: find a customer by an id, read what is known of it, take it all out."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from personalization.access.api import ApiViewSet
from personalization.access.audit import audit
from personalization.access.authentication import actor_of
from personalization.customers import selectors
from personalization.customers.models import Customer, Identity
from personalization.customers.serializers import (
    CustomerDetailSerializer,
    CustomerSerializer,
    ExportSerializer,
)
from personalization.lib import clock
from personalization.lib.registries import customer_details, personal_data

_KINDS = {"user_id": Identity.Kind.USER, "anonymous_id": Identity.Kind.ANONYMOUS}


class CustomerViewSet(ListModelMixin, ApiViewSet):
    """Customers, read only. Scope `customers:read` for keys, viewer for staff."""

    serializer_class = CustomerSerializer
    lookup_field = "uuid"
    lookup_value_regex = "[0-9a-fA-F-]{36}"
    scope_read = "customers:read"
    queryset = Customer.objects.none()

    @property
    def query_parameters(self) -> frozenset[str]:  # type: ignore[override]  # read only here
        """Ids look for customers in the list; nothing else takes them."""
        return frozenset(_KINDS) if self.action == "list" else frozenset()

    def get_queryset(self) -> QuerySet[Customer]:
        """Return all customers, or those that go by the ids asked for now."""
        rows = Customer.objects.select_related("profile", "merged_into")
        for name, kind in _KINDS.items():
            if (value := self.request.query_params.get(name)) is not None:
                rows = selectors.going_by(rows, kind, value)
        return rows

    @extend_schema(parameters=[OpenApiParameter(name, str) for name in _KINDS])
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List customers, oldest first; with an id the one customer that goes by it now."""
        return super().list(request, *args, **kwargs)

    @extend_schema(responses=CustomerDetailSerializer)
    def retrieve(self, _request: Request, uuid: str) -> Response:
        """Return what is known of a customer; its events are at `timeline/`."""
        return Response(_detail(self.get_object()))

    @extend_schema(responses=ExportSerializer)
    @action(detail=True)
    def export(self, request: Request, uuid: str) -> Response:
        """Return what is held of a customer, to be handed over; leaves a line in the trail."""
        customer = self.get_object()
        parts = {name: part.export(customer.pk) for name, part in personal_data.items()}
        audit(actor=actor_of(request), action="export", obj=customer)
        return Response(
            {
                "exported_at": clock.now(),
                "customer": _detail(customer),
                "held": parts,
                "events": f"/api/customers/{uuid}/timeline/",
            }
        )


def _detail(customer: Customer) -> dict[str, Any]:
    for name, tell in customer_details.items():
        setattr(customer, name, tell(customer.pk))
    return dict(CustomerDetailSerializer(customer).data)
