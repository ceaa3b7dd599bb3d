"""A base for the segment benchmarks: customers and facts made inside PostgreSQL, without the log.

Visits thin out into the past; most customers did little, one in a hundred hundreds of things.
Columns depend on the customer alone where rules should find somebody, else on chance.
"""

import time

from django.db import connection

DAY_US = 86_400_000_000
BUCKETS = 64
# Name -> share of the events.
NAMES = {
    "Product Viewed": 0.55,
    "Product Added": 0.14,
    "Products Searched": 0.12,
    "Page Viewed": 0.10,
    "Checkout Started": 0.04,
    "Order Completed": 0.03,
    "Product Removed": 0.02,
}

_CUSTOMERS = """
INSERT INTO customers_customer (uuid, assignment_key, created_at, version)
SELECT gen_random_uuid(), 'u' || g, now(), 1 FROM generate_series(%(first)s, %(last)s) g ORDER BY g
"""
_IDENTITIES = """
INSERT INTO customers_identity (kind, value, generation, customer_id, origin_id, created_at)
SELECT 1, assignment_key, 1, id, id, now() FROM customers_customer
WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""
_CONSENT = """
INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at)
SELECT id, 7, 0, now() FROM customers_customer WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""
_PROFILES = """
INSERT INTO customers_profile (customer_id, first_seen_at, last_seen_at, events, sessions, orders,
    revenue_minor, country, region, locale, timezone, device_type, traits, state, updated_at)
SELECT id, now() - random() * interval '365 days', now() - random() * interval '30 days', 20, 4,
    id %% 7 / 3, (id %% 7 / 3) * 4999, (ARRAY['DE', 'FR', 'AT', 'US', ''])[1 + id %% 5], '',
    'de-DE', 'Europe/Berlin', (ARRAY['mobile', 'desktop'])[1 + id %% 2], jsonb_build_object(
        'tier', (ARRAY['gold', 'silver', 'bronze'])[1 + id %% 3], 'age', 18 + id %% 60),
    '{"filler": "' || repeat('x', 500) || '"}', now()
FROM customers_customer WHERE id BETWEEN %(first)s AND %(last)s ORDER BY id
"""
# Of a hundred customers 60 have 5 events, 30 have 20, 9 have 80, one has 380: 20 on average.
_FACTS = """
INSERT INTO events_fact (customer_id, at, seq, name_id, bucket, props)
SELECT customer_id, at, row_number() OVER (ORDER BY at), name_id, %(bucket)s,
    ('{"category":"c' || category || '","price":' || price / 100.0 || ',"sku":"s' || sku
        || '","position":' || sku %% 20
        || CASE WHEN ordered THEN ',"products":[{"category":"c' || category || '","price":'
            || price / 100.0 || ',"quantity":1},{"category":"c' || sku %% 50
            || '","price":9.9,"quantity":2}]' ELSE '' END
        || ',"$context":{"device":{"type":"' || device || '"},"country":"DE","page":{"path":"/p/'
        || sku || '"}},"$session":{"id":"' || customer_id || '-' || at / 3600000000
        || '"},"$product":[{"category":"c' || category || '","brand":"b' || sku %% 40
        || '","price_minor":' || price || '}]}')::jsonb
FROM (
    SELECT c.id AS customer_id, (%(now)s - power(random(), 2) * %(span)s)::bigint AS at,
        names.id AS name_id, names.name = 'Order Completed' AS ordered,
        floor(power(random(), 2) * 50)::int AS category, (random() * 20000)::int AS price,
        (random() * 5000)::int AS sku,
        (ARRAY['mobile', 'mobile', 'desktop'])[1 + (random() * 2.999)::int %% 3] AS device
    FROM customers_customer c
    CROSS JOIN LATERAL generate_series(1, CASE WHEN c.id / 64 %% 100 < 60 THEN 5
        WHEN c.id / 64 %% 100 < 90 THEN 20 WHEN c.id / 64 %% 100 < 99 THEN 80 ELSE 380 END) g
    CROSS JOIN LATERAL (SELECT random() + g * 0 AS chance) dice
    JOIN bench_names names ON dice.chance >= names.low AND dice.chance < names.high
    WHERE c.id %% 64 = %(bucket)s AND c.id BETWEEN %(first)s AND %(last)s
    OFFSET 0
) made
ORDER BY at
"""
_FIRST = """
INSERT INTO events_firstseen (customer_id, name_id, at)
SELECT customer_id, name_id, min(at) FROM events_fact
WHERE bucket = %(bucket)s AND customer_id BETWEEN %(first)s AND %(last)s GROUP BY 1, 2
"""
_MEMBERS = """
INSERT INTO segments_membership (segment_id, version_id, customer_id, entered_at)
SELECT %s, %s, g * %s, now() FROM generate_series(1, %s / %s) g
"""


def build(first: int, last: int, now_us: int) -> int:
    """Add the customers of these numbers with all that is theirs; return how many facts they have.

    In turn from 1: their ids are their numbers.
    """
    _say(f"customers {first} to {last}")
    span = {"first": first, "last": last}
    with connection.cursor() as cursor:
        cursor.execute("SET jit = off")
        for statement in (_CUSTOMERS, _IDENTITIES, _CONSENT, _PROFILES):
            cursor.execute(statement, span)
    _names()
    facts = 0
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX events_fact_customer_idx")
        for bucket in range(BUCKETS):
            params = {"bucket": bucket, "now": now_us, "span": 365 * DAY_US, **span}
            cursor.execute(_FACTS, params)
            facts += cursor.rowcount
            cursor.execute(_FIRST, params)
            if bucket % 8 == 7:
                _say(f"{facts} facts")
        _say("indexes")
        cursor.execute(
            "CREATE INDEX events_fact_customer_idx ON events_fact (customer_id, name_id, at, seq)"
        )
        _memberships(last)
        _say("vacuum")
        cursor.execute("VACUUM ANALYZE")
    _say("ready")
    return facts


def _memberships(customers: int) -> None:
    """Put the customers into segments in force: every second into one, every third into another."""
    from personalization.lib import clock
    from segments.models import Membership, Segment, SegmentVersion, Size

    now = clock.now()
    rule = {"kind": "profile", "key": "orders", "op": "gte", "value": 1}
    Membership.objects.all().delete()
    for place in range(2, 12):
        segment, _ = Segment.objects.get_or_create(
            key=f"every-{place}",
            defaults={"title": f"Every {place}", "created_at": now, "updated_at": now},
        )
        version, _ = SegmentVersion.objects.get_or_create(
            segment=segment,
            number=1,
            defaults={"rule": rule, "status": "published", "generation": 1, "created_at": now},
        )
        Segment.objects.filter(pk=segment.pk).update(published=version)
        with connection.cursor() as cursor:
            cursor.execute(_MEMBERS, [segment.pk, version.pk, place, customers, place])
            Size.objects.create(segment=segment, at=now, members=cursor.rowcount)


def _names() -> None:
    """Give the names their shares of chance, in a table of this session."""
    from personalization.events import facttable

    ids = facttable.names(list(NAMES))
    low = 0.0
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_names")
        cursor.execute("CREATE TEMP TABLE bench_names (id int, name text, low float8, high float8)")
        for name, share in NAMES.items():
            cursor.execute(
                "INSERT INTO bench_names VALUES (%s, %s, %s, %s)",
                [ids[name], name, low, low + share],
            )
            low += share
        cursor.execute("UPDATE bench_names SET high = 2 WHERE high > 0.9999")


def _say(step: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {step}", flush=True)
