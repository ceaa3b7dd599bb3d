"""How long an accepted event takes to be seen by decide, beside a thousand others each second."""

import itertools
import multiprocessing
import sys
import time
import uuid

import numpy as np
import orjson

from bench import client, harness, ingest
from bench.harness import Figure

RATE = 1_000
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
PROTOCOL = (
    f"{RATE} events/s in batches of {ingest.BATCH} (open loop) for {SECONDS:g} s, granian with "
    "2 workers and one processor; a probe visitor sends an event, and from the 200 on asks "
    "POST /v1/decide (explain) every 5 ms until the profile holds the item; the time between "
    "the 200 and the sight of it is the figure. Resolution 5 ms."
)


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    from personalization.access.services import create_key

    _row, public = create_key(name="bench", kind="public", actor="bench")
    _row, secret = create_key(name="probe", kind="secret", actor="bench")
    with harness.granian() as port, harness.processor():
        client.run(port, ingest.greetings(public), connections=4, seconds=120)
        load = multiprocessing.get_context("spawn").Process(target=_load, args=(port, public))
        load.start()
        time.sleep(2)
        seen = _probe(port, secret, until=time.perf_counter() + SECONDS)
        load.join()
    p99 = float(np.quantile(seen, 0.99))
    harness.write(
        "freshness",
        {
            "accepted_to_visible_p99": Figure(
                p99, "s", goal="<= 1 s", holds=p99 <= 1 if len(seen) >= 100 else None
            ),
            "accepted_to_visible_p50": Figure(float(np.median(seen)), "s"),
            "probes": Figure(float(len(seen)), ""),
        },
        PROTOCOL,
    )


def _load(port: int, key: str) -> None:
    batches = int(RATE / ingest.BATCH * (SECONDS + 4))
    made = list(itertools.islice(ingest.wire_requests(key, 1), batches))
    result = client.run(
        port, iter(made), connections=8, seconds=SECONDS + 4, rate_per_s=RATE / ingest.BATCH
    )
    if set(result.statuses) != {200}:
        print(f"load answered {result.statuses}", file=sys.stderr)


def _probe(port: int, key: str, *, until: float) -> list[float]:
    seen = []
    headers = [("Authorization", f"Bearer {key}")]
    while time.perf_counter() < until:
        who, item = f"probe-{int(time.time() * 1000) % 500}", uuid.uuid4().hex
        event = {
            "type": "track",
            "event": "Product Viewed",
            "anonymousId": who,
            "properties": {"product_id": item},
        }
        ask = {"anonymousId": who, "flags": ["none"], "explain": True}
        sent = client.run(
            port,
            iter([client.request_bytes("POST", "/v1/track", orjson.dumps(event), headers)]),
            connections=1,
            seconds=5,
        )
        accepted = time.perf_counter()
        if set(sent.statuses) != {200}:
            sys.exit(f"the probe's event was answered {sent.statuses} {sent.sample[:300]!r}")
        request = client.request_bytes("POST", "/v1/decide", orjson.dumps(ask), headers)
        while (
            item.encode() not in client.run(port, iter([request]), connections=1, seconds=5).sample
        ):
            if time.perf_counter() - accepted > 30:
                sys.exit("an accepted event was not visible within 30 s")
            time.sleep(0.005)
        seen.append(time.perf_counter() - accepted)
    return seen


if __name__ == "__main__":
    main()
