"""Whom to kill, and what full service means afterwards."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import psycopg2
import redis
from celery import Celery

from personalization.lib.embedded import paths, processes
from personalization.ops.management.commands.beat import LOCK
from tests.faults.deployment import PROGRAMS, Deployment
from tests.faults.shop import asked, known, shelf_fault

# Both web workers have answered then, but for one time in 32.
_IN_A_ROW = 6
_WORKERS = frozenset({"worker", "learner"})
Victim = Callable[[Deployment], int]


def web_worker(deployment: Deployment) -> int:
    """One worker process of the web server."""
    return _children(deployment.program("web"))[0]


def postgres(deployment: Deployment) -> int:
    """The postmaster."""
    file = paths.data_dir(deployment.local) / "postgres" / "postmaster.pid"
    return int(file.read_text(encoding="utf-8").split("\n", 1)[0])


def _redis(name: str) -> Victim:
    return lambda deployment: int(deployment.redis(name).info("server")["process_id"])


def _program(name: str) -> Victim:
    return lambda deployment: deployment.program(name)


VICTIMS: dict[str, Victim] = {
    "postgres": postgres,
    "web worker": web_worker,
    "processor": _program("processor"),
    "cache": _redis("cache"),
    "web": _program("web"),
    "broker": _redis("broker"),
    "worker": _program("worker"),
    "learner": _program("learner"),
    "beat": _program("beat"),
    "servers": _program("servers"),
}


def kill(deployment: Deployment, name: str) -> int:
    """Kill -9 a victim; return its process id."""
    pid = VICTIMS[name](deployment)
    assert pid > 1, f"{name} does not run"
    os.kill(pid, signal.SIGKILL)
    return pid


class Service:
    """Looks whether everything works again after a kill. `probe` is a visitor of its own."""

    def __init__(self, deployment: Deployment, *, key: str, probe: str, killed: int) -> None:
        self._deployment, self._key, self._probe, self._killed = deployment, key, probe, killed
        broker = paths.broker_url(deployment.local)
        self._celery = Celery(broker=broker, set_as_current=False)
        self._sent = False
        self.missing = "everything"

    def is_full(self) -> bool:
        """Whether every part works; `missing` names the first that does not."""
        parts = {
            "programs": self._programs,
            "web": self._deployment.is_ready,
            "redis": self._redis,
            "processing": self._processed,
            "decisions": self._decides,
            "beat": self._beat,
            "workers": self._workers,
        }
        for name, works in parts.items():
            self.missing = name
            with suppress(OSError, HTTPException, psycopg2.Error, redis.RedisError):
                if works():
                    continue
            return False
        self.missing = ""
        return True

    def _programs(self) -> bool:
        pids = [self._deployment.program(name) for name in PROGRAMS]
        return self._killed not in pids and all(pid and processes.alive(pid) for pid in pids)

    def _redis(self) -> bool:
        return all(self._deployment.redis(name).ping() for name in ("cache", "broker"))

    def _processed(self) -> bool:
        """Whether an event sent after the kill has reached its customer's profile."""
        if not self._sent:
            event: dict[str, Any] = {
                "event": "Product Viewed",
                "userId": self._probe,
                "messageId": self._probe,
            }
            event["properties"] = {"product_id": "sku1"}
            self._sent = self._deployment.call("POST", "/v1/track", event, key=self._key)[0] == 200
        found = self._deployment.rows(
            "SELECT p.events FROM customers_profile p JOIN customers_identity i "
            "ON i.customer_id = p.customer_id WHERE i.value = %s",
            [self._probe],
        )
        return found == [(1,)]

    def _decides(self) -> bool:
        """Whether whichever web worker is asked knows a visitor, and has models and time."""
        return all(self._is_whole(known(number)) for number in range(_IN_A_ROW))

    def _is_whole(self, ids: dict[str, str]) -> bool:
        status, answer = self._deployment.call("POST", "/v1/decide", asked(ids), key=self._key)
        whole = status == 200 and answer["degraded"] == []
        return whole and not shelf_fault(answer, is_known=True)

    def _beat(self) -> bool:
        held = self._deployment.rows(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objid = %s", [LOCK]
        )
        return bool(held)

    def _workers(self) -> bool:
        """Whether the worker of each queue answers: one cannot speak for the other."""
        try:
            answers = self._celery.control.ping(timeout=1.0)
            return {name.partition("@")[0] for one in answers or () for name in one} == _WORKERS
        except self._celery.connection().connection_errors:
            return False


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                found.append(int(stat.parent.name))
    return sorted(found)
