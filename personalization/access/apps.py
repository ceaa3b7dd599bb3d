"""Registrations of the access app."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccessConfig(AppConfig):
    """The access app."""

    name = "personalization.access"
    label = "access"
    verbose_name = "Access"

    def ready(self) -> None:
        """Hand the keys to the published configuration; give role groups their permissions."""
        from personalization.access import audit, staff  # noqa: PLC0415 -- needs loaded models
        from personalization.access.config import AccessPart  # noqa: PLC0415 -- as above
        from personalization.lib.registries import config_parts, trails  # noqa: PLC0415 -- as above

        config_parts.register("access", AccessPart())
        trails.register("access", audit.audit)
        post_migrate.connect(staff.sync_permissions, dispatch_uid="access.roles")
