"""A shopper who asks for decisions all the while, and notes what no shopper should see."""

import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException

import orjson

# The page is waiting: later than this, it has been given up.
LIMIT_S = 2.0
_GAP_S = 0.05
# While one of these starts again there may be nobody to answer.
_MAY_REFUSE = frozenset({"web", "web worker"})

# Answers in a row, over connections of their own, that show that no worker is behind.
_KNOWN_BY = 20


class Decider:
    """Asks until `finish`; `during` names who was killed last, for the notes in `faults`."""

    def __init__(self, *, port: int, key: str, prefix: str) -> None:
        self._port, self._key, self._prefix = port, key, prefix
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask_all, daemon=True)
        self.during = "nobody"
        self.answered = 0
        self.faults: list[str] = []

    def start(self) -> None:
        """Begin, once every web worker knows the key: each looks for new keys once a second."""
        known = 0
        while known < _KNOWN_BY:
            with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as web:
                known = known + 1 if self._is_known(web) else 0
            self._stop.wait(_GAP_S)
        self._thread.start()

    def _is_known(self, web: HTTPConnection) -> bool:
        body = orjson.dumps({"anonymousId": "first", "placements": []})
        web.request("POST", "/v1/decide", body, {"Authorization": f"Bearer {self._key}"})
        return web.getresponse().status != 401

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
        asked = {"userId": f"shopper-{self._prefix}-{number % 200}"}
        body = orjson.dumps({**asked, "placements": ["home.recommended"]})
        begun = time.monotonic()
        during = self.during
        try:
            web.request("POST", "/v1/decide", body, {"Authorization": f"Bearer {self._key}"})
            answer = web.getresponse()
            said = answer.read()
        except (OSError, HTTPException) as error:
            web.close()
            if during not in _MAY_REFUSE:
                self.faults.append(f"{during}: {error!r}")
            return
        took_s = time.monotonic() - begun
        self.answered += 1
        if answer.status != 200:
            self.faults.append(f"{during}: {answer.status} {said[:200]!r}")
        if took_s > LIMIT_S and during not in _MAY_REFUSE:
            self.faults.append(f"{during}: answered after {took_s:.1f} s")
