"""`manage.py up` while PostgreSQL is away: it serves what it can, and all of it once it is back."""

import sys
from pathlib import Path

import pytest

from personalization.lib.embedded import servers
from tests.faults.deployment import Deployment
from tests.faults.elsewhere import elsewhere, urls
from tests.waiting import wait_for

__all__ = ["elsewhere"]
pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]
STORE = ("postgres",)
EVENT = {"event": "Product Viewed", "anonymousId": "d1", "properties": {"product_id": "sku1"}}
ASKED = {"anonymousId": "d1", "placements": ["home.recommended"]}
# Five programs on two busy cores; service must be back 30 s after the store is.
_START_S, _BACK_S = 90, 30


def test_up__store_away_on_a_node_that_served__decides_then_recovers(elsewhere: Path) -> None:
    deployment = Deployment(**urls(elsewhere))
    try:
        deployment.start()
        made = deployment.manage("create_key", "--kind", "public", "--name", "late")
        key = made.strip().splitlines()[-1]
        wait_for("the key", lambda: _decided(deployment, key) == 200, _BACK_S, deployment.told)
        assert deployment.stop() == 0
        servers.stop(elsewhere, STORE)

        deployment.launch()
        wait_for("life", lambda: deployment.health("live") == 200, _START_S, deployment.told)
        decided, answer = deployment.call("POST", "/v1/decide", ASKED, key=key)
        sent, _ = deployment.call("POST", "/v1/track", EVENT, key=key)
        ready = deployment.health("ready")
        assert (decided, sent, ready) == (200, 503, 503)
        assert "config:remembered" in answer["degraded"]

        servers.start(elsewhere)
        wait_for("service", deployment.is_ready, _BACK_S, deployment.told)
        wait_for("an event", lambda: _sent(deployment, key) == 200, _BACK_S, deployment.told)
        wait_for(
            "all programs",
            lambda: all(map(deployment.program, ("web", "processor", "worker", "beat"))),
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


def _decided(deployment: Deployment, key: str) -> int:
    return deployment.call("POST", "/v1/decide", ASKED, key=key)[0]


def _sent(deployment: Deployment, key: str) -> int:
    return deployment.call("POST", "/v1/track", EVENT, key=key)[0]
