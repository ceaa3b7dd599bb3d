"""Every address of the server. Apps bring their own `urls.py`; `/v1` is for storefronts, `/api` for back offices."""

from django.contrib import admin
from django.urls import path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/schema/", SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]), name="schema"),
    path(
        "api/docs/",
        SpectacularSwaggerView.as_view(permission_classes=[], authentication_classes=[], url_name="schema"),
        name="docs",
    ),
]
