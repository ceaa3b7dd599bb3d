"""What monitoring shows on pages of others."""

from collections.abc import Mapping
from typing import Any

from personalization.lib import clock
from personalization.monitoring.selectors import system_figures


def state(_subject_id: int | None) -> Mapping[str, Any]:
    """Return the context of the overview's figures."""
    now = clock.now()
    return {"figures": system_figures(now), "as_of": now}
