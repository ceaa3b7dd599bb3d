"""Addresses of the catalogue under `/api/`."""

from django.urls import URLPattern, URLResolver
from rest_framework.routers import SimpleRouter

from personalization.catalog.views import ProductViewSet

_router = SimpleRouter()
_router.register("products", ProductViewSet, basename="product")
api: list[URLPattern | URLResolver] = [*_router.urls]
