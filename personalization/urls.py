"""Every address of the server: `/v1` for storefronts, `/api` for back offices, `/admin`."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from personalization.access.urls import root as access_root
from personalization.catalog import urls as catalog
from personalization.consent import urls as consent
from personalization.content import urls as content
from personalization.customers import urls as customers
from personalization.decisions import urls as decisions
from personalization.demo import urls as demo
from personalization.events import urls as events
from personalization.monitoring import urls as monitoring
from recommender import urls as recommender
from segments import urls as segments

Addresses = list[URLPattern | URLResolver]

wire: Addresses = [*decisions.wire, *events.wire, *consent.wire]
api: Addresses = [
    path(
        "schema/",
        SpectacularAPIView.as_view(permission_classes=[], authentication_classes=[]),
        name="schema",
    ),
    path(
        "docs/",
        SpectacularSwaggerSplitView.as_view(
            permission_classes=[], authentication_classes=[], url_name="schema"
        ),
        name="docs",
    ),
    *customers.api,
    *events.api,
    *catalog.api,
    *segments.api,
    *recommender.api,
    *content.api,
    *monitoring.api,
]

handler404 = "personalization.lib.http.not_found"
handler500 = "personalization.lib.http.failed"
urlpatterns: Addresses = [
    # first: addresses are tried in this order, and nearly all calls come here
    path("v1/", include(wire)),
    *monitoring.root,
    *access_root,
    path("admin/", admin.site.urls),
    path("api/", include(api)),
    path("ofrep/v1/", include(decisions.ofrep)),
    path("shop/", include(demo.shop)),
    *demo.root,
]
