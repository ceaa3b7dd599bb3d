"""Addresses of the recommender under `/api/`."""

from django.urls import URLPattern, URLResolver
from rest_framework.routers import SimpleRouter

from recommender.views import ModelViewSet, StrategyViewSet

_router = SimpleRouter()
_router.register("strategies", StrategyViewSet, basename="strategy")
_router.register("models", ModelViewSet, basename="model")
api: list[URLPattern | URLResolver] = [*_router.urls]
