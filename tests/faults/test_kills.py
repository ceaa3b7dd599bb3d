"""Events are sent while processes are killed: no acknowledged one is lost or counted twice.

Meanwhile visitors ask for decisions: none fails, none is slow, and each gets the shelf that is
theirs. Before it, on the same deployment: how soon a change is seen, and what is shown while
PostgreSQL is away.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.accounting import assert_all_once
from tests.faults.deciding import Decider
from tests.faults.deployment import PROGRAMS, START_TIMEOUT_S, Deployment, deployed
from tests.faults.freshness import FLIPS, Poller, distribution
from tests.faults.killing import VICTIMS, Service, kill
from tests.faults.shop import open_shop, shelf_faults
from tests.faults.traffic import Told, Traffic
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)

FULL_SERVICE_WITHIN_S = 30.0
# Each web worker has answered many times then, after it has noticed that PostgreSQL is away.
_ASKED = 60
_LIMITS = {"RATE_SECRET_KEY_PER_S": "1000000", "RATE_ADDRESS_PER_S": "1000000"}


@pytest.fixture(name="deployment", scope="module")
def _deployment() -> Iterator[Deployment]:
    with deployed(**_LIMITS) as deployment:
        yield deployment


@pytest.fixture(name="key", scope="module")
def _key(deployment: Deployment) -> str:
    """A secret key, and the shop is open."""
    key = deployment.key()
    open_shop(deployment, key)
    return key


# Here because the deployment runs already: to start one takes longer than to ask it.
@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.deep)])
def test_change__of_event_stock_or_price__seen_through_http_by_the_deadline(
    deployment: Deployment, key: str, count: int, record_property: Callable[[str, object], None]
) -> None:
    """Three pollers at once, before anything is killed; each change has its own deadline."""
    poller = Poller(deployment, key)
    poller.prepare()

    with ThreadPoolExecutor() as pool:
        events = pool.submit(poller.events, count)
        flips = {field: pool.submit(poller.flips, field, count) for field in FLIPS}
        took_s = {"event": events.result()} | {
            field: flip.result() for field, flip in flips.items()
        }

    assert {name: len(seen) for name, seen in took_s.items()} == dict.fromkeys(took_s, count)
    for name, seen in took_s.items():
        record_property(f"{name}_seen_after_s", told := distribution(seen))
        print(f"{name} seen after (s), {count} times: {told}")  # noqa: T201 -- shown by -rP


def test_postgres_away__known_visitor_and_stranger__to_each_their_shelf(
    deployment: Deployment, key: str
) -> None:
    # Whoever of them starts, or watches, would have PostgreSQL back at once.
    others = [deployment.program(name) for name in PROGRAMS if name != "web"]
    _send(others, signal.SIGSTOP)
    try:
        killed = kill(deployment, "postgres")
        wait_for("no PostgreSQL", lambda: deployment.health("ready") == 503, 30, deployment.told)
        faults = [fault for n in range(_ASKED) for fault in shelf_faults(deployment, key, n)]
        ready = deployment.health("ready")
    finally:
        _send(others, signal.SIGCONT)

    assert (faults, ready) == ([], 503)
    service = Service(deployment, key=key, probe="probe-away", killed=killed)
    wait_for("full service", service.is_full, FULL_SERVICE_WITHIN_S, deployment.told)


def test_kill__every_process_once_while_events_are_sent__all_once(
    deployment: Deployment, key: str
) -> None:
    told, took_s = _send_and_kill(deployment, key, events=20_000, victims=list(VICTIMS), prefix="a")

    assert told.faults == []
    assert_all_once(deployment, told, prefix="a")
    assert max(took_s.values()) <= FULL_SERVICE_WITHIN_S, took_s


def test_kill__supervisor__next_start_serves_and_ends_clean(
    deployment: Deployment, key: str
) -> None:
    before = set(deployment.processes())

    deployment.kill_supervisor()
    deployment.launch()

    wait_for(
        "the end of what was left",  # until then the old web may answer
        lambda: not before & set(deployment.processes()),
        FULL_SERVICE_WITHIN_S,
        deployment.told,
    )
    service = Service(deployment, key=key, probe="probe-supervisor", killed=0)
    wait_for("full service", service.is_full, START_TIMEOUT_S, deployment.told)
    assert deployment.stop() == 0
    assert deployment.processes() == []


@pytest.mark.deep
def test_kill__every_process_twice_in_200000_events__all_once() -> None:
    with deployed(**_LIMITS) as deployment:
        key = deployment.key()
        open_shop(deployment, key)
        victims = list(VICTIMS) * 2
        told, took_s = _send_and_kill(deployment, key, events=200_000, victims=victims, prefix="b")

        assert told.faults == []
        assert_all_once(deployment, told, prefix="b")
        assert max(took_s.values()) <= FULL_SERVICE_WITHIN_S, took_s


def _send(pids: list[int], number: signal.Signals) -> None:
    assert min(pids) > 1, "a program does not run"  # 0 would be this very test
    for pid in pids:
        os.kill(pid, number)


def _send_and_kill(
    deployment: Deployment, key: str, *, events: int, victims: list[str], prefix: str
) -> tuple[Told, dict[str, float]]:
    """Send in as many portions as victims; each is killed in the middle of its portion."""
    traffic = Traffic(port=deployment.port, key=key, total=events, per_s=1500, prefix=prefix)
    portion = events / len(victims)
    took_s = {}
    decider = Decider(port=deployment.port, key=key)
    traffic.start()
    decider.start()
    for number, name in enumerate(victims):
        traffic.release(int(portion * (number + 1)))
        middle = portion * (number + 0.5)
        wait_for("events", lambda: traffic.done >= middle, 120, deployment.told)  # noqa: B023
        decider.during = name
        pid = kill(deployment, name)
        probe = f"probe-{prefix}-{number}"
        service = Service(deployment, key=key, probe=probe, killed=pid)
        took_s[f"{number} {name}"] = wait_for(
            f"full service after the kill of {name}",
            service.is_full,
            FULL_SERVICE_WITHIN_S * 2,
            lambda: f"missing: {service.missing}\n{deployment.told()}",  # noqa: B023
        )
    told = traffic.finish()
    decider.finish()
    assert decider.answered > 0
    assert decider.faults == []
    return told, took_s
