"""The share of purposes in the published configuration."""

from typing import Any

from personalization.consent.engine.purposes import PERSONALIZATION, Purposes, parse
from personalization.consent.models import Purpose
from personalization.lib.errors import Unprocessable


class ConsentPart:
    """All purposes with their bits and defaults."""

    # What the law asks for today does not go back with yesterday's campaigns.
    never_rolls_back = True

    def export(self) -> dict[str, Any]:
        """Return the purposes in the order of their bits."""
        fields = ("key", "title", "bit", "default_granted", "gpc_denies")
        return {"purposes": list(Purpose.objects.order_by("bit").values(*fields))}

    def load(self, data: Any) -> Purposes:
        """Return the purposes, immutable."""
        try:
            purposes = parse(data)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"the published purposes cannot be read: {error}"
            raise Unprocessable(msg) from error
        if purposes.bit("personalization") != PERSONALIZATION:
            msg = "the purpose 'personalization' must exist with bit 1: decisions are gated by it"
            raise Unprocessable(msg)
        return purposes
