"""Charts of segments: the drawing says the numbers, and nothing is drawn of nothing."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from segments.pictures import HEIGHT, WIDTH, Measured, members_chart, overlap_matrix

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def measured(*sizes: tuple[int, int, int]) -> list[Measured]:
    return [
        Measured(BEGIN + timedelta(days=day), members, entered, left)
        for day, (members, entered, left) in enumerate(sizes)
    ]


def test_members_chart__three_days__draws_from_zero_to_a_round_top() -> None:
    chart = members_chart(measured((0, 0, 0), (90, 90, 0), (45, 5, 50)))

    assert chart is not None
    assert chart.line == f"M0.0 200.0L{WIDTH / 2} 27.2L{WIDTH}.0 113.6"
    assert [one.label for one in chart.grid] == ["100", "50", "0"]
    assert chart.grid[-1].y == HEIGHT
    assert chart.most_moved == "90"
    assert chart.summary == ("0 members on 2026-03-01, 45 on 2026-03-03; 95 entered and 50 left")
    assert [one.members for one in chart.rows] == [45, 90, 0]


def test_members_chart__bars__stay_inside_and_do_not_overlap() -> None:
    chart = members_chart(measured(*[(1, 1, 1)] * 30))

    assert chart is not None
    edges = [(bar.x, bar.x + bar.width) for bar in chart.entered]
    assert len(edges) == 30
    assert all(right <= nxt for (_, right), (nxt, _) in pairwise(edges))
    assert edges[-1][1] <= WIDTH


def test_members_chart__one_measurement__is_none() -> None:
    assert members_chart(measured((3, 1, 0))) is None


def test_members_chart__nobody_ever__ends_at_one() -> None:
    chart = members_chart(measured((0, 0, 0), (0, 0, 0)))

    assert chart is not None
    assert chart.grid[0].label == "1"
    assert chart.entered == ()


def test_overlap_matrix__pairs_in_one_order__fill_both_halves() -> None:
    rows = overlap_matrix(
        [("a", "A"), ("b", "B"), ("c", "C")],
        {("a", "a"): 100, ("b", "b"): 10, ("a", "b"): 5},
    )

    shares = [[cell.percent for cell in row.cells] for row in rows]
    assert shares == [["100 %", "5 %", "0 %"], ["50 %", "100 %", "0 %"], ["—", "—", "—"]]
    assert [cell.heat for cell in rows[1].cells] == [4, 5, 0]
    assert [row.size for row in rows] == [100, 10, 0]
