"""Registrations of the consent app."""

from django.apps import AppConfig


class ConsentConfig(AppConfig):
    """The consent app."""

    name = "personalization.consent"
    label = "consent"
    verbose_name = "Consent"

    def ready(self) -> None:
        """Hand purposes to the configuration, and consent to documents and merges."""
        from personalization.consent import config, ledger, panels, selectors  # noqa: PLC0415 -- models
        from personalization.lib import registries  # noqa: PLC0415 -- as above

        registries.config_parts.register("consent", config.ConsentPart())
        registries.document_parts.register("consent", selectors.document_part)
        registries.merge_hooks.register("consent", ledger.recompute_both)
        registries.cache_epochs.register("consent", selectors.deny_epoch)
        registries.customer_details.register("consent", panels.customer_detail)
        registries.customer_panels.register(
            "consent",
            registries.Panel(
                "Consent", "studio/customer_consent.html", panels.customer_consent, order=10
            ),
        )
