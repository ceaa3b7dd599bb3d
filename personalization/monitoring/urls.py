"""Addresses of the monitoring app."""

from django.urls import URLPattern, URLResolver, path

from personalization.monitoring import views

root: list[URLPattern | URLResolver] = [path("metrics", views.metrics, name="metrics")]
