"""When an id was made: UUID version 7 (RFC 9562, section 5.7) begins with its milliseconds."""

from datetime import UTC, date, datetime
from uuid import UUID


def made_ms(made: UUID) -> int:
    """Return the milliseconds since the epoch that the id begins with."""
    return made.int >> 80


def day_of(made: UUID) -> date:
    """Return the UTC day on which the id was made."""
    return datetime.fromtimestamp(made_ms(made) / 1000, UTC).date()
