"""Addresses of the content room under `/api`."""

from rest_framework.routers import SimpleRouter

from personalization.content import views

_router = SimpleRouter()
_router.register("placements", views.PlacementViewSet)
_router.register("campaigns", views.CampaignViewSet)
_router.register("blocks", views.BlockViewSet)
api = _router.urls
