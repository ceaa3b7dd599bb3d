"""Public data from file to shelf: imported as events, folded, trained on, recommended.

The data lies beside the repository and is never part of it; without it these tests are skipped.
"""

import gzip
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db.models import Sum

from personalization.catalog.models import Product
from personalization.customers.models import Profile
from personalization.events.models import Event
from personalization.lib import clock
from recommender import live
from recommender.models import ModelVersion
from recommender.serve import Visit, recommend
from tests.flows.conftest import NOW, Walk
from tests.recommender.shop import shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db(transaction=True)

DATA = Path(settings.BASE_DIR).parent / "shared" / "data"
SESSIONS = DATA / "retailrocket_sessions" / "train.txt"
RETAIL = DATA / "online_retail" / "online_retail.csv.gz"


def _present(path: Path) -> pytest.MarkDecorator:
    where = f"../shared/data/{path.relative_to(DATA)}"
    return pytest.mark.skipif(
        not path.is_file(), reason=f"{where} is missing: NOT tested on this public data set"
    )


def _slice(source: Path, path: Path, lines: int) -> Path:
    opener = gzip.open if source.suffix == ".gz" else open
    with opener(source, "rt", encoding="utf-8") as file:
        path.write_text("".join(islice(file, lines)))
    return path


def _import_and_train(path: Path, layout: str) -> dict[str, dict[str, Any]]:
    """Run the commands that the guide names; return what was measured of each model."""
    with clock.frozen(NOW):
        call_command("import_events", str(path), format=layout)
        call_command("train")
    live.forget()
    versions = ModelVersion.objects.filter(status=ModelVersion.Status.LIVE)
    return {version.algorithm: version.metrics for version in versions}


@_present(SESSIONS)
def test_sessions__through_events__neighbours_for_a_new_visitor(
    walk: Walk, shop: Path, tmp_path: Path
) -> None:
    path = _slice(SESSIONS, tmp_path / "train.txt", 6_000)
    clicks = [line.split() for line in path.read_text().splitlines()]

    models = _import_and_train(path, "sessions")

    total = sum(map(len, clicks))
    assert Event.objects.count() == total
    assert Profile.objects.count() == len(clicks)
    assert Profile.objects.aggregate(n=Sum("events"))["n"] == total
    assert models["item_knn"]["users"] > 200
    assert models["item_knn"]["NDCG@20"] > 5 * models["popularity"]["NDCG@20"]

    device = {"anonymousId": "new-visitor"}
    seen = next(session for session in reversed(clicks) if len(set(session)) >= 4)
    walk.view(seen[0], device)
    walk.process()
    shelf = walk.decide(device)
    assert not {item["source"] for item in shelf["items"]} & {"popularity", "catalog"}
    assert {item["id"] for item in shelf["items"]} & set(seen[1:])


@_present(RETAIL)
def test_online_retail__through_events__what_is_bought_together(
    walk: Walk, shop: Path, tmp_path: Path
) -> None:
    path = _slice(RETAIL, tmp_path / "online_retail.csv", 60_000)

    models = _import_and_train(path, "online-retail")

    orders = Event.objects.filter(name="Order Completed")
    told = orders.count()
    assert told > 2_000
    assert Profile.objects.aggregate(n=Sum("orders"))["n"] == told
    assert models["item_knn"]["NDCG@20"] > models["popularity"]["NDCG@20"]

    device = {"anonymousId": "new-visitor"}
    pink = "22386"  # Jumbo Bag Pink Polkadot
    walk.view(pink, device)
    walk.process()
    shelf = walk.decide(device)
    assert {item["source"] for item in shelf["items"]} == {"item_knn"}
    shown = Product.objects.filter(key__in=[item["id"] for item in shelf["items"]])
    assert shown.filter(title__startswith="Jumbo").exists()

    beside = recommend("complements", Visit(item=pink, count=4, now_s=NOW.timestamp())).items
    bags = Product.objects.filter(key__in=[one.id for one in beside], title__startswith="Jumbo Bag")
    assert [one.source for one in beside] == ["bought_together"] * 4
    assert bags.count() >= 3
