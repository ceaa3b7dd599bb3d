"""A shop's servers that never give up: each batch is sent until it is acknowledged."""

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from typing import Any

import orjson

BATCH = 20
CUSTOMERS = 200
_SENDERS = 4
_RETRY_S = 0.1
# Long enough for any kill of the test; longer means that service did not come back.
_GIVE_UP_S = 90.0
PRICE_MINOR = 1250


@dataclass
class Told:
    """What the clients were told, and what they may expect of each customer from that."""

    ids: set[str] = field(default_factory=set)
    accepted: int = 0
    duplicates: int = 0
    retries: int = 0
    faults: list[str] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)


class Traffic:
    """Sends `total` events at about `per_s`; `release` says how many of them may be sent by now."""

    def __init__(self, *, port: int, key: str, total: int, per_s: float, prefix: str) -> None:
        self._port, self._key, self._prefix = port, key, prefix
        self._batches = total // BATCH
        self._gap_s = BATCH * _SENDERS / per_s
        self._begun = datetime.now(UTC) - timedelta(hours=1)
        self._lock = threading.Condition()
        self._next = self._released = 0
        self.told = Told()
        self._threads = [
            threading.Thread(target=self._send_all, daemon=True) for _ in range(_SENDERS)
        ]

    @property
    def done(self) -> int:
        """How many events are acknowledged."""
        return len(self.told.ids)

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def release(self, events: int) -> None:
        """Let the first `events` events be sent."""
        with self._lock:
            self._released = min(self._batches, -(-events // BATCH))
            self._lock.notify_all()

    def finish(self) -> Told:
        """Send the rest and return what was told."""
        self.release(self._batches * BATCH)
        for thread in self._threads:
            thread.join()
        return self.told

    def _send_all(self) -> None:
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as web:
            while (number := self._take()) is not None:
                begun = time.monotonic()
                events = [self._event(number * BATCH + i) for i in range(BATCH)]
                try:
                    self._note(events, self._send(web, events))
                except AssertionError as fault:
                    self.told.faults.append(str(fault))
                time.sleep(max(0.0, self._gap_s - (time.monotonic() - begun)))

    def _take(self) -> int | None:
        with self._lock:
            while self._next >= self._released:
                if self._released >= self._batches:
                    return None
                self._lock.wait()
            self._next += 1
            return self._next - 1

    def _send(self, web: HTTPConnection, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Send one batch until it is acknowledged, each time with a new `sentAt` as clients do."""
        deadline = time.monotonic() + _GIVE_UP_S
        last = ""
        while time.monotonic() < deadline:
            body = orjson.dumps({"batch": events, "sentAt": datetime.now(UTC).isoformat()})
            try:
                web.request("POST", "/v1/batch", body, {"Authorization": f"Bearer {self._key}"})
                answer = web.getresponse()
                said = answer.read()
            except (OSError, HTTPException) as error:
                web.close()
                last = repr(error)
            else:
                if answer.status == 200:
                    return dict(orjson.loads(said))
                last = f"{answer.status} {said[:200]!r}"
                assert answer.status in {429, 502, 503, 504}, last
            self.told.retries += 1
            time.sleep(_RETRY_S)
        msg = f"no acknowledgement within {_GIVE_UP_S:.0f} s: {last}"
        raise AssertionError(msg)

    def _event(self, n: int) -> dict[str, Any]:
        at = (self._begun + timedelta(milliseconds=n)).isoformat()
        user = f"shopper-{self._prefix}-{n // 3 % CUSTOMERS}"
        base = {"messageId": f"{self._prefix}-{n}", "userId": user, "timestamp": at}
        item = {"product_id": f"sku{n % 97}", "quantity": 1, "price": PRICE_MINOR / 100}
        if n % 10:
            return base | {"type": "track", "event": "Product Viewed", "properties": item}
        bought: dict[str, Any] = {
            "order_id": f"order-{self._prefix}-{n}",
            "currency": "EUR",
            "products": [item],
        }
        bought["total"] = PRICE_MINOR / 100
        return base | {"type": "track", "event": "Order Completed", "properties": bought}

    def _note(self, events: list[dict[str, Any]], answer: dict[str, Any]) -> None:
        with self._lock:
            told = self.told
            kept = int(answer["accepted"]) + int(answer["duplicates"])
            if kept != len(events):
                told.faults.append(f"not all kept: {answer}")
            told.accepted += int(answer["accepted"])
            told.duplicates += int(answer["duplicates"])
            for event in events:
                told.ids.add(event["messageId"])
                told.events[event["userId"]] += 1
                told.orders[event["userId"]] += event["event"] == "Order Completed"
