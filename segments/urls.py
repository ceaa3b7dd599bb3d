"""Addresses of segments under `/api`."""

from rest_framework.routers import SimpleRouter

from segments import views

_router = SimpleRouter()
_router.register("segments", views.SegmentViewSet)
api = _router.urls
