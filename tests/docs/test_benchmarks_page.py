"""docs/benchmarks.md says what bench/results holds."""

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
