"""What `python -m bench end_to_end` asks and reports, without an installation."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import end_to_end, harness, report
from bench.end_to_end import Answers, Measured
from bench.end_to_end_data import SETS, Question, kept_back, published
from bench.harness import Figure
from recommender.models import ModelVersion

HEAD = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
DAY_S = 86_400.0


def line(invoice: str, code: str, date: str, *, quantity: int = 1, price: float = 2.5) -> str:
    return f"{invoice},{code},A thing,{quantity},{date} 10:00,{price},17850.0,France\n"


def version(status: str = "live", **metrics: Any) -> ModelVersion:
    told = {
        "users": 9,
        "Recall@20": 0.25,
        "NDCG@20": 0.5,
        "intervals": {"Recall@20": [0.2, 0.3], "NDCG@20": [0.4, 0.6]},
        "coverage@20": 0.125,
        "popularity": {"NDCG@20": 0.1},
        "protocol": "baskets of the last days",
        "cut_s": 83 * DAY_S,
    }
    facts = {"from_s": 0.0, "newest_s": 90 * DAY_S}
    return ModelVersion(
        algorithm="item_knn", status=status, metrics=told | metrics, manifest={"facts": facts}
    )


def measured(ratio: float) -> Measured:
    return Measured({"import": Figure(2.0, "s")}, {"item_knn.asked": Figure(9, "")}, ratio, "So.")


def test_kept_back__newest_week__not_imported_but_asked_about(tmp_path: Path) -> None:
    old = [line("1", "85123A", "1/1/11"), line("2", "71053", "2/19/11")]
    new = [line("3", "22386", "2/25/11"), line("3", "21931", "2/25/11")]

    found = kept_back([HEAD, *old, *new], tmp_path / "kept.csv")

    assert found.path.read_text() == HEAD + line("1", "85123A", "1/1/11")
    assert found.lines == 1
    assert found.questions == [Question(("22386",), "21931")]
    assert "after 2011-02-18 10:00" in found.words


def test_kept_back__a_short_file__keeps_back_a_fifth(tmp_path: Path) -> None:
    lines = [line(str(day), "85123A", f"1/{day}/11") for day in range(1, 12)]

    assert kept_back([HEAD, *lines], tmp_path / "kept.csv").lines == 9


def test_kept_back__no_products_repeats_and_single_ones__ask_nothing(tmp_path: Path) -> None:
    late = [
        line("2", "POST", "3/1/11"),
        line("2", "22386", "3/1/11"),
        line("2", "22386", "3/1/11"),
        line("C3", "22386", "3/1/11", quantity=-1),
        line("C3", "21931", "3/1/11", quantity=-1),
        line("4", "22386", "3/1/11", price=0),
        line("4", "21931", "3/1/11"),
    ]

    found = kept_back([HEAD, line("1", "85123A", "1/1/11"), *late], tmp_path / "kept.csv")

    assert found.questions == []


def test_published__prefixes__asked_for_what_came_next() -> None:
    found = published(["7 8 7\t8\n", "5\t9\n"])

    assert found == [Question(("7", "8", "7"), "8"), Question(("5",), "9")]
    assert [one.is_new for one in found] == [False, True]


def test_events_of__a_visitor__in_order_and_none_from_the_future() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)

    events = end_to_end.events_of("Product Viewed", [Question(("7", "8"), "9")], now)

    assert [one["properties"]["product_id"] for one in events] == ["7", "8"]
    assert [one["timestamp"] for one in events] == [
        "2026-02-28T23:59:59+00:00",
        "2026-03-01T00:00:00+00:00",
    ]
    assert len({one["anonymousId"] for one in events}) == 1


def test_asked_figures__known_and_new__counted_apart() -> None:
    questions = [Question(("7",), "7"), Question(("7",), "8"), Question(("7",), "9")]

    found = end_to_end.asked_figures(questions, Answers([["1"], ["8", "1"], []], [1.0, 2.0, 9.0]))

    assert found["questions"].value == 3
    assert found["questions, on_the_shelf"].value == pytest.approx(1 / 3)
    assert found["questions_for_new"].value == 2
    assert found["questions_for_new, on_the_shelf"].value == pytest.approx(1 / 2)
    assert found["decision_p50"].value == 2.0


def test_asked_figures__nothing_new_asked__has_no_share_of_it() -> None:
    found = end_to_end.asked_figures([Question(("7",), "7")], Answers([["7"]], [1.0]))

    assert found["questions_for_new"].value == 0
    assert "questions_for_new, on_the_shelf" not in found


def test_model_figures__live_and_rejected__as_the_registry_has_them() -> None:
    live = end_to_end.model_figures(version())
    nothing: dict[str, Any] = {"Recall@20": None, "NDCG@20": None, "coverage@20": None}
    rejected = end_to_end.model_figures(version("rejected", users=0, popularity={}, **nothing))

    assert live["item_knn.Recall@20"] == Figure(0.25, "(0.200-0.300)")
    assert live["item_knn.coverage@20"] == Figure(0.125, "")
    assert live["item_knn.popularity's NDCG@20"] == Figure(0.1, "")
    assert rejected == {"item_knn (rejected).asked": Figure(0, "")}


def test_split_of__cut__told_in_days() -> None:
    assert end_to_end.split_of(version()) == "the last 7.0 of 90 days"
    assert end_to_end.split_of(version(cut_s=None)) is None


def test_figures_of__a_slice__judges_nothing() -> None:
    found = {"online_retail": measured(2.0), "retailrocket": measured(4.0)}

    part = end_to_end.figures_of(found, 1_000.0, 0.5)
    whole = end_to_end.figures_of(found, 1_000.0, 1.0)

    judged = ("online_retail_item_knn_over_popularity", "seconds")
    assert [part[name].holds for name in judged] == [None, None]
    assert [whole[name].holds for name in judged] == [True, False]
    assert whole["retailrocket_item_knn_over_popularity"].holds is False


def test_main__data_missing__says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = {name: replace(one, paths=(tmp_path / "gone.csv",)) for name, one in SETS.items()}
    monkeypatch.setattr(end_to_end, "SETS", gone)
    monkeypatch.setattr(harness, "RESULTS", tmp_path)

    assert end_to_end.main([]) == 0

    assert "retailrocket: SKIPPED" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_report__keys_of_table_row_and_column__side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {"online_retail": measured(2.0), "retailrocket": replace(measured(4.0), models={})}
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    figures = end_to_end.figures_of(found, 60.0, 1.0)
    harness.write("end_to_end", figures, end_to_end.protocol_of(found, 1.0))

    page = report.refreshed("<!-- figures: end_to_end -->\n<!-- end of figures -->")

    assert (
        "| seconds | 60 s |  |  | <= 900 s for both: holds |\n\n| steps | online retail |" in page
    )
    assert "| import | 2 s | 2 s |\n" in page
    assert "| online retail | asked |\n| --- | --- |\n| item knn | 9 |\n" in page
    assert "retailrocket | asked" not in page
