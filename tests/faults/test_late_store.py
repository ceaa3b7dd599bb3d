"""`manage.py up` while PostgreSQL is away: it serves what it can, and all of it once it is back."""

import sys
from pathlib import Path

import pytest

from personalization.lib.embedded import servers
from tests.faults.deployment import PROGRAMS, Deployment
from tests.faults.elsewhere import elsewhere, urls
from tests.faults.shop import SHELF, asked, known, open_shop, shelf_fault, shelf_faults
from tests.waiting import wait_for

__all__ = ["elsewhere"]
pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]
STORE = ("postgres",)
EVENT = {"event": "Product Viewed", "anonymousId": "d1", "properties": {"product_id": "sku1"}}
# Five programs on two busy cores; service must be back 30 s after the store is.
_START_S, _BACK_S = 90, 30
_ASKED = 60


def test_up__store_away_on_a_node_that_served__decides_then_recovers(elsewhere: Path) -> None:
    deployment = Deployment(**urls(elsewhere))
    try:
        deployment.start()
        open_shop(deployment, deployment.key())
        key = deployment.key("public")
        servers.stop(elsewhere, STORE)
        assert [fault for n in range(_ASKED) for fault in shelf_faults(deployment, key, n)] == []
        assert deployment.stop() == 0

        deployment.launch()
        wait_for("life", lambda: deployment.health("live") == 200, _START_S, deployment.told)
        decided, answer = deployment.call("POST", "/v1/decide", asked(known(1)), key=key)
        sent, _ = deployment.call("POST", "/v1/track", EVENT, key=key)
        ready = deployment.health("ready")
        assert (decided, sent, ready) == (200, 503, 503)
        assert "config:remembered" in answer["degraded"]
        # Whether somebody withdrew while it was down, PostgreSQL alone could say: nothing personal.
        assert answer["placements"][SHELF]["reason"] == "profile_unavailable"
        assert shelf_fault(answer, is_known=False) == ""

        servers.start(elsewhere)
        wait_for("service", deployment.is_ready, _BACK_S, deployment.told)
        wait_for("an event", lambda: _sent(deployment, key) == 200, _BACK_S, deployment.told)
        wait_for(
            "the shelf of a known visitor",
            lambda: not any(shelf_faults(deployment, key, n) for n in range(6)),
            _BACK_S,
            deployment.told,
        )
        wait_for(
            "all programs",
            lambda: all(map(deployment.program, PROGRAMS[1:])),
            _BACK_S,
            deployment.told,
        )
        assert deployment.stop() == 0
    finally:
        deployment.remove()


def test_up__store_away_at_the_very_first_start__waits_then_serves(elsewhere: Path) -> None:
    servers.stop(elsewhere, STORE)
    deployment = Deployment(**urls(elsewhere))
    try:
        deployment.launch()
        wait_for("a try", lambda: "prepare" in deployment.told(), _START_S, deployment.told)
        wait_for("a word", lambda: "cannot be reached" in deployment.told(), 60, deployment.told)
        assert deployment.health("live") == 0

        servers.start(elsewhere)
        wait_for("service", deployment.is_ready, 180, deployment.told)
        assert deployment.stop() == 0
    finally:
        deployment.remove()


def _sent(deployment: Deployment, key: str) -> int:
    return deployment.call("POST", "/v1/track", EVENT, key=key)[0]
