"""Who calls `/api`: a secret key, or a signed-in member of staff."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request

from personalization.access import errors, limits, serve
from personalization.access.serve import Caller


class KeyOrStaffAuthentication(SessionAuthentication):
    """A key wins over a session. `request.auth` is the Caller of a key; `request.user` staff.

    Sessions are protected by CSRF tokens as everywhere in Django; keys need none.
    """

    def authenticate(self, request: Request) -> tuple[User | None, Caller | None] | None:
        """Return (None, caller), (staff, None), or None for nobody."""
        meta = request.META
        if meta.get("HTTP_AUTHORIZATION") or meta.get("HTTP_X_API_KEY"):
            return None, _key_caller(request)
        signed_in = super().authenticate(request)
        if signed_in is None:
            return None
        user = signed_in[0]
        return (user, None) if isinstance(user, User) and user.is_staff else None

    def authenticate_header(self, _request: Request) -> str:
        """Ask for a key."""
        return 'Bearer realm="api"'


def actor_of(request: Request) -> str:
    """Return the name that the audit trail gives whoever sent the request."""
    if isinstance(request.auth, Caller):
        return request.auth.actor
    return str(request.user.get_username()) if request.user else "nobody"


def _key_caller(request: Request) -> Caller:
    caller = serve.authenticate(request)
    if not caller.secret:
        msg = "a public key opens /v1 alone; use a secret key on a server"
        raise errors.ScopeMissing(msg)
    limits.check(caller, serve.address_of(request))
    return caller


class KeyOrStaffScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    """What the schema says of it."""

    target_class = "personalization.access.authentication.KeyOrStaffAuthentication"
    name = ["bearer", "basic", "apiKey", "session"]

    def get_security_requirement(self, _auto_schema: Any) -> list[dict[str, list[str]]]:
        """Any one of them is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, _auto_schema: Any) -> list[dict[str, str]]:
        """Return one scheme for each name."""
        return [
            {"type": "http", "scheme": "bearer"},
            {"type": "http", "scheme": "basic", "description": "The key as user name."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            {"type": "apiKey", "in": "cookie", "name": "sessionid"},
        ]
