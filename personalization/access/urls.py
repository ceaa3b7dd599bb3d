"""Addresses of the access room. They stand before the admin's own."""

from django.urls import URLPattern, URLResolver, path

from personalization.access import views

root: list[URLPattern | URLResolver] = [
    path("admin/one-time/<str:token>/", views.one_time_login, name="one-time-login"),
]
