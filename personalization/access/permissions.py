"""What a caller of `/api` may do: scopes for keys, roles for staff.

The role comes from the table that the admin's groups are made from (`engine/roles.py`), so that
both doors ask for the same.
"""

from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from personalization.access import errors
from personalization.access.engine import roles
from personalization.access.serve import Caller
from personalization.access.staff import role_of


class RolePermission(BasePermission):
    """Read by the view's attributes, all optional.

    `scope_read`, `scope_write`
        Scope that a key needs; "admin" where the view names none. A key with "admin" may do all.
    `queryset`
        The role that may view, or change, its model is what staff needs; without one viewer and
        editor.
    `action_roles`
        {action: role} for actions that ask for more, such as publishing.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Let through, refuse naming what is missing, or (nobody there) ask for a key."""
        reads = request.method in SAFE_METHODS
        if isinstance(request.auth, Caller):
            scope = getattr(view, "scope_read" if reads else "scope_write", "admin")
            if not request.auth.allows("admin"):
                request.auth.require(scope)
            return True
        held = role_of(request.user)
        if not held:
            return False
        wanted = _role(view, reads=reads)
        if not roles.allows(held, wanted):
            msg = f"this needs the role {wanted!r}; yours is {held!r}"
            raise errors.RoleMissing(msg)
        return True


def may(request: Request, wanted: str) -> bool:
    """Whether who was let through may also do what asks for the role `wanted`; keys may."""
    return isinstance(request.auth, Caller) or roles.allows(role_of(request.user), wanted)


def _role(view: Any, *, reads: bool) -> str:
    special: str = getattr(view, "action_roles", {}).get(getattr(view, "action", None), "")
    return special or _usual_role(view, reads=reads)


def _usual_role(view: Any, *, reads: bool) -> str:
    queryset = getattr(view, "queryset", None)
    if queryset is None:
        return "viewer" if reads else "editor"
    named = queryset.model._meta
    verb = "view" if reads else "change"
    return roles.needed(roles.Permission(named.app_label, named.model_name, verb))
