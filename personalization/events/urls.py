"""Addresses of ingestion: documented paths, and the short ones that analytics.js really uses."""

from django.urls import path

from personalization.events import views

_SHORT = {
    "track": "t",
    "identify": "i",
    "page": "p",
    "screen": "s",
    "group": "g",
    "alias": "a",
}

wire = [
    # first: they are tried in this order
    path("batch", views.batch, name="events-batch"),
    path("b", views.batch, name="events-batch-short"),
    *(
        path(address, view, name=f"events-{kind}{suffix}")
        for kind, short in _SHORT.items()
        for view in [views.single(kind)]
        for address, suffix in ((kind, ""), (short, "-short"))
    ),
    path("pixel.gif", views.pixel, name="events-pixel"),
]

api = [
    path(
        "customers/<uuid:uuid>/timeline/",
        views.TimelineViewSet.as_view({"get": "list"}),
        name="customer-timeline",
    ),
]
