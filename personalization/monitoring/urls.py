"""Addresses of the monitoring app."""

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import SimpleRouter

from personalization.monitoring import views

root: list[URLPattern | URLResolver] = [path("metrics", views.metrics, name="metrics")]

_router = SimpleRouter()
_router.register("jobs", views.JobRunViewSet)
api = _router.urls
