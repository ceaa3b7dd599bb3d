"""What a caller of `/api` may do."""

from rest_framework.permissions import BasePermission


class RolePermission(BasePermission):
    """Replaced by the access room; denies everything until then."""

    def has_permission(self, request: object, view: object) -> bool:
        """Deny."""
        return False
