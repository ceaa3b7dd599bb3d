"""Who calls `/api`: a secret key or a signed-in member of staff."""

from rest_framework.authentication import BaseAuthentication


class KeyOrStaffAuthentication(BaseAuthentication):
    """Replaced by the access room."""
