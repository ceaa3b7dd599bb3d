"""How long a change takes until every web worker answers by it: asked through HTTP.

The time is from the answer that accepts the change to the first of several answers in a row that
know it.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.faults.deployment import Deployment

# The shop promises a second, and bench/freshness.py measures how soon it is; here other tests run
# beside. So one is late that ten times as long, and so many answers as a quiet machine gives in
# half of that, do not know: where answers are slow, the rest has as much longer.
DEADLINE_S, _DEADLINE_ANSWERS = 10.0, 300
_START_S = 60.0
# Each worker has answered then, but for one time in 32.
_IN_A_ROW = 6
# What everything else rests on: one time in half a million.
_SURELY = 20
_GAP_S = 0.01
SHELF = "cheap"
_CHEAP = {"kind": "product", "key": "price_minor", "op": "lt", "value": 1000}
_STRATEGY = {
    "key": SHELF,
    "title": "Cheap",
    "algorithm": "popularity",
    "rules": {"filter": _CHEAP},
}
# Field of a product -> its value where the shelf shows it, and where not.
FLIPS: dict[str, tuple[int, int]] = {"stock": (5, 0), "price_minor": (500, 5000)}


class Poller:
    """Changes something and asks until the answers say so.

    What a visitor did is in one place for all workers, where newer alone replaces: an answer that
    knows it is never followed by one that does not, unless that names what was out of reach.
    """

    def __init__(self, deployment: Deployment, key: str) -> None:
        self._deployment, self._key = deployment, key

    def prepare(self) -> None:
        """Publish the shelf, and wait until workers know the key and it, and the processor runs."""
        self._until(lambda: self._call("GET", "/api/strategies/")[0] == 200, 10)
        if self._call("GET", f"/api/strategies/{SHELF}/")[0] == 404:
            self._accepted("POST", "/api/strategies/", _STRATEGY)
        self._until(lambda: self._shelf()[0] == 200, 10, in_a_row=_SURELY)
        self._event(f"fresh-{time.time_ns()}", _START_S)

    def events(self, count: int) -> list[float]:
        """Have `count` visitors look at something; return after how many seconds decide knows it.

        Each is a new visitor: nothing is known of them before.
        """
        return [self._event(f"fresh-{time.time_ns()}") for _ in range(count)]

    def flips(self, field: str, count: int) -> list[float]:
        """Change a product to and fro `count` times; return the seconds until the shelf says so."""
        shown, hidden = FLIPS[field]
        item = f"fresh-{field}"
        self._change(item, field, shown, shows=True)
        return [
            self._change(item, field, hidden if turn % 2 == 0 else shown, shows=turn % 2 == 1)
            for turn in range(count)
        ]

    def _event(self, who: str, deadline_s: float = DEADLINE_S) -> float:
        event = {
            "type": "track",
            "event": "Product Viewed",
            "anonymousId": who,
            "properties": {"product_id": f"item-{who}"},
        }
        ask = {"anonymousId": who, "flags": ["none"], "explain": True}

        seen = False

        def known() -> bool:
            nonlocal seen
            status, answer = self._call("POST", "/v1/decide", ask)
            assert status == 200, answer
            holds = f"item-{who}" in str(answer["explain"]["recent"])
            assert holds or not seen or answer["degraded"], "what was known is forgotten"
            seen = seen or holds
            return holds

        self._accepted("POST", "/v1/track", event)
        return self._until(known, deadline_s)

    def _change(self, item: str, field: str, value: int, *, shows: bool) -> float:
        product = {"key": item, "title": item, "stock": 5, "price_minor": 500, field: value}
        self._accepted("POST", "/api/products/", [product])

        def seen() -> bool:
            status, answer = self._shelf()
            assert status == 200, answer
            return (item in [one["id"] for one in answer["items"]]) == shows

        return self._until(seen, DEADLINE_S)

    def _shelf(self) -> tuple[int, dict[str, Any]]:
        return self._call("GET", f"/v1/recommendations/{SHELF}?count=100")

    def _accepted(self, method: str, path: str, body: Any) -> None:
        status, answer = self._call(method, path, body)
        assert status in (200, 201), answer

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        return self._deployment.call(method, path, body, key=self._key)

    def _until(
        self, holds: Callable[[], bool], deadline_s: float, in_a_row: int = _IN_A_ROW
    ) -> float:
        """Return after how many seconds the answers began to hold in a row."""
        begun = since = time.monotonic()
        agreed = stale = 0
        while agreed < in_a_row:
            asked = time.monotonic()
            if not holds():
                agreed, stale = 0, stale + 1
                is_late = asked - begun >= deadline_s and stale >= _DEADLINE_ANSWERS
                assert not is_late, f"not seen within {deadline_s:g} s and {stale} answers"
                time.sleep(_GAP_S)
                continue
            since = asked if agreed == 0 else since
            agreed += 1
        return since - begun


def distribution(took_s: list[float]) -> dict[str, float]:
    """Return p50, p99 and the longest of some seconds."""
    p50, p99 = np.quantile(took_s, [0.5, 0.99])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(max(took_s), 3)}
