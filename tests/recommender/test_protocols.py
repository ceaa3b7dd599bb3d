"""What each format holds out, for the test and for validation; queries made of what is left."""

import numpy as np
import pytest

from recommender.engine import protocols
from recommender.engine.cases import Cases, FoldIn
from recommender.engine.logs import Given
from recommender.engine.protocols import NothingToAskError, Split
from tests.recommender.test_formats import CSV, read

DAY_S = 86_400


def asked(split: Split, given: Given) -> list[tuple[list[str], list[str]]]:
    """Return (history newest first, truth) of each case, by name."""
    names = list(given.items.rows)
    cases = split.cases
    return [
        (
            [names[row] for row in cases.items[cases.starts[c] : cases.starts[c + 1]]],
            [names[row] for row in cases.truth[cases.truth_starts[c] : cases.truth_starts[c + 1]]],
        )
        for c in range(len(cases))
    ]


def held_out(form: str, given: Given, cut_s: float | None = None, *, own: bool = False) -> Split:
    return protocols.held_out(form, given, own=own, cut_s=cut_s)


def test_leave_one_out__last_is_the_test__second_last_validates() -> None:
    given = read("leave-one-out", "u a b c\nv d\nw a c\n")

    assert asked(held_out("leave-one-out", given), given) == [(["b", "a"], ["c"]), (["a"], ["c"])]
    assert asked(protocols.validation("leave-one-out", given), given) == [(["a"], ["b"])]


def test_leave_one_out__last_item_known_already__not_asked() -> None:
    given = read("leave-one-out", "u a b a\nv a b\n")

    assert asked(held_out("leave-one-out", given), given) == [(["a"], ["b"])]


def test_lightgcn__given_test__known_items_are_no_truth() -> None:
    given = read("lightgcn", "u a b\nv c\n", "u b c\nv a\nx a\n")

    split = held_out("lightgcn", given)

    assert asked(split, given) == [(["b", "a"], ["c"]), (["c"], ["a"])]
    assert len(split.known) == 3


def test_lightgcn__validation__a_random_fifth_of_each_user__the_same_each_time() -> None:
    given = read("lightgcn", "u " + " ".join(map(str, range(10))) + "\nv a b\nw c\n", "u x\n")

    first, second = (protocols.validation("lightgcn", given) for _ in range(2))

    assert [len(truth) for _, truth in asked(first, given)] == [2, 1]
    assert len(first.known) == 8 + 1 + 1
    assert asked(first, given) == asked(second, given)


def test_sessions__given_test__prefix_as_it_is_repeats_count() -> None:
    given = read("sessions", "a b\n", "a b a\ta\n")

    split = held_out("sessions", given, own=True)

    assert asked(split, given) == [(["a", "b", "a"], ["a"])]
    assert split.own
    assert split.cases.steps.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("test", "users"),
    [
        ("a b c\tb\na b\tc\na\tb\nc\ta\n", [0, 0, 0, 1]),
        ("a\tb\na b\tc\nb\ta\n", [0, 0, 1]),
        ("a\tb\na\tb\n", [0, 1]),
    ],
    ids=["longest first", "shortest first", "two of one step"],
)
def test_sessions__given_test__lines_that_go_on_are_of_one_session(
    test: str, users: list[int]
) -> None:
    split = held_out("sessions", read("sessions", "a b c\n", test), own=True)

    assert split.cases.users is not None
    assert split.cases.users.tolist() == users
    last = split.cases.take(np.array([len(users) - 1]))
    assert last.users is not None
    assert last.users.tolist() == users[-1:]


def test_sessions__validation__every_step_of_the_last_sessions() -> None:
    given = read("sessions", "a b\n" * 9 + "a b c\n", "a\tb\n")

    split = protocols.validation("sessions", given)

    assert asked(split, given) == [(["a"], ["b"]), (["b", "a"], ["c"])]
    assert len(split.known) == 18


def test_baskets__last_fifth__one_item_hidden_of_three_or_more() -> None:
    given = read("baskets", "a b\n" * 8 + "a b\n" + "a b c c\n")

    split = held_out("baskets", given)

    (history, truth), *others = asked(split, given)
    assert not others
    assert sorted(history + truth) == ["a", "b", "c"]
    assert len(split.known) == 16
    assert not split.own


def test_baskets__invoices__last_by_date_not_by_line() -> None:
    late = "".join(f"9,{item},x,1,12/9/10 8:00,1,7,UK\n" for item in "ABC")
    early = "".join(
        f"{day},{item},x,1,12/{day}/10 8:00,1,7,UK\n" for day in range(1, 5) for item in "DEF"
    )
    given = read("baskets", CSV + late + early)

    ((history, truth),) = asked(held_out("baskets", given), given)
    assert sorted(history + truth) == ["A", "B", "C"]


def test_temporal__cut__repeats_are_truths_and_newcomers_not_asked() -> None:
    given = read(
        "temporal",
        f"u\ta\t1\t0\nu\tb\t1\t{5 * DAY_S}\nu\ta\t1\t{9 * DAY_S}\nv\ta\t1\t{9 * DAY_S}\n",
    )

    split = held_out("temporal", given, 9 * DAY_S, own=True)

    assert asked(split, given) == [(["b", "a"], ["a"])]
    assert split.cases.age_days.tolist() == [4.0, 9.0]
    assert split.cases.is_repeat().tolist() == [True]


def test_temporal__validation__as_long_a_window_before_the_cut() -> None:
    lines = "".join(f"u\ti{day}\t1\t{day * DAY_S}\n" for day in range(20))
    given = read("temporal", lines)

    split = protocols.validation("temporal", given, cut_s=16 * DAY_S)

    # the test is days 16 to 19: three days to the last purchase, as before the cut
    assert asked(split, given)[0][1] == ["i12", "i13", "i14", "i15"]


def test_temporal__test_file_of_its_own__validation_as_long_as_it() -> None:
    lines = [f"u\ti{day}\t1\t{day * DAY_S}\n" for day in range(20)]
    given = read("temporal", "".join(lines[:16]), "".join(lines[16:]))

    split = protocols.validation("temporal", given, cut_s=16 * DAY_S)

    assert asked(split, given)[0][1] == ["i12", "i13", "i14", "i15"]


@pytest.mark.parametrize("day", [99, -1, -800_000], ids=["after", "before", "before all years"])
def test_temporal__cut_beside_the_data__refused_with_its_span(day: int) -> None:
    given = read("temporal", "".join(f"u\ti{day}\t1\t{day * DAY_S}\n" for day in range(20)))

    with pytest.raises(protocols.NothingToAskError, match="1970-01-01 00:00 to 1970-01-20 00:00"):
        held_out("temporal", given, day * DAY_S, own=True)


def test_lightgcn__test_equals_train__said_so() -> None:
    given = read("lightgcn", "u a b\nv b c\n", "u a b\nv b c\n")

    with pytest.raises(protocols.NothingToAskError, match="known already"):
        held_out("lightgcn", given)


def test_tsv__times__global_cut_where_people_come_back() -> None:
    lines = "".join(
        f"u{user}\ti{(user + day) % 7}\t1\t{day * DAY_S}\n"
        for user in range(5)
        for day in range(10)
    )
    given = read("tsv", lines)

    split = protocols.validation("tsv", given)

    assert split.own
    assert len(split.cases) == 5
    assert split.known.at_s.max() < split.as_of_s


def test_tsv__bursts_of_one_visit__newest_of_each_user() -> None:
    lines = "".join(
        f"u{user}\ti{user}_{step}\t1\t{user * DAY_S + step}\n"
        for user in range(20)
        for step in range(5)
    )
    given = read("tsv", lines)

    split = protocols.validation("tsv", given)

    assert "newest fifth of each" in split.words
    assert not split.own
    assert asked(split, given)[0] == (["i0_2", "i0_1", "i0_0"], ["i0_3"])


@pytest.mark.parametrize("form", ["tsv", "lightgcn", "leave-one-out", "sessions", "baskets"])
@pytest.mark.parametrize("text", ["", "u\ti\n"])
def test_validation__too_little__says_what_lacks(form: str, text: str) -> None:
    with pytest.raises(NothingToAskError, match="give"):
        protocols.validation(form, read(form, text))


def cases() -> Cases:
    """Two cases: items 2, 1, 2 on days 9, 8, 5 of 10; nothing."""
    given = read("tsv", "")
    assert len(given.log) == 0
    return Cases(
        np.array([0, 3, 3]),
        np.array([2, 1, 2], np.int32),
        np.array([1, 3, 2], np.float32),
        np.array([0, 1, 2], np.int32),
        np.array([1, 2, 5], np.float32),
        np.array([0, 1, 2]),
        np.array([4, 3], np.int32),
        5,
        ordered=True,
        timed=True,
    )


@pytest.mark.parametrize(
    ("fold", "weights"),
    [
        (FoldIn(), [3, 3]),
        (FoldIn(0.5), [1.5, 1.5]),
        (FoldIn(1.0, 1.0), [0.75, 0.5 + 2 / 32]),
    ],
)
def test_queries__weights_by_step_or_age(fold: FoldIn, weights: list[float]) -> None:
    query, nobody = cases().queries(fold)

    assert query.rows.tolist() == [1, 2]
    assert query.weights.tolist() == pytest.approx(weights)
    assert query.newest.tolist() == [2, 1, 2]
    assert query.ages_days.tolist() == [1, 2, 5]
    assert len(nobody.rows) == len(nobody.newest) == 0


def test_cases__taken__same_as_asked_alone() -> None:
    whole, part = cases(), cases().take(np.array([1, 0]))

    for at, place in ((0, 1), (1, 0)):
        mine, theirs = part.queries(FoldIn(0.5))[at], whole.queries(FoldIn(0.5))[place]
        assert mine.rows.tolist() == theirs.rows.tolist()
    assert part.truth.tolist() == [3, 4]
