"""Charts of segments: the drawing says the numbers, and nothing is drawn of nothing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from personalization.lib.charts import HEIGHT, WIDTH
from segments.pictures import Measured, members_chart, overlap_matrix

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def measured(*sizes: tuple[int, int, int]) -> list[Measured]:
    return [
        Measured(BEGIN + timedelta(days=day), members, entered, left)
        for day, (members, entered, left) in enumerate(sizes)
    ]


def test_members_chart__three_days__draws_from_zero_to_a_round_top() -> None:
    found = members_chart(measured((0, 0, 0), (90, 90, 0), (45, 5, 50)))

    assert found is not None
    assert found.chart.lines[0].path == f"M0 {HEIGHT}L{WIDTH // 2} 20L{WIDTH} 110"
    assert [one.label for one in found.chart.grid] == ["100", "50", "0"]
    assert found.chart.across == ("2026-03-01", "2026-03-03")
    assert found.most_moved == "90"
    assert found.chart.summary == (
        "0 members on 2026-03-01, 45 on 2026-03-03; 95 entered and 50 left"
    )
    assert [one.members for one in found.rows] == [45, 90, 0]


def test_members_chart__bars__stay_inside_and_do_not_overlap() -> None:
    chart = members_chart(measured(*[(1, 1, 1)] * 30))

    assert chart is not None
    edges = [(bar.x, bar.x + bar.width) for bar in chart.entered]
    assert len(edges) == 30
    assert all(right <= nxt for (_, right), (nxt, _) in pairwise(edges))
    assert edges[-1][1] <= WIDTH


def test_members_chart__fewer_than_two__is_none() -> None:
    assert members_chart(measured((3, 1, 0))) is None
    assert members_chart([]) is None


def test_members_chart__nobody_ever__counts_no_halves() -> None:
    found = members_chart(measured((0, 0, 0), (0, 0, 0)))

    assert found is not None
    assert [one.label for one in found.chart.grid] == ["2", "1", "0"]
    assert found.entered == ()


def test_overlap_matrix__pairs_in_one_order__fill_both_halves() -> None:
    rows = overlap_matrix(
        [("a", "A"), ("b", "B"), ("c", "C")],
        {("a", "a"): 100, ("b", "b"): 10, ("a", "b"): 5},
    )

    shares = [[cell.percent for cell in row.cells] for row in rows]
    assert shares == [["100 %", "5 %", "0 %"], ["50 %", "100 %", "0 %"], ["—", "—", "—"]]
    assert [cell.heat for cell in rows[1].cells] == [4, 5, 0]
    assert [row.size for row in rows] == [100, 10, 0]
