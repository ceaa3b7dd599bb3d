"""A decision through HTTP (profile, content, 12 products) against a bare DRF view, same bytes."""

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import orjson

from bench import client, harness, shop
from bench.harness import Figure

PRODUCTS, CUSTOMERS, EVENTS = (
    (50_000, 200_000, 600_000) if len(sys.argv) < 2 else (5_000, 10_000, 30_000)
)
ENOUGH = CUSTOMERS >= 200_000
CONNECTIONS = 8
SECONDS = 8.0
ROUNDS = 3
PROTOCOL = (
    f"POST /v1/decide with one content and one recommendation placement of 12 items, {PRODUCTS} "
    f"products, {CUSTOMERS} profiles in Redis, customers drawn at random; granian with 2 "
    f"workers, {CONNECTIONS} keep-alive connections, load generator on the same cores; {ROUNDS} "
    f"rounds of {SECONDS:g} s closed loop, real and bare in turn, median. The bare DRF view "
    "parses the request with orjson and answers the same bytes from one pooled Redis GET. Half "
    "load: an open loop at half the measured throughput, latency from the scheduled time."
)


def requests(key: str, path: str, seed: int) -> Iterator[bytes]:
    """Yield decision requests of random customers without end."""
    rng = np.random.default_rng(seed)
    headers = [("Authorization", f"Bearer {key}")]
    bodies = [
        client.request_bytes(
            "POST",
            path,
            orjson.dumps(
                {
                    "anonymousId": f"visitor-{int(rng.integers(CUSTOMERS))}",
                    "placements": ["home.hero", "home.recommended"],
                }
            ),
            headers,
        )
        for _ in range(20_000)
    ]
    return itertools.cycle(bodies)


def main() -> None:
    """Measure and write the result."""
    harness.prepare()
    key = shop.build(products=PRODUCTS, customers=CUSTOMERS, events=EVENTS)
    import redis
    from django.conf import settings

    from bench.bare import ANSWER_KEY

    cache = redis.Redis.from_url(settings.CACHE_REDIS_URL)
    used = int(cache.info("memory")["used_memory_dataset"])
    rates: dict[str, list[float]] = {"/v1/decide": [], "/v1/bare/drf": [], "/v1/bare/plain": []}
    with harness.granian() as port:
        client.run(port, requests(key, "/v1/decide", 0), connections=CONNECTIONS, seconds=4)
        # A second time: the first answers come before the models are loaded.
        warm = client.run(port, requests(key, "/v1/decide", 0), connections=CONNECTIONS, seconds=1)
        body = warm.sample.split(b"\r\n\r\n", 1)[1]
        answer = orjson.loads(body)
        shown = len(answer["placements"]["home.recommended"]["items"])
        if set(warm.statuses) != {200} or shown != 12 or answer["degraded"]:
            sys.exit(f"not the answer to measure: {warm.statuses} {body[:600]!r}")
        cache.set(ANSWER_KEY, body)
        for turn in range(ROUNDS):
            for path, seen in rates.items():
                load = client.run(
                    port, requests(key, path, turn + 1), connections=CONNECTIONS, seconds=SECONDS
                )
                if set(load.statuses) != {200}:
                    sys.exit(f"{path} answered {load.statuses}")
                seen.append(load.per_second)
        half = float(np.median(rates["/v1/decide"])) / 2
        steady = client.run(
            port,
            requests(key, "/v1/decide", 50),
            connections=32,
            seconds=2 * SECONDS,
            rate_per_s=half,
        )
        workers = _worker_mb(port)
    decide, drf, plain = (float(np.median(rates[path])) for path in rates)
    ratio = float(np.median(np.asarray(rates["/v1/decide"]) / np.asarray(rates["/v1/bare/drf"])))
    p99 = steady.percentile_ms(0.99)
    harness.write(
        "decide",
        {
            "decisions_per_second": Figure(
                decide,
                "1/s",
                ratio,
                drf,
                "ratio >= 0.4 of a bare DRF view",
                ratio >= 0.4 if ENOUGH else None,
            ),
            "p99_at_half_load": Figure(
                p99, "ms", goal="<= 25 ms", holds=p99 <= 25 if ENOUGH else None
            ),
            "p50_at_half_load": Figure(steady.percentile_ms(0.5), "ms"),
            "drf_against_plain_view": Figure(drf, "1/s", drf / plain, plain),
            "redis_per_million_profiles": Figure(used / CUSTOMERS * 1e6 / 2**20, "MB"),
            "memory_per_web_worker": Figure(workers, "MB"),
            **_stages(key),
        },
        PROTOCOL,
    )


def _stages(key: str) -> dict[str, Figure]:
    """CPU per stage, in process, one thread: what explain's timings say over 500 decisions."""
    from django.test import Client

    ask = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {key}"})
    seen: dict[str, list[float]] = {}
    rng = np.random.default_rng(3)
    for _ in range(500):
        body = {
            "anonymousId": f"visitor-{int(rng.integers(CUSTOMERS))}",
            "placements": ["home.hero", "home.recommended"],
            "explain": True,
        }
        answer = ask.post("/v1/decide", orjson.dumps(body), content_type="application/json").json()
        for stage, ms in answer["explain"]["timingsMs"].items():
            seen.setdefault(stage, []).append(ms)
    return {f"stage_{stage}": Figure(float(np.median(ms)), "ms") for stage, ms in seen.items()}


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
