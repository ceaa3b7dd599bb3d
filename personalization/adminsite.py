"""Our admin site: Django's own with our theme, an index that shows the state, and help pages."""

from collections.abc import Mapping
from typing import Any

import structlog
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig
from django.db import DatabaseError, transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path

from personalization.lib import docs
from personalization.lib.errors import AppError, NotFound
from personalization.lib.registries import Panel, index_panels, trails

log = structlog.get_logger("adminsite")

# What people open most comes first; apps that are not named here follow by name.
APP_ORDER = (
    "customers",
    "content",
    "recommender",
    "catalog",
    "events",
    "decisions",
    "consent",
    "segments",
    "experiments",
    "monitoring",
    "ops",
    "access",
    "auth",
)


class PersonalizationAdminSite(admin.AdminSite):
    """The one admin site of the project."""

    site_header = "Personalization"
    site_title = "Personalization"
    index_title = "Overview"
    site_url = None

    def get_urls(self) -> list[URLPattern | URLResolver]:
        """Return Django's pages and ours: the live state, the help pages."""
        return [
            path("state/", self.admin_view(self.state), name="state"),
            path("help/pictures/<str:name>", self.admin_view(self.picture), name="help_picture"),
            path("help/<path:page>/", self.admin_view(self.help), name="help"),
            *super().get_urls(),
        ]

    def index(
        self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None
    ) -> TemplateResponse:
        """Show the state of the system, then everything that can be opened."""
        return super().index(request, {**(extra_context or {}), "panels": _panels()})

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Show or save the form of one's own new password; leave a line when it changed."""
        before = _password(request)
        with transaction.atomic():
            answer = super().password_change(request, extra_context)
            if _password(request) != before:
                _tell_trails(request, "set_password")
        return answer

    def state(self, request: HttpRequest) -> HttpResponse:
        """Answer the live part of the index alone."""
        return TemplateResponse(request, "admin/state.html", {"panels": _panels()})

    def help(self, request: HttpRequest, page: str) -> HttpResponse:
        """Show one page of docs/."""
        try:
            found = docs.page(page)
        except NotFound as error:
            raise Http404(error.message) from error
        context = {**self.each_context(request), "title": found.title, "page": found}
        return TemplateResponse(request, "studio/help.html", context)

    def picture(self, _request: HttpRequest, name: str) -> FileResponse:
        """Send one picture of docs/images."""
        try:
            return FileResponse(docs.picture(name).open("rb"), content_type="image/png")
        except NotFound as error:
            raise Http404(error.message) from error

    def get_app_list(
        self, request: HttpRequest, app_label: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the apps in the order of APP_ORDER."""
        found = super().get_app_list(request, app_label)
        place = {label: index for index, label in enumerate(APP_ORDER)}
        return sorted(found, key=lambda app: place.get(app["app_label"], len(place)))


def _password(request: HttpRequest) -> str:
    """Return the hash that Django holds; its form sets it on this very object."""
    return str(getattr(request.user, "password", ""))


def _tell_trails(request: HttpRequest, action: str) -> None:
    for _name, write in sorted(trails.items()):
        write(actor=request.user.get_username(), action=action, obj=request.user)


def _panels() -> list[dict[str, Any]]:
    """Render each registered panel's context; one that fails does not take the page with it."""
    found = []
    for name, panel in sorted(index_panels.items(), key=lambda entry: entry[1].order):
        try:
            found.append(_context(panel))
        except (AppError, DatabaseError):
            log.warning("index.panel_failed", panel=name, exc_info=True)
    return found


def _context(panel: Panel) -> dict[str, Any]:
    return {"title": panel.title, "template": panel.template, "context": panel.render(None)}


class AdminConfig(DjangoAdminConfig):
    """Make `admin.site` ours everywhere."""

    default_site = "personalization.adminsite.PersonalizationAdminSite"

    def ready(self) -> None:
        """Find every app's admin, and give Django's own app a name that people understand."""
        apps.get_app_config("auth").verbose_name = "Staff accounts"
        super().ready()
