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
FLIPS = 100
# Less of it, and the goal is not judged.
_FULL_LOAD = 0.95 * RATE
# Both workers have answered then, but for one time in 32.
_IN_A_ROW = 6
PROTOCOL = (
    f"{RATE} events/s in batches of {ingest.BATCH} (open loop) for {SECONDS:g} s by "
    f"{ingest.CUSTOMERS} customers whose first events the processor has folded before, granian "
    "with 2 workers and one processor; a probe visitor sends an event, and from the 200 on asks "
    "POST /v1/decide (explain) every 10 ms until the profile holds the item; the time between "
    "the 200 and the sight of it is the figure. Resolution 10 ms. After it, without load: a "
    "product is sold out and back, or dearer than a strategy's filter allows and back, "
    f"{FLIPS} times each through POST /api/products/; the time from the 200 until "
    "GET /v1/recommendations says so six times in a row, whichever worker answers, is the figure."
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
        flipped = {name: _flips(port, secret, *flip) for name, flip in _FLIPPED.items()}
    p99, load_per_s = float(np.quantile(seen, 0.99)), accepted.get()
    stated = len(seen) >= 100 and load_per_s >= _FULL_LOAD
    harness.write(
        "freshness",
        {
            "accepted_to_visible_p99": Figure(
                p99, "s", goal="<= 1 s", holds=p99 <= 1 if stated else None
            ),
            "accepted_to_visible_p50": Figure(float(np.median(seen)), "s"),
            "accepted_to_visible_max": Figure(max(seen), "s"),
            **{
                f"{name}_to_shelf_{label}": Figure(
                    float(np.quantile(took, share)),
                    "s",
                    goal="<= 1 s" if label == "p99" else "",
                    holds=bool(np.quantile(took, share) <= 1) if label == "p99" else None,
                )
                for name, took in flipped.items()
                for label, share in (("p99", 0.99), ("p50", 0.5))
            },
            "probes": Figure(float(len(seen)), ""),
            "load": Figure(load_per_s, "events/s"),
            "load_average": Figure(os.getloadavg()[0], "runnable processes"),
        },
        PROTOCOL,
    )


# Name -> the field, its value where the product shows, and where not.
_FLIPPED = {"stock": ("stock", 5, 0), "price": ("price_minor", 500, 5000)}


def _flips(port: int, key: str, name: str, shown: int, hidden: int) -> list[float]:
    """Change one product to and fro; return the seconds until the shelf says so, each time."""
    from recommender.strategies import save_strategy

    cheap = {"kind": "product", "key": "price_minor", "op": "lt", "value": 1000}
    values = {"title": "Cheap", "algorithm": "popularity", "rules": {"filter": cheap}}
    save_strategy(key="cheap", values=values, actor="bench")
    headers = [("Authorization", f"Bearer {key}")]
    path = "/v1/recommendations/cheap?count=100"
    ask = client.request_bytes("GET", path, b"", headers)
    product = {"key": "probe", "title": "Probe", "stock": 5, "price_minor": 500}
    took = []
    for turn in range(FLIPS + 1):
        value = shown if turn % 2 == 0 else hidden
        body = orjson.dumps([product | {name: value}])
        done = _call(port, client.request_bytes("POST", "/api/products/", body, headers))
        if set(done.statuses) != {200}:
            sys.exit(f"the product was answered {done.statuses} {done.sample[:300]!r}")
        start, agreed = time.perf_counter(), 0
        while agreed < _IN_A_ROW:
            said = b'"probe"' in _call(port, ask).sample
            agreed = agreed + 1 if said == (value == shown) else 0
            if time.perf_counter() - start > _GIVE_UP_S:
                sys.exit(f"a change of {name} was not visible within {_GIVE_UP_S:g} s")
        if turn:
            took.append(time.perf_counter() - start)
    return took


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
