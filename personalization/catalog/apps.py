"""Registrations of the catalog app."""

from django.apps import AppConfig

from personalization.lib import background


class CatalogConfig(AppConfig):
    """The catalog app."""

    name = "personalization.catalog"
    label = "catalog"
    verbose_name = "Catalog"

    def ready(self) -> None:
        """Have long-lived processes follow the catalogue."""
        from personalization.catalog import serve  # noqa: PLC0415 -- models load after the apps

        background.register("catalog.watch", seconds=0.5, run=serve.watch, kinds={"web"})
