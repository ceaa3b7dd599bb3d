"""What the decision log knows of a customer, for access and erasure."""

from typing import Any

from personalization.decisions import record
from personalization.decisions.models import Decision


class LoggedDecisions:
    """Logged decisions of one customer. Rows older than the retention are gone already."""

    def export(self, customer_id: int) -> list[dict[str, Any]]:
        """Return every logged decision, oldest first."""
        rows = Decision.objects.filter(customer_id=customer_id).order_by("at")
        return [{"id": str(row.id), "at": row.at.isoformat(), **row.body} for row in rows]

    def erase(self, customer_id: int) -> int:
        """Delete them, those of this process that still wait included; return how many went."""
        waited = record.drop(customer_id)
        deleted, _ = Decision.objects.filter(customer_id=customer_id).delete()
        return deleted + waited
