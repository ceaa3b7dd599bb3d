"""A decision through HTTP (profile, content, 12 products) against a bare DRF view, same bytes."""

import itertools
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
import orjson

from bench import client, harness, shop
from bench.harness import Figure

if TYPE_CHECKING:
    from personalization.decisions.serve import Decision

PRODUCTS, CUSTOMERS, EVENTS = (
    (50_000, 200_000, 600_000) if len(sys.argv) < 2 else (5_000, 10_000, 30_000)
)
ENOUGH = CUSTOMERS >= 200_000
CONNECTIONS = 8
SECONDS = 8.0
# How the kernel deals out the connections to the workers scatters a round by a tenth.
ROUNDS = 7
# Until both workers have judged what the categories of the shop hold, as they have after a minute.
WARM_S = 12.0
STAGED = 500
FOR_YOU = "home.recommended"
# Figure -> the placement of the shelf, and the least ratio to the bare view.
SHELVES = {
    "decisions_per_second": (FOR_YOU, 0.4),
    "with_sparse_sources": ("home.sparse", 0.3),
    "with_als_among_them": ("home.als", 0.2),
}
PROTOCOL = (
    f"POST /v1/decide with one content and one recommendation placement of 12 items, {PRODUCTS} "
    f"products, {CUSTOMERS} profiles in Redis, customers drawn at random; granian with 2 "
    f"workers, {CONNECTIONS} keep-alive connections, load generator on the same cores; {ROUNDS} "
    f"rounds of {SECONDS:g} s closed loop, real and bare in turn, the round of the median ratio. "
    "The bare DRF view parses the request with orjson and answers the same bytes from one pooled "
    f"Redis GET. decisions_per_second: the strategy for-you as it comes; with_sparse_sources: "
    f"{', '.join(shop.SHELVES['home.sparse'])} of weight 1; with_als_among_them: these and als. "
    "Half load: an open loop at half the measured throughput, latency from the scheduled time. "
    f"Stages: in process, one thread, median of {STAGED} decisions of each shelf, by the wall and "
    "by the processor time of the thread, without what Redis spends."
)


def bodies(placement: str, seed: int) -> Iterator[bytes]:
    """Yield bodies of decisions for random customers without end."""
    rng = np.random.default_rng(seed)
    while True:
        yield orjson.dumps(
            {
                "anonymousId": f"visitor-{int(rng.integers(CUSTOMERS))}",
                "placements": ["home.hero", placement],
            }
        )


def requests(key: str, path: str, placement: str, seed: int) -> Iterator[bytes]:
    """Yield decision requests of random customers without end."""
    headers = [("Authorization", f"Bearer {key}")]
    made = [
        client.request_bytes("POST", path, body, headers)
        for body in itertools.islice(bodies(placement, seed), 20_000)
    ]
    return itertools.cycle(made)


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    key = shop.build(products=PRODUCTS, customers=CUSTOMERS, events=EVENTS)
    import redis
    from django.conf import settings

    from bench.bare import ANSWER_KEY

    cache = redis.Redis.from_url(settings.CACHE_REDIS_URL)
    used = int(cache.info("memory")["used_memory_dataset"])
    seen: dict[str, list[float]] = defaultdict(list)
    with harness.granian() as port:
        answers = {name: _warmed(port, key, place) for name, (place, _) in SHELVES.items()}
        for turn in range(ROUNDS):
            for name, (place, _) in SHELVES.items():
                cache.set(ANSWER_KEY, answers[name])
                seen[name].append(_rate(port, key, "/v1/decide", place, turn + 1))
                seen[f"bare {name}"].append(_rate(port, key, "/v1/bare/drf", place, turn + 1))
            seen["plain"].append(_rate(port, key, "/v1/bare/plain", FOR_YOU, turn + 1))
        steady = client.run(
            port,
            requests(key, "/v1/decide", FOR_YOU, 50),
            connections=32,
            seconds=2 * SECONDS,
            rate_per_s=float(np.median(seen["decisions_per_second"])) / 2,
        )
        workers = _worker_mb(port)
    p99 = steady.percentile_ms(0.99)
    drf, plain, ratio = harness.median_round(seen[f"bare {next(reversed(SHELVES))}"], seen["plain"])
    figures = {name: _judged(seen, name, least) for name, (_, least) in SHELVES.items()}
    figures |= {
        "p99_at_half_load": Figure(p99, "ms", goal="<= 25 ms", holds=p99 <= 25 if ENOUGH else None),
        "p50_at_half_load": Figure(steady.percentile_ms(0.5), "ms"),
        "drf_against_plain_view": Figure(drf, "1/s", ratio, plain),
        "redis_per_million_profiles": Figure(used / CUSTOMERS * 1e6 / 2**20, "MB"),
        "memory_per_web_worker": Figure(workers, "MB"),
    }
    for name, (place, _) in SHELVES.items():
        figures |= _stages(key, name, place)
    harness.write("decide", figures, PROTOCOL)


def _warmed(port: int, key: str, placement: str) -> bytes:
    """Return the body of an answer, once both workers have loaded their models."""
    warm = requests(key, "/v1/decide", placement, 0)
    client.run(port, warm, connections=CONNECTIONS, seconds=WARM_S)
    load = client.run(port, warm, connections=CONNECTIONS, seconds=1)
    body = load.sample.split(b"\r\n\r\n", 1)[1]
    answer = orjson.loads(body)
    shown = len(answer["placements"][placement]["items"])
    if set(load.statuses) != {200} or shown != 12 or answer["degraded"]:
        sys.exit(f"not the answer to measure: {load.statuses} {body[:600]!r}")
    return body


def _rate(port: int, key: str, path: str, placement: str, seed: int) -> float:
    made = requests(key, path, placement, seed)
    load = client.run(port, made, connections=CONNECTIONS, seconds=SECONDS)
    if set(load.statuses) != {200}:
        sys.exit(f"{path} answered {load.statuses}")
    return load.per_second


def _judged(seen: Mapping[str, Sequence[float]], name: str, least: float) -> Figure:
    value, bare, ratio = harness.median_round(seen[name], seen[f"bare {name}"])
    goal = f"ratio >= {least} of a bare DRF view"
    return Figure(value, "1/s", ratio, bare, goal, ratio >= least if ENOUGH else None)


def _stages(key: str, name: str, placement: str) -> dict[str, Figure]:
    """Return the median milliseconds of each stage, in process: of waiting and of processor."""
    from django.test import Client

    from personalization.decisions import serve

    ask = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {key}"})
    closed, suffix = serve._closed, "" if placement == FOR_YOU else f"_{name}"
    figures = {}
    for told, clock in (("", time.perf_counter), ("_cpu", time.thread_time)):
        seen: dict[str, list[float]] = defaultdict(list)
        models: set[str] = set()

        def noted(decision: "Decision") -> "Decision":
            done = closed(decision)
            models.update(done.models)  # noqa: B023 -- called within the loop's turn
            for stage, seconds in done.stages.items():
                seen[stage].append(seconds * 1000)  # noqa: B023 -- as above
            return done

        with (
            mock.patch.object(serve, "_closed", noted),
            mock.patch.object(serve, "time", SimpleNamespace(perf_counter=clock)),
        ):
            for body in itertools.islice(bodies(placement, 3), STAGED):
                ask.post("/v1/decide", body, content_type="application/json")
        if missing := set(shop.SHELVES.get(placement, ())) - models:
            sys.exit(f"{placement} shows nothing from {', '.join(sorted(missing))}")
        for stage, spent in seen.items():
            figures[f"stage_{stage}{told}{suffix}"] = Figure(float(np.median(spent)), "ms")
    return figures


def _worker_mb(port: int) -> float:
    """Proportional memory of one web worker."""
    pids = subprocess.run(
        ["pgrep", "-f", f"granian.*--port {port}"], capture_output=True, text=True, check=True
    ).stdout.split()
    shares = []
    for pid in pids:
        try:
            lines = open(f"/proc/{pid}/smaps_rollup").read().splitlines()  # noqa: SIM115 -- a file of /proc
        except OSError:
            continue
        shares.append(sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024)
    return float(np.mean(sorted(shares)[-2:])) if shares else float("nan")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
