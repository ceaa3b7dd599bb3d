"""Servers that are given by URL are used as they are: none is started, none is stopped."""

import sys
from pathlib import Path

import pytest

from personalization.lib.embedded import paths, servers
from tests.faults.deployment import deployed
from tests.faults.elsewhere import elsewhere, urls
from tests.faults.shop import asked, known, open_shop, shelf_fault
from tests.waiting import wait_for

__all__ = ["elsewhere"]

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]
SERVERS = ("postgres", "cache", "broker")


def test_up__urls_of_all_servers__starts_none_migrates_and_serves(elsewhere: Path) -> None:
    event = {"event": "Product Viewed", "userId": "u1", "properties": {"product_id": "sku1"}}

    with deployed(**urls(elsewhere)) as deployment:
        key = deployment.key()
        open_shop(deployment, key)
        sent, _ = deployment.call("POST", "/v1/track", event, key=key)
        found = f"/api/customers/?user_id={event['userId']}"

        def processed() -> bool:
            told = deployment.call("GET", found, key=key)[1]["results"]
            return bool(told and told[0]["last_seen_at"])

        wait_for("a profile", processed, 30, deployment.told)
        decided, answer = deployment.call("POST", "/v1/decide", asked(known(1)), key=key)

        assert (sent, decided, answer["degraded"]) == (200, 200, [])
        assert shelf_fault(answer, is_known=True) == ""
        assert [name for name in SERVERS if servers.answers(deployment.local, name)] == []
        assert not (paths.data_dir(deployment.local) / "postgres").exists()
        assert deployment.program("servers") == 0
        assert deployment.stop() == 0

    assert [name for name in SERVERS if servers.answers(elsewhere, name)] == list(SERVERS)
