"""The process's running picture of the numbers in events, seeded from the log's newest rows."""

from collections import defaultdict

from django.db import connection

from personalization.events.engine.outliers import PROPERTIES, Pictures
from personalization.events.serve import schema

# Enough for a full window of every busy event type; read through the BRIN index on seq.
_SEED_ROWS = 20_000

_NEWEST = """
SELECT e.name, p.key, (e.properties ->> p.key)::float8
FROM events_event e CROSS JOIN unnest(%s::text[]) AS p (key)
WHERE e.seq > (SELECT last_value FROM events_event_seq) - %s
  AND jsonb_typeof(e.properties -> p.key) = 'number'
ORDER BY e.seq
"""

pictures = Pictures()


def seed() -> None:
    """Make the pictures anew from the newest rows, so that all processes see about the same."""
    known = schema().known
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_NEWEST, [list(PROPERTIES), _SEED_ROWS])
        for name, key, value in cursor.fetchall():
            if known(name) is not None:
                values[name, key].append(value)
    pictures.seed(values)
