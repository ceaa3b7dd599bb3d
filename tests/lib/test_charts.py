"""Charts can be read: round labels on their lines, ends that are named, gaps that stay gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from django.template.loader import render_to_string

from personalization.lib.charts import (
    HEIGHT,
    WIDTH,
    Chart,
    Scale,
    Series,
    days,
    line_chart,
    sparkline,
    square_chart,
)

PLAIN = Scale()


def drawn(*values: float | None, scale: Scale = PLAIN, guide: float | None = None) -> Chart:
    found = line_chart(
        [Series("x", values)], across=("a", "b"), summary="s", scale=scale, guide=guide
    )
    assert found is not None
    return found


def labels(chart: Chart) -> list[str]:
    return [one.label for one in chart.grid]


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (0, ["1.0", "0.5", "0"]),
        (0.004, ["0.004", "0.002", "0"]),
        (0.21, ["0.3", "0.2", "0.1", "0"]),
        (0.1 + 0.2, ["0.3", "0.2", "0.1", "0"]),
        (0.31, ["0.4", "0.2", "0"]),
        (0.7, ["0.75", "0.50", "0.25", "0"]),
        (1, ["1.0", "0.5", "0"]),
        (12, ["15", "10", "5", "0"]),
        (99, ["100", "50", "0"]),
        (1_400, ["1,500", "1,000", "500", "0"]),
        (100_001, ["150,000", "100,000", "50,000", "0"]),
        (6_000_000, ["6,000,000", "4,000,000", "2,000,000", "0"]),
    ],
)
def test_grid__any_values__three_or_four_round_labels(most: float, expected: list[str]) -> None:
    chart = drawn(0, most)

    assert labels(chart) == expected
    assert chart.grid[0].y == 0
    assert chart.grid[-1].y == HEIGHT


@pytest.mark.parametrize(
    ("most", "expected"),
    [(0, ["2", "1", "0"]), (5, ["6", "4", "2", "0"]), (44, ["50", "25", "0"])],
)
def test_grid__of_what_is_counted__has_no_halves(most: float, expected: list[str]) -> None:
    assert labels(drawn(0, most, scale=Scale(whole=True))) == expected


def test_grid__unit_and_least__are_kept() -> None:
    assert labels(drawn(0, 3, scale=Scale(unit=" %"))) == ["3 %", "2 %", "1 %", "0 %"]
    assert labels(drawn(0, 0.2, scale=Scale(least=1.0))) == ["1.0", "0.5", "0"]


def test_guide__above_all_values__is_inside_the_box() -> None:
    chart = drawn(0.1, 0.2, guide=0.25)

    assert labels(chart)[0] == "0.3"
    assert chart.guide == f"M0 33.3H{WIDTH}"


def test_lines__places__lie_where_they_are_and_at_equal_steps_without() -> None:
    series = [Series("x", [0, 1, 1])]
    chart = line_chart(series, places=[2, 3, 12], across=("v2", "v12"), summary="s")

    assert chart is not None
    assert chart.lines[0].path == "M0 200L72 0L720 0"
    assert drawn(0, 1, 1).lines[0].path == "M0 200L360 0L720 0"


def test_lines__places_that_are_the_same__are_no_division_by_zero() -> None:
    chart = line_chart([Series("x", [0, 1])], places=[5, 5], across=("a", "a"), summary="s")

    assert chart is not None
    assert chart.lines[0].path == "M0 200L0 0"


def test_lines__unknown_value__leaves_a_gap_and_a_dot() -> None:
    (line,) = drawn(1, None, 0.5, 1).lines

    assert line.path == "M0 0L0 0 M480 100L720 0"
    assert line.area == "M0 0L0 200L0 200Z M480 100L720 0L720 200L480 200Z"


def test_lines__points_that_stand_alone__are_dots_besides() -> None:
    (line,) = drawn(1, None, 0.5, 1).lines

    assert line.dots == "M0 0L0 0"
    assert [one.dots for one in drawn(0.5, 1).lines] == [""]


def test_lines__nothing_known__leaves_the_grid() -> None:
    chart = drawn(None, None)

    assert labels(chart) == ["1.0", "0.5", "0"]
    assert chart.lines[0].path == ""


def test_lines__two__share_a_scale_and_have_no_ground() -> None:
    chart = line_chart(
        [Series("a", [1, 2]), Series("b", [4, None], "c1")], across=("v1", "v2"), summary="s"
    )

    assert chart is not None
    assert [(one.label, one.hue, one.path, one.area) for one in chart.lines] == [
        ("a", "c0", "M0 150L720 100", ""),
        ("b", "c1", "M0 0L0 0", ""),
    ]


@pytest.mark.parametrize("series", [[], [Series("x", [])], [Series("x", [1.0])]])
def test_line_chart__fewer_than_two_moments__is_none(series: list[Series]) -> None:
    assert line_chart(series, across=(), summary="s") is None


def test_square_chart__both_axes__end_at_the_largest_of_either() -> None:
    chart = square_chart("x", [(0, 10), (20, 20)], summary="s", scale=Scale(unit=" %"))

    assert chart is not None
    assert chart.lines[0].path == "M0 100L720 0"
    assert labels(chart) == ["20 %", "10 %", "0 %"]
    assert chart.across == ("0 %", "10 %", "20 %")
    assert square_chart("x", [], summary="s") is None


def test_days__of_one_day__tell_the_time() -> None:
    begins = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

    assert days(begins, begins + timedelta(days=2)) == ("2026-03-01", "2026-03-03")
    assert days(begins, begins + timedelta(hours=2)) == ("2026-03-01 09:30", "2026-03-01 11:30")


def test_component__two_lines__draws_names_and_tells_them() -> None:
    chart = line_chart(
        [Series("model", [1, 2]), Series("<b>", [1, 1], "c1")],
        across=("v1", "v2"),
        summary='from "1" to 2',
        guide=0.5,
    )

    page = render_to_string("components/chart.html", {"chart": chart})

    assert 'role="img" aria-label="from &quot;1&quot; to 2"' in page
    assert '<ol class="chart-ends"><li>v1</li><li>v2</li></ol>' in page
    assert '<li class="key hue-c1">&lt;b&gt;</li>' in page
    assert f'<path class="guide" d="M0 150H{WIDTH}"/>' in page
    assert "<li>2</li><li>1</li><li>0</li>" in page


def test_sparkline__gap__starts_a_new_path() -> None:
    assert sparkline([1.0, None, 2.0, 1.0], summary="x").line.count("M") == 2


def test_sparkline__all_zero__stays_on_the_ground() -> None:
    assert sparkline([0.0, 0.0], summary="x").line == "M0 54L240 54"
