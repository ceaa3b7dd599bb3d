"""Ingestion through HTTP against a bare view that only inserts the same rows, same server."""

import itertools
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import orjson

from bench import client, harness
from bench.harness import Figure

BATCH = 20
CONNECTIONS = 16
_STATED_S = 10.0
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else _STATED_S
ROUNDS = 3
CUSTOMERS = 20_000
PROTOCOL = (
    f"HTTP batches of {BATCH} events from {CUSTOMERS} anonymous customers seen before, "
    f"{CONNECTIONS} keep-alive connections, granian with 2 workers, PostgreSQL 18 with fsync "
    f"on, load generator on the same cores; {ROUNDS} rounds of {SECONDS:g} s each, bare and "
    "real in turn; the round of the median ratio. The bare view inserts ready-made rows of the "
    "same table and does nothing else."
)


def event(rng: np.random.Generator) -> dict[str, object]:
    """Return one product view as a browser sends it."""
    product = int(rng.zipf(1.3)) % 5000
    return {
        "type": "track",
        "event": "Product Viewed",
        "messageId": str(uuid.UUID(bytes=rng.bytes(16), version=4)),
        "anonymousId": f"visitor-{int(rng.integers(CUSTOMERS))}",
        "timestamp": datetime.now(UTC).isoformat(),
        "properties": {
            "product_id": f"sku-{product}",
            "name": "A product",
            "price": 19.99,
            "currency": "EUR",
            "quantity": 1,
        },
        "context": {
            "page": {
                "path": f"/p/sku-{product}",
                "url": f"https://shop.example/p/sku-{product}",
                "title": "A product",
            },
            "userAgent": (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                "Chrome/130.0 Safari/537.36"
            ),
            "locale": "en-GB",
        },
    }


def greetings(key: str) -> Iterator[bytes]:
    """Yield batches in which every customer is seen once."""
    rng = np.random.default_rng(0)
    for first in range(0, CUSTOMERS, 500):
        seen = [event(rng) | {"anonymousId": f"visitor-{n}"} for n in range(first, first + 500)]
        body = orjson.dumps({"batch": seen, "sentAt": datetime.now(UTC).isoformat()})
        yield client.request_bytes("POST", "/v1/batch", body, [("Authorization", f"Bearer {key}")])


def wire_requests(key: str, seed: int) -> Iterator[bytes]:
    """Yield batches for /v1/batch without end."""
    rng = np.random.default_rng(seed)
    headers = [("Authorization", f"Bearer {key}")]
    while True:
        body = orjson.dumps(
            {"batch": [event(rng) for _ in range(BATCH)], "sentAt": datetime.now(UTC).isoformat()}
        )
        yield client.request_bytes("POST", "/v1/batch", body, headers)


def bare_requests(seed: int) -> Iterator[bytes]:
    """Yield the same rows, ready for the table."""
    rng = np.random.default_rng(seed)
    while True:
        now = datetime.now(UTC).isoformat()
        rows = []
        for made in (event(rng) for _ in range(BATCH)):
            shown = (
                orjson.dumps(made["properties"]).decode(),
                orjson.dumps(made["context"]).decode(),
            )
            rows.append(
                [
                    now[:10],
                    1,
                    made["messageId"],
                    1,
                    int(rng.integers(64)),
                    int(rng.integers(1, CUSTOMERS)),
                    "track",
                    made["event"],
                    now,
                    now,
                    7,
                    0,
                    *shown,
                ]
            )
        yield client.request_bytes("POST", "/v1/bare/insert", orjson.dumps(sorted(rows)))


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    from django.db import connection

    from personalization.access.services import create_key

    _row, key = create_key(name="bench", kind="public", actor="bench")
    bare_rates, real_rates, p99s = [], [], []
    with harness.granian() as port:
        count = int(1500 * SECONDS)
        client.run(port, greetings(key), connections=4, seconds=120)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
        for turn in range(ROUNDS):
            # Made beforehand: building requests must not share the clock with the server.
            bare = client.run(
                port,
                iter(list(itertools.islice(bare_requests(2 * turn), count))),
                connections=CONNECTIONS,
                seconds=SECONDS,
            )
            real = client.run(
                port,
                iter(list(itertools.islice(wire_requests(key, 2 * turn + 1), count))),
                connections=CONNECTIONS,
                seconds=SECONDS,
            )
            if set(bare.statuses) | set(real.statuses) != {200}:
                sys.exit(
                    f"answers other than 200: {bare.statuses} {real.statuses} {real.sample[:500]!r}"
                )
            bare_rates.append(bare.per_second * BATCH)
            real_rates.append(real.per_second * BATCH)
            p99s.append(real.percentile_ms(0.99))
    real_rate, bare_rate, ratio = harness.median_round(real_rates, bare_rates)
    harness.write(
        "ingest",
        {
            "events_per_second": Figure(
                real_rate,
                "events/s",
                ratio,
                bare_rate,
                "ratio >= 0.6",
                ratio >= 0.6 if SECONDS >= _STATED_S else None,
            ),
            "batch_p99": Figure(float(np.median(p99s)), "ms"),
        },
        PROTOCOL,
    )


if __name__ == "__main__":
    main()
