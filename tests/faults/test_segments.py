"""Processors and the backfill are killed while a shop lives: memberships are the oracle's after.

The processes are real and work on the test's own database; nothing stands still for them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from personalization.customers import documents
from personalization.events.processor.loop import Processor
from personalization.lib import clock
from personalization.ops import serve as config
from personalization.ops.models import Heartbeat
from segments import services
from segments.live import backfilling, rules, timers
from segments.models import SegmentVersion, State
from tests.faults.deployment import ROOT
from tests.segments.live import truth
from tests.segments.live.shop import EDITED, Dice, Visitors, batches, open_shop, send
from tests.segments.live.world import count
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("durable"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills processes"),
]
PROCESSORS = ("first", "second")
_READY_S = 60.0
# Small chunks with a rest between: long enough to be killed in the middle.
_BACKFILL = """
import time
from segments.live import backfilling as b
real, b.CHUNK = b.redecide, {chunk}
def slowly(*args, **values):
    time.sleep({rest_s})
    return real(*args, **values)
b.redecide = slowly
b.backfill()
"""
_FOLDED = """
SELECT NOT EXISTS (
    SELECT FROM events_watermark w JOIN events_event e
        ON e.shard = w.shard AND (e.epoch, e.xid, e.seq) > (w.epoch, w.xid::text::xid8, w.seq)
    WHERE w."group" = 'profile')
AND NOT EXISTS (SELECT FROM customers_rebuild_due)
"""
# What a process says when two waited for each other.
_DEADLOCK = "deadlock"


class Crew:
    """The processes of one test, what they print, and their ends."""

    def __init__(self, folder: Path) -> None:
        at = connection.settings_dict
        url = f"postgres://{at['USER']}@/{at['HOST']}/{at['NAME']}"
        own = {"DATABASE_URL": url, "LOCAL_DIR": str(settings.LOCAL_DIR), "LOG_LEVEL": "WARNING"}
        own |= {"REDIS_URL": settings.CACHE_REDIS_URL, "BROKER_URL": settings.CELERY_BROKER_URL}
        self._environment = {**os.environ, **own}
        self.log = folder / "log"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.killed = 0

    def start(self, name: str, *arguments: str) -> None:
        """Run a command of manage.py."""
        with self.log.open("ab") as sink:
            self._running[name] = subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self._environment,
                stdout=sink,
                stderr=sink,
            )

    def processor(self, name: str) -> None:
        """Run a processor."""
        self.start(name, "process")

    def backfill(self, *, chunk: int, rest_s: float) -> None:
        """Run a backfill that takes its time."""
        code = _BACKFILL.format(chunk=chunk, rest_s=rest_s)
        self.start("backfill", "shell", "--no-imports", "-c", code)

    def kill(self, name: str) -> None:
        """Kill -9."""
        process = self._running.pop(name)
        self.killed += process.poll() is None
        process.kill()
        process.wait(10)

    def works(self, name: str) -> bool:
        """Whether a processor has begun, and is not dead."""
        mark = f":{self._running[name].pid}:"
        return Heartbeat.objects.filter(name__contains=mark).exists() and not self.ended(name)

    def busy(self, name: str) -> bool:
        """Whether it runs."""
        return name in self._running and not self.ended(name)

    def ended(self, name: str) -> bool:
        """Whether it ended by itself."""
        return self._running[name].poll() is not None

    def stop(self) -> None:
        """End all as an operator does."""
        for process in self._running.values():
            process.send_signal(signal.SIGTERM)
        for process in self._running.values():
            process.wait(60)
        self._running.clear()

    def end(self) -> None:
        """Leave nothing behind."""
        for name in list(self._running):
            self.kill(name)

    def told(self) -> str:
        """Return the end of what they printed."""
        return self.log.read_text(errors="replace")[-6_000:]


@pytest.fixture(name="crew")
def _crew(tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(tmp_path)
    yield crew
    crew.end()


def test_kill__processors_and_backfill__members_are_the_oracles(crew: Crew) -> None:
    _live_through(crew, seed=1, users=60, devices=40, kills=2, deaths_of_backfill=1)


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(2, 6))
def test_kill__many_more_of_everything__members_are_the_oracles(crew: Crew, seed: int) -> None:
    _live_through(crew, seed=seed, users=250, devices=150, kills=20, deaths_of_backfill=2)


@pytest.mark.deep
def test_load__everything_at_once_over_20000_customers__no_deadlock_and_nothing_lost(
    crew: Crew,
) -> None:
    begun = time.monotonic()
    visitors = Visitors(9, users=14_000, devices=6_000)
    open_shop(listed=[f"u{n}" for n in range(0, 14_000, 50)])
    for name in PROCESSORS:
        crew.processor(name)
    wait_for("processors", lambda: all(map(crew.works, PROCESSORS)), _READY_S, crew.told)
    for part in range(10):
        send(visitors.events(2_000, now=clock.now(), prefix=f"{part}-"), now=clock.now())
    rules_edited = 0
    while time.monotonic() < begun + 90:
        now = clock.now()
        send(visitors.events(400, now=now, prefix=f"{now.timestamp():.4f}-"), now=now)
        for _ in range(10):
            visitors.act(now=now)
        if not crew.busy("backfill"):
            rule = count(days=2 + rules_edited % 3, value=2)
            services.save_draft(key="fans", rule=rule, actor="test")
            services.publish_segment(key="fans", actor="test")
            rules_edited += 1
            crew.backfill(chunk=200, rest_s=0)
    wait_for("a backfill that ends", lambda: crew.ended("backfill"), _READY_S, crew.told)
    wait_for("everything to be folded", _is_folded, 5 * _READY_S, crew.told)
    crew.stop()
    assert _DEADLOCK not in crew.log.read_text(errors="replace")
    assert rules_edited > 1
    assert State.objects.count() > 12_000
    _assert_all_true(one_in=20)


def _live_through(
    crew: Crew, *, seed: int, users: int, devices: int, kills: int, deaths_of_backfill: int
) -> None:
    """Let a shop go on until so many processors that were at work have been killed."""
    pick = Dice(seed)
    visitors = Visitors(seed, users=users, devices=devices)
    open_shop(listed=[f"u{n}" for n in range(0, users, 7)] + ["d1", "d3"])
    for name in PROCESSORS:
        crew.processor(name)
    _go_on(crew, visitors, pick, until=(kills + 1) // 2)
    _publish_and_kill(crew, pick, deaths_of_backfill)
    services.roll_back(key="fans", actor="test")
    _go_on(crew, visitors, pick, until=kills + deaths_of_backfill)
    wait_for("everything to be folded", _is_folded, _READY_S, crew.told)
    crew.stop()
    assert _DEADLOCK not in crew.log.read_text(errors="replace")
    _assert_all_true()


def _go_on(crew: Crew, visitors: Visitors, pick: Dice, *, until: int) -> None:
    """Send events, log in, consent; kill who works, until so many are dead."""
    deadline = time.monotonic() + _READY_S * until
    while crew.killed < until:
        assert time.monotonic() < deadline, crew.told()
        now = clock.now()
        prefix = f"{now.timestamp():.4f}-"
        for batch in batches(visitors.events(25, now=now, prefix=prefix), pick):
            send(batch, now=now)
            visitors.act(now=now)
            time.sleep(pick.random() * 0.1)
        name = pick.choice(PROCESSORS)
        if crew.works(name) and pick.random() < 0.7:
            crew.kill(name)
            crew.processor(name)


def _publish_and_kill(crew: Crew, pick: Dice, deaths: int) -> None:
    """Edit two segments; the backfill dies on the way, and people start it again."""
    for key, rule in EDITED.items():
        services.save_draft(key=key, rule=rule, actor="test")
        services.publish_segment(key=key, actor="test")
    for _ in range(deaths):
        crew.backfill(chunk=3, rest_s=0.05)
        before = _behind()
        wait_for(
            "a backfill at work",
            lambda: _behind() < before - 3 or crew.ended("backfill"),  # noqa: B023
            _READY_S,
            crew.told,
        )
        time.sleep(pick.random() * 0.2)
        crew.kill("backfill")
    crew.backfill(chunk=50, rest_s=0)
    wait_for("a backfill that ends", lambda: crew.ended("backfill"), _READY_S, crew.told)
    crew.kill("backfill")
    waiting = SegmentVersion.objects.filter(status="shadow").exists()
    assert not waiting, crew.told()


def _behind() -> int:
    config.reload()
    return State.objects.filter(generation__lt=rules.live().generation).count()


def _is_folded() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_FOLDED)
        return bool(cursor.fetchone()[0])


def _assert_all_true(one_in: int = 1) -> None:
    config.reload()
    Processor().drain()
    backfilling.backfill()
    now = clock.now()
    with clock.frozen(now):
        while timers.run():
            continue
        documents.sweep()
        assert truth.faults(clock.to_us(now), one_in=one_in)[:20] == []
