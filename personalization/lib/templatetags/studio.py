"""Template tags of our admin pages: empty states, grouped numbers."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from personalization.lib.admin import EmptyState

register = template.Library()


@dataclass(frozen=True, slots=True)
class Empty:
    """An empty state with its addresses resolved."""

    title: str
    what: str
    why: str
    action: str
    url: str
    docs_url: str


@register.filter
def grouped(number: int) -> str:
    """Return the number with thousands set apart: 1,234,567."""
    return f"{number:,}"


@register.simple_tag
def empty_state(cl: Any, request: HttpRequest) -> Empty | None:
    """Return what the list says instead of rows; None when it has some."""
    if cl.result_count:
        return None
    plural = cl.opts.verbose_name_plural
    if cl.query or cl.has_active_filters:
        return Empty(
            title=f"No {plural} match",
            what="Nothing fits this search and these filters together.",
            why="",
            action="Show everything",
            url=request.path,
            docs_url="",
        )
    given = getattr(cl.model_admin, "empty_state", None) or _plain_state(cl, request)
    return empty_page(given, cl.opts)


@register.simple_tag
def empty_page(given: EmptyState, opts: Any) -> Empty:
    """Return what a list, or the page that stands in its place, says while there is nothing."""
    return Empty(
        title=f"No {opts.verbose_name_plural} yet",
        what=given.what,
        why=given.why,
        action=given.action,
        url=_address(given.action_url),
        docs_url=help_url(given.docs) if given.docs else "",
    )


@register.filter
def help_url(page: str) -> str:
    """Return the address of a page of docs/ with its anchor (`metrics#lag`)."""
    name, _, anchor = page.partition("#")
    return reverse("admin:help", kwargs={"page": name}) + (f"#{anchor}" if anchor else "")


def _plain_state(cl: Any, request: HttpRequest) -> EmptyState:
    """Return the empty state of an admin that brings none: those of Django itself."""
    what = (cl.model.__doc__ or "").strip().split("\n")[0]
    if what.startswith(f"{cl.model.__name__}("):
        what = f"{capfirst(cl.opts.verbose_name_plural)} are kept here."
    name = f"admin:{cl.opts.app_label}_{cl.opts.model_name}_add"
    can_add = cl.model_admin.has_add_permission(request)
    return EmptyState(
        what=what,
        why="Nobody has added one." if can_add else "They appear here by themselves.",
        action=f"Add {cl.opts.verbose_name}" if can_add else "",
        action_url=name if can_add else "",
        docs="README",
    )


def _address(name: str) -> str:
    if not name or name.startswith("/"):
        return name
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
