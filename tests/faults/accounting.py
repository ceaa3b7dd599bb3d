"""What the clients were told against what the log and the profiles hold."""

from tests.faults.deployment import Deployment
from tests.faults.traffic import PRICE_MINOR, Told
from tests.waiting import wait_for

_CAUGHT_UP_WITHIN_S = 120.0


def assert_all_once(deployment: Deployment, told: Told, *, prefix: str) -> None:
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
