"""A page with the rule builder in an admin form, and a server beside it whose answers are known."""

import json
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import engines
from django.urls import path

from personalization.urls import urlpatterns as project
from segments.forms import RuleField

TOTAL = 20_000
CATALOGUE: dict[str, Any] = {
    "events": [
        {
            "name": "Product Viewed",
            "title": "Product viewed",
            "properties": [
                {"key": "price", "title": "Price", "type": "number"},
                {
                    "key": "category",
                    "title": "Category",
                    "type": "string",
                    "values": ["shoes", "hats", "coats, long"],
                },
                {"key": "sale", "title": "On sale", "type": "boolean"},
                {"key": "tags", "title": "Tags", "type": "strings"},
                {"key": "released_at", "title": "Released", "type": "datetime"},
            ],
        },
        {
            "name": "Product Added",
            "title": "Product added to cart",
            "properties": [{"key": "price", "title": "Price", "type": "number"}],
        },
        {
            "name": "Order Completed",
            "title": "Order completed",
            "properties": [
                {"key": "revenue_minor", "title": "Revenue", "type": "number"},
                {"key": "products[].category", "title": "Category of a product", "type": "string"},
            ],
        },
    ],
    "context": [
        {
            "key": "$context.device.type",
            "title": "Device",
            "type": "string",
            "values": ["mobile", "desktop"],
        }
    ],
    "traits": [
        {"key": "country", "title": "Country", "type": "string", "values": ["DE", "AT", "CH"]},
        {"key": "birthday", "title": "Birthday", "type": "datetime"},
        {"key": "newsletter", "title": "Newsletter", "type": "boolean"},
        {"key": "orders", "title": "Orders", "type": "number", "computed": True},
        {"key": "revenue_minor", "title": "Revenue", "type": "number", "computed": True},
    ],
    "segments": [
        {"key": "vip", "title": "VIP"},
        {"key": "lurkers", "title": "Lurkers"},
    ],
    "lists": [{"key": "press", "title": "Press"}],
    "scores": [{"key": "churn", "title": "Churn risk"}],
    "request": [{"key": "page.path", "title": "Page", "type": "string"}],
    "product": [{"key": "price_minor", "title": "Price", "type": "number"}],
    "kinds": [],
    "currency": "EUR",
    "time_zone": "Europe/Berlin",
}


class RuleForm(forms.Form):
    """One rule."""

    rule = RuleField(
        catalogue_url="/rules-test/catalogue", preview_url="/rules-test/preview", required=False
    )


PAGE = """
{% extends "admin/base_site.html" %}{% load static %}
{% block extrastyle %}{{ block.super }}
<link rel="stylesheet" href="{% static 'admin/css/forms.css' %}">{% endblock %}
{% block extrahead %}{{ block.super }}{{ form.media }}{% endblock %}
{% block content %}<div id="content-main">
<form method="post" novalidate id="segment_form">{% csrf_token %}<div>
<fieldset class="module aligned">{% for field in form %}
<div class="form-row field-rule">{{ field.errors }}<div>
<div class="flex-container">{{ field.label_tag }}{{ field }}</div></div></div>
{% endfor %}</fieldset>
<div class="submit-row"><input type="submit" value="Save" class="default"></div></div></form>
{% if saved %}<pre class="code" id="saved" tabindex="0">{{ saved }}</pre>{% endif %}
</div>{% endblock %}
"""


def page(request: HttpRequest) -> HttpResponse:
    """Show the form with the rule in `?rule=`; show what was saved as JSON."""
    saved = ""
    if request.method == "POST":
        form = RuleForm(request.POST)
        if form.is_valid():
            saved = json.dumps(form.cleaned_data["rule"])
    else:
        given = request.GET.get("rule", "")
        form = RuleForm(initial={"rule": json.loads(given) if given else None})
    template = engines["django"].from_string(PAGE)
    context = {**admin.site.each_context(request), "form": form, "saved": saved, "title": "Rule"}
    return HttpResponse(template.render(context, request))


def catalogue(_request: HttpRequest) -> JsonResponse:
    """Answer with the names that can be chosen."""
    return JsonResponse(CATALOGUE)


def problems_of(rule: Any, path_: str = "") -> Iterator[dict[str, str]]:
    """Yield the faults that this stand-in knows: events and amounts that are missing or unknown."""
    dot = f"{path_}." if path_ else ""
    for word in ("and", "or"):
        for place, one in enumerate(rule.get(word, [])):
            yield from problems_of(one, f"{dot}{word}[{place}]")
    if "not" in rule:
        yield from problems_of(rule["not"], f"{dot}not")
    names = {one["name"] for one in CATALOGUE["events"]}
    if isinstance(rule.get("event"), str) and rule["event"] not in names:
        yield {"path": f"{dot}event", "problem": "is no event of the catalogue"}
    if rule.get("kind") == "count" and "value" not in rule:
        yield {"path": f"{dot}value", "problem": "is missing"}
    for place, one in enumerate(rule.get("where", [])):
        if one.get("value") == "nobody":
            yield {"path": f"{dot}where[{place}]", "problem": "holds for nobody"}


def leaf_paths(rule: Any, path_: str = "") -> Iterator[str]:
    """Yield the path of every leaf."""
    dot = f"{path_}." if path_ else ""
    found = False
    for word in ("and", "or"):
        for place, one in enumerate(rule.get(word, [])):
            found = True
            yield from leaf_paths(one, f"{dot}{word}[{place}]")
    if "not" in rule:
        found = True
        yield from leaf_paths(rule["not"], f"{dot}not")
    if not found:
        yield path_


def preview(request: HttpRequest) -> JsonResponse:
    """Answer with numbers that follow from the length of the rule alone."""
    rule = json.loads(request.body)["rule"]
    problems = list(problems_of(rule))
    if problems:
        return JsonResponse({"valid": False, "problems": problems}, status=422)
    count = len(json.dumps(rule)) * 10
    paths = list(leaf_paths(rule))
    return JsonResponse(
        {
            "valid": True,
            "sentence": f"Customers for whom {len(paths)} conditions hold.",
            "count": count,
            "total": TOTAL,
            "exact": count < TOTAL // 2,
            "margin": None if count < TOTAL // 2 else 120,
            "sample": [
                {"id": str(n), "label": f"u{n}", "url": f"/admin/#customer-{n}"} for n in range(10)
            ],
            "conditions": [
                {
                    "path": one,
                    "sentence": "viewed a product at least once in the last 7 days",
                    "matching": 4000 + 10 * place,
                    "matching_margin": 90,
                    "removes": 1200 * (place + 1),
                    "removes_margin": 60,
                }
                for place, one in enumerate(paths)
            ],
            "overlap": [
                {"key": "vip", "title": "VIP", "shared": 120, "shared_margin": 15, "size": 300}
            ],
            "as_of": "2026-11-27T10:00:00Z",
            "ms": 120,
        }
    )


urlpatterns = [
    *project,
    path("rules-test/", page),
    path("rules-test/catalogue", catalogue),
    path("rules-test/preview", preview),
]
