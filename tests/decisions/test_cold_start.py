"""A process that starts while PostgreSQL is away answers from what its node last served."""

import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from personalization.content import services as content
from personalization.customers import documents
from personalization.lib import clock, lastgood
from personalization.ops import serve as config
from recommender import live, ready
from tests.decisions.conftest import NOW, Decide
from tests.decisions.test_outages import postgres_away

BODY = {"anonymousId": "device-1", "placements": ["home.hero", "home.recommended"]}


def _ends() -> None:
    """Forget what the process has in memory, as a restart does."""
    for module in (config, catalogue, live, ready):
        module.forget()
    documents.reset()


@pytest.fixture
def restarted(decide: Decide) -> Iterator[Decide]:
    """Yield decide of a fresh process on a node that has served before."""
    for module in (config, catalogue, live):
        module.watch()
    _ends()
    yield decide
    _ends()


def test_decide__started_without_postgres__answered_from_the_nodes_disk(restarted: Decide) -> None:
    with postgres_away():
        answer = restarted(BODY)

    hero, shelf = answer["placements"]["home.hero"], answer["placements"]["home.recommended"]
    assert hero["content"] == {"heading": "Spring"}
    assert len(shelf["items"]) == 12
    assert shelf["reason"] == "profile_unavailable"
    assert "token" not in shelf
    assert {"config:remembered", "profile:unavailable"} <= set(answer["degraded"])


def test_decide__secret_key_without_postgres__not_believed_from_disk(restarted: Decide) -> None:
    with postgres_away():
        assert restarted(BODY, key="secret", status=503)["error"]["code"] == "unavailable"

    config.watch()
    restarted(BODY, key="secret")


def test_decide__what_is_on_disk_is_days_old__not_served(restarted: Decide, settings: Any) -> None:
    config.watch()
    _ends()
    with clock.frozen(NOW + timedelta(hours=settings.LAST_GOOD_MAX_AGE_H, seconds=61)):
        with postgres_away():
            assert restarted(BODY, status=503)["error"]["code"] == "unavailable"
        config.watch()
        _ends()
        with postgres_away():
            restarted(BODY)


def test_decide__postgres_is_back__reads_it_anew(restarted: Decide) -> None:
    with postgres_away():
        restarted(BODY)
    content.end_campaign(key="spring", actor="t")
    upsert_products([{"key": "new", "title": "New", "stock": 1}], actor="t", now=NOW)
    for module in (config, catalogue, live):
        module.watch()

    answer = restarted(BODY)

    assert answer["placements"]["home.hero"]["content"] == {"heading": "Welcome"}
    assert answer["placements"]["home.recommended"]["items"][0]["id"] == "new"
    assert "config:remembered" not in answer["degraded"]


def test_decide__file_on_disk_changed__not_believed(restarted: Decide, settings: Any) -> None:
    path = Path(settings.LAST_GOOD_DIR) / "config"
    path.write_bytes(path.read_bytes().replace(b"Spring", b"Xpring"))

    with postgres_away():
        assert restarted(BODY, status=503)["error"]["code"] == "unavailable"


def test_decide__node_that_never_served__503_with_retry(decide: Decide) -> None:
    _ends()
    with postgres_away():
        assert decide(BODY, status=503)["error"]["code"] == "unavailable"


def test_files__of_a_node__are_readable_by_its_user_alone(restarted: Decide, settings: Any) -> None:
    paths = list(Path(settings.LAST_GOOD_DIR).iterdir())

    assert {path.name for path in paths} >= {"config", "catalogue"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths} == {0o600}


def test_catalogue__changes_often__written_now_and_then(restarted: Decide) -> None:
    catalogue.watch()
    before = lastgood.recall("catalogue")
    with clock.frozen(NOW + timedelta(seconds=1)):
        upsert_products([{"key": "new", "title": "New"}], actor="t", now=NOW)
        catalogue.watch()
    assert lastgood.recall("catalogue") == before


@pytest.mark.parametrize("name", ["config", "catalogue", "models"])
def test_start__file_of_other_code__as_good_as_none(restarted: Decide, name: str) -> None:
    lastgood.keep(name, "1 x", b'{"of": "another release"}')

    with postgres_away():
        restarted(BODY, status=503 if name == "config" else 200)
