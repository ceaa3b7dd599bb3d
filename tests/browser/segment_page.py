"""Pages of one segment, of overlaps and of "why", with everything in them that they can show."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.urls import path

from personalization.urls import urlpatterns as project
from segments.models import Segment
from segments.pictures import Measured, members_chart, overlap_matrix

NOW = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
PEOPLE = [{"label": f"u{n}", "url": f"/admin/#customer-{n}"} for n in range(5)]
WHY_PAGE = """
{% extends "admin/base_site.html" %}{% block content %}<div id="content-main">
<section class="card"><h2>Segments</h2>{% include "studio/segments/why.html" %}</section>
</div>{% endblock %}
"""


def _around(request: HttpRequest, title: str) -> dict[str, Any]:
    return {
        **admin.site.each_context(request),
        "opts": get_user_model()._meta,
        "title": title,
        "list_url": "/admin/",
    }


def _sizes() -> list[Measured]:
    """Return thirty days that rise, stand and fall."""
    shape = [200 + 40 * day if day < 15 else 1400 - 35 * day for day in range(30)]
    return [
        Measured(NOW - timedelta(days=29 - day), members, (7 * day) % 60, (5 * day) % 45)
        for day, members in enumerate(shape)
    ]


def _version(number: int, status: str, tone: str, **more: Any) -> dict[str, Any]:
    return {
        "number": number,
        "status": status,
        "tone": tone,
        "sentence": "Customers who viewed a product at least 3 times in the last 7 days",
        "note": "more eager",
        "created_at": NOW - timedelta(days=number),
        "created_by": "mara",
        "published_at": None,
        "progress": None,
        "url": "/admin/#version",
        "actions": [],
        **more,
    }


def _lookalikes() -> dict[str, Any]:
    """Return lookalikes that are there and being learnt again."""
    run = {"total": 2, "done": 1}
    found: dict[str, Any] = {"model": "eager v2", "alike": 1_204, "score": "lookalike:eager"}
    found |= {"scored_at": NOW, "run": run, "busy": True, "reason": "members are like anybody"}
    job = {"status": "running", "told": "1 of 2 steps", "url": "/admin/"}
    return {
        "found": found,
        "auc": "0.81",
        "model_url": "/admin/",
        "job": job,
        "url": "/admin/",
        "may_start": True,
    }


def segment(request: HttpRequest) -> TemplateResponse:
    """Show a segment of which everything is known; with `?bare` one of which nothing is."""
    full = "bare" not in request.GET
    page: dict[str, Any] = {
        "in_force": full,
        "segment": Segment(key="eager", title="Eager", description="Look often.", built_in=full),
        "sentence": "Customers who viewed a product at least 3 times in the last 7 days.",
        "size": 385,
        "total": 20_000,
        "share": "1.9 %",
        "as_of": NOW,
        "window": "the last 30 days",
        "entered": 812,
        "left": 627,
        "members": members_chart(_sizes()) if full else None,
        "measured_at": NOW,
        "versions": [
            _version(3, "Draft", "", actions=[{"label": "Publish", "url": "/admin/"}]),
            _version(2, "Shadow", "warn", progress=40),
            _version(
                1,
                "Published",
                "good",
                published_at=NOW,
                actions=[{"label": "Roll back", "url": "/admin/", "danger": True}],
            ),
        ],
        "diff": {
            "from_number": 1,
            "to_number": 3,
            "as_of": NOW,
            "exact": False,
            "margin": 12,
            "entering": 120,
            "leaving": 0,
            "staying": 300,
            "samples": {"entering": PEOPLE, "leaving": [], "staying": PEOPLE[:2]},
        },
        "changes": [
            {
                "at": NOW,
                "noticed_at": NOW,
                "entered": n % 2 == 0,
                "label": f"u{n}",
                "url": "/admin/",
                "cause": "Event",
                "version": 1,
            }
            for n in range(4)
        ],
        "sample": PEOPLE,
        "dependents": [{"what": "segment vip", "url": "/admin/"}, {"what": "campaign x"}],
        "names": [{"what": "segment lurkers", "url": "/admin/"}],
        "exports": [{"label": "CSV", "url": "/admin/"}, {"label": "NDJSON", "url": "/admin/"}],
        "lookalikes": _lookalikes(),
        "edit_url": "/admin/",
        "list_url": "/admin/",
        "docs": "rules",
    }
    if not full:
        nothing = ("versions", "changes", "sample", "dependents", "names", "exports")
        page |= {key: [] for key in nothing} | {"diff": None, "sentence": ""}
        page["lookalikes"]["found"] |= {"model": None, "run": None, "busy": False, "reason": ""}
    context = _around(request, "Eager") | {"page": page}
    return TemplateResponse(request, "studio/segments/segment.html", context)


def overlap(request: HttpRequest) -> TemplateResponse:
    """Show six segments against each other, one of them empty."""
    keys = [(f"s{n}", f"Segment number {n}") for n in range(6)]
    shared = {(f"s{a}", f"s{b}"): 40 * (min(a, b)) for a in range(6) for b in range(6) if a <= b}
    context = _around(request, "Overlap") | {
        "matrix": overlap_matrix(keys, shared),
        "as_of": NOW,
        "exact": True,
    }
    return TemplateResponse(request, "studio/segments/overlap_page.html", context)


def _part(depth: int, sentence: str, *, holds: bool, **more: Any) -> dict[str, Any]:
    return {
        "depth": depth,
        "group": False,
        "sentence": sentence,
        "holds": holds,
        "value": "",
        "at": None,
        "turns_at": None,
        **more,
    }


def why(request: HttpRequest) -> HttpResponse:
    """Show why somebody is in one segment and not in another."""
    soon = NOW + timedelta(hours=5)
    panel = {
        "as_of": NOW,
        "segments": [
            {
                "title": "Eager",
                "url": "/admin/",
                "member": True,
                "since": NOW - timedelta(days=2),
                "until": soon,
                "version": 1,
                "conditions": [
                    _part(0, "All of these hold", holds=True, group=True),
                    _part(
                        1,
                        "viewed a product at least 3 times in the last 7 days",
                        holds=True,
                        value="4 times",
                        at=NOW - timedelta(hours=3),
                        turns_at=soon,
                    ),
                    _part(1, "At least one of these holds", holds=True, group=True),
                    _part(2, "country is Germany", holds=False, value="Austria", at=NOW),
                    _part(2, "is in segment VIP", holds=True),
                ],
            },
            {
                "title": "Lapsing",
                "url": "",
                "member": False,
                "since": None,
                "until": None,
                "version": 2,
                "conditions": [_part(0, "orders is at least 1", holds=False, value="0")],
            },
        ],
    }
    template = engines["django"].from_string(WHY_PAGE)
    return HttpResponse(template.render(_around(request, "Why") | {"panel": panel}, request))


urlpatterns = [
    *project,
    path("segments-test/segment", segment),
    path("segments-test/overlap", overlap),
    path("segments-test/why", why),
]
