"""One processor folding a backlog into profiles, against a bare read-fold-write loop."""

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson

from bench import harness
from bench.harness import Figure

if TYPE_CHECKING:
    from personalization.events.bulk import BulkEvent

EVENTS = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
CUSTOMERS = max(EVENTS // 10, 1)
CHUNK = 2_000
_STATED = 200_000
PROTOCOL = (
    f"{EVENTS} events of {CUSTOMERS} known customers in visits of five, loaded into the log "
    "beforehand. Live: the clock runs from the start of one processor with its lanes, as "
    "`manage.py process` starts it, to its end when nothing is left: profiles, facts, dirty marks, "
    "watermarks and Redis documents included. Bulk: watermarks "
    "set back and profiles emptied, then bulk mode over the same log, without documents. "
    "cpu_us_per_event adds the processor's processes, their start, and all of PostgreSQL: it says "
    "what a busy machine hides. The bare loop reads "
    f"the same rows in order, {CHUNK} at a time, counts per customer, updates the same profile "
    "rows and commits: no consent, merge, ordering or exactly-once care."
)
READ = """
SELECT e.seq, e.identity_id, e.name, e.properties::text FROM events_event e
WHERE e.seq > %s ORDER BY e.seq LIMIT %s
"""
WRITE = """
UPDATE customers_profile p SET state = v.state::jsonb FROM (VALUES %s) AS v (id, state)
WHERE p.customer_id = (SELECT customer_id FROM customers_identity i WHERE i.id = v.id)
"""


def main() -> None:
    """Measure and write the result."""
    local = harness.prepare()
    from django.db import connection

    from personalization.events.bulk import copy_events
    from personalization.events.processor import bulk

    copy_events(history(), progress=lambda _counts: None)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    live, live_cpu = _measured(harness.drained, local)
    bare = EVENTS / _bare()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE events_watermark SET epoch = 0, xid = 0, seq = 0")
        cursor.execute("TRUNCATE customers_profile")
    bulked, bulk_cpu = _measured(bulk.run, local)
    enough = EVENTS >= _STATED
    harness.write(
        "processing",
        {
            "events_per_second": Figure(
                live,
                "events/s",
                live / bare,
                bare,
                ">= 10000 events/s",
                live >= 10_000 if enough else None,
            ),
            "cpu_us_per_event": Figure(live_cpu, "us"),
            "bulk_events_per_second": Figure(
                bulked,
                "events/s",
                bulked / bare,
                bare,
                ">= 20000 events/s",
                bulked >= 20_000 if enough else None,
            ),
            "bulk_cpu_us_per_event": Figure(bulk_cpu, "us"),
            "load_average": Figure(os.getloadavg()[0], "runnable processes"),
        },
        PROTOCOL,
    )


def _measured(work: Callable[[], object], local: Path) -> tuple[float, float]:
    """Events a second, and microseconds of CPU an event, PostgreSQL included."""
    started, cpu = time.perf_counter(), harness.cpu_seconds(local)
    work()
    seconds = time.perf_counter() - started
    spent = harness.cpu_seconds(local) - cpu
    return EVENTS / seconds, spent / EVENTS * 1e6


def history() -> "Iterator[BulkEvent]":
    """Yield the events: visits of five product views and a cart, spread over a day."""
    from personalization.events.bulk import BulkEvent

    rng = np.random.default_rng(7)
    start = datetime.now(UTC) - timedelta(days=1)
    for visit in range(EVENTS // 5):
        customer = int(rng.integers(CUSTOMERS))
        at = start + timedelta(seconds=visit * 86_000 / (EVENTS // 5))
        for step in range(5):
            product = f"sku-{int(rng.zipf(1.3)) % 5000}"
            name = "Product Added" if step == 4 else "Product Viewed"
            yield BulkEvent(
                str(uuid.UUID(bytes=rng.bytes(16), version=4)),
                name,
                at + timedelta(seconds=20 * step),
                anonymous_id=f"visitor-{customer}",
                properties={
                    "product_id": product,
                    "price": 19.99,
                    "currency": "EUR",
                    "quantity": 1,
                },
                context={"page": {"path": f"/p/{product}"}, "locale": "en-GB"},
            )


def _bare() -> float:
    """Seconds that the bare loop takes."""
    from django.db import connection, transaction
    from psycopg2.extras import execute_values

    states: dict[int, dict[str, object]] = {}
    started = time.perf_counter()
    seq = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(READ, [seq, CHUNK])
            rows = cursor.fetchall()
            if not rows:
                return time.perf_counter() - started
            touched = set()
            for seq, identity, name, properties in rows:  # noqa: B007 -- seq is read after the loop
                state = states.setdefault(identity, {"events": 0, "last": ""})
                state["events"] = int(str(state["events"])) + 1
                state["last"] = orjson.loads(properties).get("product_id")
                state["name"] = name
                touched.add(identity)
            values = [
                (identity, orjson.dumps(states[identity]).decode()) for identity in sorted(touched)
            ]
            execute_values(cursor.cursor, WRITE, values, page_size=len(values))


if __name__ == "__main__":
    main()
