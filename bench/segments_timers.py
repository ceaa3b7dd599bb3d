"""Timers of live rules on time: as many customers as asked, due evenly within one minute."""

import threading
import time
from typing import NamedTuple

import numpy as np

MINUTE_S = 60
# One not turned this long after the minute counts as late up to then.
_GRACE_S = 30


class Late(NamedTuple):
    """How timers did: how many were due and turned, their lateness, and the pace."""

    due: int
    turned: int
    median_s: float
    p99_s: float
    per_second: float


def turned(wanted: int) -> Late:
    """Make that many customers due within one minute, let the timer loop turn them, and say how."""
    from django.db import connection

    from personalization.customers import documents
    from personalization.lib import clock
    from segments.live import timers

    begin = _made_due(wanted)
    late: list[float] = []
    while clock.now_us() < begin:
        time.sleep(0.01)
    started = time.monotonic()
    stop = started + MINUTE_S + _GRACE_S
    while len(late) < wanted and time.monotonic() < stop:
        before = clock.now()
        us = clock.to_us(before)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT customer_id, due_at FROM segments_state WHERE due_at <= %s"
                " ORDER BY due_at LIMIT %s",
                [us, timers.CHUNK],
            )
            due = dict(cursor.fetchall())
        done_with = timers.turn_due(now=before)
        done = clock.now_us()
        documents.write_now(done_with)
        late += [(done - due[one]) / 1e6 for one in done_with if one in due]
        if len(done_with) < timers.CHUNK:
            threading.Event().wait(0.5)
    seconds, ended = time.monotonic() - started, clock.now_us()
    made = len(late)
    with connection.cursor() as cursor:
        cursor.execute("SELECT due_at FROM segments_state WHERE due_at <= %s", [ended])
        late += [(ended - row[0]) / 1e6 for row in cursor.fetchall()]
    return Late(
        wanted,
        made,
        float(np.median(late)),
        float(np.percentile(late, 99)),
        made / seconds,
    )


# Customers with what was remembered of others: identity, profile, streams.
_COPIES = """
CREATE TEMP TABLE bench_copy AS
SELECT nextval(pg_get_serial_sequence('customers_customer', 'id')) AS id, source FROM (
    SELECT s.customer_id AS source FROM segments_state s, generate_series(1, %s) g
    ORDER BY g, s.customer_id LIMIT %s) x;
INSERT INTO customers_customer (id, uuid, assignment_key, created_at, version)
SELECT id, gen_random_uuid(), 'copy-' || id, now(), 1 FROM bench_copy;
INSERT INTO customers_identity (kind, value, generation, customer_id, origin_id, created_at)
SELECT 2, 'copy-' || id, 1, id, id, now() FROM bench_copy;
INSERT INTO customers_profile (customer_id, first_seen_at, last_seen_at, events, sessions, orders,
    revenue_minor, last_order_at, country, region, locale, timezone, device_type, traits, state,
    updated_at)
SELECT b.id, first_seen_at, last_seen_at, events, sessions, orders, revenue_minor, last_order_at,
    country, region, locale, timezone, device_type, traits, p.state, updated_at
FROM bench_copy b JOIN customers_profile p ON p.customer_id = b.source;
INSERT INTO segments_state (customer_id, state, verdicts, due_at, generation)
SELECT b.id, s.state, '{}', NULL, s.generation
FROM bench_copy b JOIN segments_state s ON s.customer_id = b.source
"""
# One verdict each that turns within the minute.
_DUE = """
UPDATE segments_state s SET due_at = x.at, verdicts = '{"' || %s || '":[0,' || x.at || ']}'
FROM (SELECT customer_id, %s + (row_number() OVER (ORDER BY random()) - 1) * %s / %s AS at
      FROM segments_state LIMIT %s) x
WHERE x.customer_id = s.customer_id
"""


def _made_due(wanted: int) -> int:
    """Make that many customers due within one minute; return when it begins, in microseconds."""
    from django.db import connection

    from personalization.lib import clock

    with connection.cursor() as cursor:
        cursor.execute("UPDATE segments_state SET due_at = NULL, verdicts = '{}'")
        known = cursor.rowcount
        if known < wanted:
            cursor.execute(_COPIES, [-(-(wanted - known) // known), wanted - known])
        # time enough to write and vacuum them before the first is due
        begin = clock.now_us() + 2_000_000 + wanted * 500
        cursor.execute(_DUE, [_any_version(), begin, MINUTE_S * 1_000_000, wanted, wanted])
        cursor.execute("VACUUM ANALYZE segments_state")
        cursor.execute("ANALYZE customers_customer, customers_identity, customers_profile")
    return begin


def _any_version() -> int:
    from segments.models import SegmentVersion

    return int(SegmentVersion.objects.order_by("pk").values_list("pk", flat=True)[0])
