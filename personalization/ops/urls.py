"""Addresses of the ops room under `/api`."""

from rest_framework.routers import SimpleRouter

from personalization.ops import views

_router = SimpleRouter()
_router.register("jobs", views.JobRunViewSet)
api = _router.urls
