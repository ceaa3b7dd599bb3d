"""Middleware that serves pages and people: sessions, log-in, messages, forgery and content policy.

Storefronts call the wire (`/v1`, `/ofrep`) with a key and get JSON. Such a call without a session
cookie passes these by: together they cost half as much again as the rest of Django. With the cookie
it takes the whole way, since staff may ask for explanations. Hosts, TLS, request ids and CORS hold
for all calls.
"""

from typing import Any

from csp import middleware as csp
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from whitenoise.middleware import WhiteNoiseMiddleware

_WIRE = ("/v1/", "/ofrep/")


def on_wire(request: HttpRequest) -> bool:
    """Whether a storefront calls, and no session with it."""
    if not request.path_info.startswith(_WIRE):
        return False
    return settings.SESSION_COOKIE_NAME not in request.META.get("HTTP_COOKIE", "")


class _OffTheWire:
    """Lets calls on the wire pass by the middleware that it is mixed into."""

    # Each middleware's own, which they type differently.
    get_response: Any

    def __call__(self, request: HttpRequest) -> Any:
        """Pass by, or do what the middleware does."""
        if on_wire(request):
            return self.get_response(request)
        return super().__call__(request)  # type: ignore[misc]  # that of the middleware


class StaticFiles(_OffTheWire, WhiteNoiseMiddleware):  # type: ignore[misc]  # it ships no types
    """Static files."""


class Sessions(_OffTheWire, SessionMiddleware):
    """Sessions."""


class Csrf(_OffTheWire, CsrfViewMiddleware):
    """Protection of forms. Its look at the view lets the wire pass: those views are exempt."""


class Authentication(_OffTheWire, AuthenticationMiddleware):
    """Who is signed in."""


class Messages(_OffTheWire, MessageMiddleware):
    """One-time messages of the admin."""


class Frames(_OffTheWire, XFrameOptionsMiddleware):
    """No page of ours in a frame of others."""


class ContentPolicy(_OffTheWire, csp.CSPMiddleware):
    """What a page may load."""
