"""Events are sent while processes are killed: no acknowledged one is lost or counted twice."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.deployment import Deployment, deployed, wait_for
from tests.faults.killing import VICTIMS, Service, kill
from tests.faults.traffic import PRICE_MINOR, Told, Traffic

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="looks for processes in /proc"
)

FULL_SERVICE_WITHIN_S = 30.0
_LIMITS = {"RATE_SECRET_KEY_PER_S": "1000000", "RATE_ADDRESS_PER_S": "1000000"}
_CAUGHT_UP_WITHIN_S = 120.0


@pytest.fixture(name="deployment", scope="module")
def _deployment() -> Iterator[Deployment]:
    with deployed(**_LIMITS) as deployment:
        yield deployment


@pytest.fixture(name="key", scope="module")
def _key(deployment: Deployment) -> str:
    made = deployment.manage("create_key", "--kind", "secret", "--name", "faults")
    return made.strip().splitlines()[-1]


def test_kill__every_process_once_while_events_are_sent__all_once(
    deployment: Deployment, key: str
) -> None:
    told, took_s = _send_and_kill(deployment, key, events=20_000, victims=list(VICTIMS), prefix="a")

    assert told.faults == []
    assert max(took_s.values()) <= FULL_SERVICE_WITHIN_S, took_s
    _assert_all_once(deployment, told, prefix="a")


def test_kill__supervisor__next_start_serves_and_ends_clean(
    deployment: Deployment, key: str
) -> None:
    before = set(deployment.processes())

    deployment.kill_supervisor()
    deployment.start()

    assert not before & set(deployment.processes())
    service = Service(deployment, key=key, probe="probe-supervisor", killed=0)
    wait_for("full service", service.is_full, FULL_SERVICE_WITHIN_S, deployment.told)
    assert deployment.stop() == 0
    assert deployment.processes() == []


@pytest.mark.deep
def test_kill__every_process_twice_in_200000_events__all_once() -> None:
    with deployed(**_LIMITS) as deployment:
        made = deployment.manage("create_key", "--kind", "secret", "--name", "faults")
        key = made.strip().splitlines()[-1]
        victims = list(VICTIMS) * 2
        told, took_s = _send_and_kill(deployment, key, events=200_000, victims=victims, prefix="b")

        assert told.faults == []
        assert max(took_s.values()) <= FULL_SERVICE_WITHIN_S, took_s
        _assert_all_once(deployment, told, prefix="b")


def _send_and_kill(
    deployment: Deployment, key: str, *, events: int, victims: list[str], prefix: str
) -> tuple[Told, dict[str, float]]:
    """Send in as many portions as victims; each is killed in the middle of its portion."""
    traffic = Traffic(port=deployment.port, key=key, total=events, per_s=1500, prefix=prefix)
    portion = events / len(victims)
    took_s = {}
    traffic.start()
    for number, name in enumerate(victims):
        traffic.release(int(portion * (number + 1)))
        middle = portion * (number + 0.5)
        wait_for("events", lambda: traffic.done >= middle, 120, deployment.told)  # noqa: B023
        pid = kill(deployment, name)
        probe = f"probe-{prefix}-{number}"
        service = Service(deployment, key=key, probe=probe, killed=pid)
        took_s[f"{number} {name}"] = wait_for(
            f"full service after the kill of {name}",
            service.is_full,
            FULL_SERVICE_WITHIN_S * 2,
            lambda: f"missing: {service.missing}\n{deployment.told()}",  # noqa: B023
        )
    return traffic.finish(), took_s


def _assert_all_once(deployment: Deployment, told: Told, *, prefix: str) -> None:
    """Compare ids in the log and sums in profiles with what the clients were told."""
    logged = deployment.rows(
        "SELECT message_id FROM events_event WHERE message_id LIKE %s", [f"{prefix}-%"]
    )
    assert len(logged) == len(told.ids)
    assert {row[0] for row in logged} == told.ids
    assert told.accepted <= len(logged) <= told.accepted + told.duplicates

    expected = {
        user: (events, told.orders[user], told.orders[user] * PRICE_MINOR)
        for user, events in told.events.items()
    }
    wait_for(
        "profiles that agree",
        lambda: _profiles(deployment, prefix) == expected,
        _CAUGHT_UP_WITHIN_S,
        lambda: _difference(_profiles(deployment, prefix), expected),
    )


def _profiles(deployment: Deployment, prefix: str) -> dict[str, tuple[int, int, int]]:
    rows = deployment.rows(
        "SELECT i.value, p.events, p.orders, p.revenue_minor FROM customers_profile p "
        "JOIN customers_identity i ON i.customer_id = p.customer_id WHERE i.value LIKE %s",
        [f"shopper-{prefix}-%"],
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def _difference(
    found: dict[str, tuple[int, int, int]], expected: dict[str, tuple[int, int, int]]
) -> str:
    wrong = {user: (found.get(user), wanted) for user, wanted in expected.items()}
    first = [(user, pair) for user, pair in wrong.items() if pair[0] != pair[1]][:5]
    return f"{len(found)} of {len(expected)} profiles; found, expected: {first}"
