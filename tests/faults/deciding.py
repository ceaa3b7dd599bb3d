"""Visitors who ask for decisions all the while, and note what none of them should see."""

import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException

import orjson

from tests.faults.shop import asked, known, shelf_fault, stranger

# The page is waiting: later than this, it has been given up.
LIMIT_S = 2.0
_GAP_S = 0.05
# While one of these starts again there may be nobody to answer.
_MAY_REFUSE = frozenset({"web", "web worker"})


class Decider:
    """Asks until `finish`, for somebody known and for a stranger by turns.

    `during` names who was killed last, for the notes in `faults`. The shop must be open.
    """

    def __init__(self, *, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_all, daemon=True)
        self.during = "nobody"
        self.answered = 0
        self.faults: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join()

    def _ask_all(self) -> None:
        number = 0
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as web:
            while not self._stop.wait(_GAP_S):
                number += 1
                self._ask(web, number)

    def _ask(self, web: HTTPConnection, number: int) -> None:
        is_known = number % 2 == 0
        body = orjson.dumps(asked(known(number // 2) if is_known else stranger(number)))
        begun = time.monotonic()
        during = self.during
        try:
            web.request("POST", "/v1/decide", body, {"Authorization": f"Bearer {self._key}"})
            answer = web.getresponse()
            said = answer.read()
        except (OSError, HTTPException) as error:
            web.close()
            # One that was under way when the web was killed began before it.
            if _MAY_REFUSE.isdisjoint({during, self.during}):
                self.faults.append(f"{during}: {error!r}")
            return
        took_s = time.monotonic() - begun
        self.answered += 1
        if answer.status != 200:
            self.faults.append(f"{during}: {answer.status} {said[:200]!r}")
        elif fault := shelf_fault(orjson.loads(said), is_known=is_known):
            self.faults.append(f"{during}: {fault}")
        if took_s > LIMIT_S and during not in _MAY_REFUSE:
            self.faults.append(f"{during}: answered after {took_s:.1f} s")
