"""How long an accepted event takes to be seen by decide, beside a thousand others each second."""

import itertools
import multiprocessing
import os
import sys
import time
import uuid
from multiprocessing.queues import SimpleQueue

import numpy as np
import orjson

from bench import client, harness, ingest
from bench.harness import Figure

RATE = 1_000
SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
_CATCH_UP_S, _GIVE_UP_S = 180.0, 30.0
PROTOCOL = (
    f"{RATE} events/s in batches of {ingest.BATCH} (open loop) for {SECONDS:g} s by "
    f"{ingest.CUSTOMERS} customers whose first events the processor has folded before, granian "
    "with 2 workers and one processor; a probe visitor sends an event, and from the 200 on asks "
    "POST /v1/decide (explain) every 10 ms until the profile holds the item; the time between "
    "the 200 and the sight of it is the figure. Resolution 10 ms."
)


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    from personalization.access.services import create_key

    _row, public = create_key(name="bench", kind="public", actor="bench")
    _row, secret = create_key(name="probe", kind="secret", actor="bench")
    with harness.granian() as port, harness.processor():
        client.run(port, ingest.greetings(public), connections=4, seconds=120)
        _seen_after(port, secret, patience_s=_CATCH_UP_S)
        spawn = multiprocessing.get_context("spawn")
        accepted = spawn.SimpleQueue()
        load = spawn.Process(target=_load, args=(port, public, accepted))
        load.start()
        time.sleep(2)
        seen = []
        until = time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            seen.append(_seen_after(port, secret, patience_s=_GIVE_UP_S))
        load.join()
        if load.exitcode:
            sys.exit("the load did not run to its end")
    p99 = float(np.quantile(seen, 0.99))
    harness.write(
        "freshness",
        {
            "accepted_to_visible_p99": Figure(
                p99, "s", goal="<= 1 s", holds=p99 <= 1 if len(seen) >= 100 else None
            ),
            "accepted_to_visible_p50": Figure(float(np.median(seen)), "s"),
            "accepted_to_visible_max": Figure(max(seen), "s"),
            "probes": Figure(float(len(seen)), ""),
            "load": Figure(accepted.get(), "events/s"),
            "load_average": Figure(os.getloadavg()[0], "runnable processes"),
        },
        PROTOCOL,
    )


def _load(port: int, key: str, accepted: "SimpleQueue[float]") -> None:
    batches = int(RATE / ingest.BATCH * (SECONDS + 4))
    made = list(itertools.islice(ingest.wire_requests(key, 1), batches))
    result = client.run(
        port, iter(made), connections=8, seconds=SECONDS + 4, rate_per_s=RATE / ingest.BATCH
    )
    if set(result.statuses) != {200}:
        print(f"load answered {result.statuses}", file=sys.stderr)
    accepted.put(result.statuses[200] * ingest.BATCH / result.seconds)


def _seen_after(port: int, key: str, *, patience_s: float) -> float:
    """Send one visitor's event; return the seconds from its 200 until decide knows it."""
    headers = [("Authorization", f"Bearer {key}")]
    who, item = f"probe-{int(time.time() * 1000) % 500}", uuid.uuid4().hex
    event = {
        "type": "track",
        "event": "Product Viewed",
        "anonymousId": who,
        "properties": {"product_id": item},
    }
    ask = {"anonymousId": who, "flags": ["none"], "explain": True}
    sent = _call(port, client.request_bytes("POST", "/v1/track", orjson.dumps(event), headers))
    accepted = time.perf_counter()
    if set(sent.statuses) != {200}:
        sys.exit(f"the probe's event was answered {sent.statuses} {sent.sample[:300]!r}")
    request = client.request_bytes("POST", "/v1/decide", orjson.dumps(ask), headers)
    while item.encode() not in _call(port, request).sample:
        if time.perf_counter() - accepted > patience_s:
            sys.exit(f"an accepted event was not visible within {patience_s:g} s")
        time.sleep(0.01)
    return time.perf_counter() - accepted


def _call(port: int, request: bytes) -> client.Load:
    return client.run(port, iter([request]), connections=1, seconds=5)


if __name__ == "__main__":
    main()
