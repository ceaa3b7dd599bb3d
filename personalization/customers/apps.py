"""Registrations of the customers app."""

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    """The customers app."""

    name = "personalization.customers"
    label = "customers"
    verbose_name = "Customers"

    def ready(self) -> None:
        """Hand traits to the configuration.

        Keep documents and their epochs fresh in the background.
        """
        from personalization.customers import documents, traits  # noqa: PLC0415 -- models
        from personalization.lib import background, registries  # noqa: PLC0415 -- as above

        registries.config_parts.register("traits", traits.TraitsPart())
        background.register(
            "customers.epochs",
            seconds=documents.EPOCH_LEASE_S / 2,
            run=documents.watch_epochs,
            kinds={"web", "processor"},
        )
        background.register(
            "customers.documents", seconds=1.0, run=documents.keep, kinds={"processor"}
        )
