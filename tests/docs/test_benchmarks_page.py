"""docs/benchmarks.md says what bench/results holds, and each benchmark has its result there."""

import json

import pytest

from bench.__main__ import NAMES
from bench.harness import RESULTS
from bench.report import PAGE, refreshed

MEASURED = (
    "ingest",
    "processing",
    "decide",
    "freshness",
    "segments",
    "training",
    "recommend",
    "end_to_end",
)


def test_benchmarks_page__tables_of_speed__are_those_of_the_result_files() -> None:
    text = PAGE.read_text(encoding="utf-8")

    assert [name for name in MEASURED if f"<!-- figures: {name} -->" not in text] == []
    assert text == refreshed(text), "run python -m bench.report"


def test_benchmarks_page__number_changed_by_hand__is_put_right() -> None:
    text = PAGE.read_text(encoding="utf-8")
    start = text.index("<!-- figures: decide -->\n") + len("<!-- figures: decide -->\n")

    assert refreshed(text[:start] + "| better | 1 |\n" + text[start:]) == refreshed(text)


@pytest.mark.parametrize("name", NAMES)
def test_results__each_benchmark__has_one_of_the_stated_shape(name: str) -> None:
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))

    assert set(result) == {"name", "figures", "protocol", "machine"}
    assert result["name"] == name
    assert result["figures"]
    for key, figure in result["figures"].items():
        assert set(figure) == {"value", "unit", "ratio", "ceiling", "goal", "holds"}, key
        # A verdict is one on a goal; what stands in the tables is measured at its stated size.
        assert (figure["holds"] is not None) == bool(figure["goal"]), key
