"""What a caller of `/api` may do: scopes for keys, roles for staff."""

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
    `role_read`, `role_write`
        Role that staff needs: viewer and editor where the view names none.
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


def _role(view: Any, *, reads: bool) -> str:
    attribute, default = ("role_read", "viewer") if reads else ("role_write", "editor")
    usual = getattr(view, attribute, default)
    special: str = getattr(view, "action_roles", {}).get(getattr(view, "action", None), usual)
    return special
