"""The command on real data, where it is there: figures stay as docs/benchmarks.md has them."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from segments.learning.engine import public
from segments.learning.engine.features import KIND

DATA = Path(settings.BASE_DIR).parent / "shared" / "data"
RETAIL = DATA / "online_retail" / "online_retail.csv.gz"
SHOPPERS = DATA / "online_shoppers" / "online_shoppers_intention.csv"
HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def needs(path: Path) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not path.exists(), reason=f"REAL DATA MISSING: {path.name}")


def measured(**options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("segment_benchmark", json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


@needs(RETAIL)
def test_online_retail__clusters_and_value__as_reported() -> None:
    found = measured(online_retail=RETAIL)

    assert found["clusters"]["k"] == 5
    assert found["clusters"]["algorithms"]["kmeans"]["silhouette"] > 0.4
    assert found["clusters"]["algorithms"]["kmeans"]["accuracy"] > 0.85
    value = found["value"]["revenue_minor"]
    ours = value["BG/NBD + Gamma-Gamma"]
    assert ours["mae"] < value["naive rate"]["mae"]
    assert ours["rmse"] < value["naive rate"]["rmse"]
    assert abs(ours["total"]) < abs(value["naive rate"]["total"])


@pytest.mark.deep
@needs(SHOPPERS)
def test_online_shoppers__propensity__as_reported() -> None:
    found = measured(online_shoppers=SHOPPERS)

    with_it, without = (
        {name: one["auc"] for name, one in found[part]["models"].items()}
        for part in ("sessions", "sessions_without")
    )
    assert max(with_it.values()) > 0.925
    assert 0.75 < max(without.values()) < 0.82


def test_online_retail__lines__orders_refunds_and_slips() -> None:
    lines = [
        HEAD,
        "1,A,x,2,12/1/10 8:26,1.50,7.0,UK",
        "1,B,x,1,12/1/10 8:26,4.00,7.0,UK",
        "2,A,x,9,12/2/10 8:00,1.00,7.0,UK",
        "C3,A,x,-9,12/2/10 9:00,1.00,7.0,UK",
        "C4,B,x,-1,12/20/10 9:00,4.00,7.0,UK",
        "5,A,x,1,12/3/10 8:00,1.00,,UK",
    ]

    log = public.online_retail(lines)

    kinds = {name: log.value_minor[log.kind == KIND[name]].tolist() for name in KIND}
    assert kinds["order"] == [700]
    assert sorted(kinds["line"]) == [150, 400]
    assert kinds["refund"] == [400]
    assert set(log.customer.tolist()) == {7}
    assert (log.weekday[0], log.hour[0]) == (2, 8)


def test_online_shoppers__columns__levels_and_the_leak() -> None:
    names = [*public._NUMERIC, "Weekend", *public._NOMINAL, "Revenue"]
    rows = [
        dict.fromkeys(names, "1") | {"Month": month, "Weekend": "TRUE", "Revenue": bought}
        for month, bought in (("Feb", "TRUE"), ("May", "FALSE"))
    ]
    lines = [";".join(names), *(";".join(row[name] for name in names) for row in rows)]

    sample, columns = public.online_shoppers(lines, page_values=False)
    leaking, more = public.online_shoppers(lines, page_values=True)

    assert "PageValues" not in columns
    assert set(more) - set(columns) == {"PageValues"}
    assert sample.values[:, columns.index("Month=May")].tolist() == [0, 1]
    assert leaking.target.tolist() == [1, 0]
    assert np.isfinite(leaking.values).all()


def test_command__no_file_or_a_missing_one__says_so() -> None:
    with pytest.raises(CommandError, match="name a file"):
        call_command("segment_benchmark")
    with pytest.raises(CommandError, match="No such file"):
        call_command("segment_benchmark", online_retail=Path("nowhere.csv"))
