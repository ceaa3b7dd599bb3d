"""Addresses of the decisions room: `wire` under `/v1`, `ofrep` under `/ofrep/v1`."""

from django.urls import path

from personalization.decisions import views

wire = [
    path("decide", views.decide, name="decide"),
    path("recommendations/<str:strategy>", views.recommendations, name="recommendations"),
]
ofrep = [
    path("evaluate/flags/<str:key>", views.evaluate_flag, name="ofrep-flag"),
    path("evaluate/flags", views.evaluate_flags, name="ofrep-flags"),
]
