"""Addresses of the consent room under `/v1`."""

from django.urls import path

from personalization.consent.views import consent

wire = [path("consent", consent, name="consent")]
