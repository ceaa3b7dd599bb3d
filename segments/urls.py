"""Addresses of segments, and of what is learnt about customers, under `/api`."""

from rest_framework.routers import SimpleRouter

from segments.learning.views import LearnedModelViewSet
from segments.views import SegmentViewSet

_router = SimpleRouter()
_router.register("segments", SegmentViewSet)
_router.register("learned-models", LearnedModelViewSet, basename="learned-model")
api = _router.urls
