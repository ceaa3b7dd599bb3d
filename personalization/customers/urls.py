"""Addresses of customers under `/api/`."""

from django.urls import URLPattern, URLResolver
from rest_framework.routers import SimpleRouter

from personalization.customers.views import CustomerViewSet

_router = SimpleRouter()
_router.register("customers", CustomerViewSet, basename="customer")
api: list[URLPattern | URLResolver] = [*_router.urls]
