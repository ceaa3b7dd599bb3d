"""Files of each format: what a line means, which lines do not count, which are refused by name."""

import numpy as np
import pytest

from recommender.engine.formats import READERS, FormatError
from recommender.engine.logs import Given

CSV = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


def read(form: str, train: str, test: str | None = None) -> Given:
    return READERS[form](
        train.splitlines(keepends=True), None if test is None else test.splitlines(keepends=True)
    )


def rows(given: Given) -> list[tuple[str, str, float, float]]:
    """Return the log with the names of the file."""
    users, items = list(given.users.rows), list(given.items.rows)
    log = given.log
    columns = (log.users.tolist(), log.items.tolist(), log.weights.tolist(), log.at_s.tolist())
    return [(users[u], items[i], w, at) for u, i, w, at in zip(*columns, strict=True)]


def test_tsv__two_to_four_columns__by_user_and_time() -> None:
    given = read("tsv", "ann\tmug\t2\t20\nbob\tcup\n" + "ann\tred cup\t1\t10\n")

    assert rows(given) == [
        ("ann", "red cup", 1.0, 10.0),
        ("ann", "mug", 2.0, 20.0),
        ("bob", "cup", 1.0, 0.0),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\nu\ti\t1\t5\nu\tj\t1\t6\n",
        "\ufeffuser\titem\nu\ti\n\nu\tj\n",
        "userId,movieId,rating,timestamp\nu,i,1,5\nu,j,1,6\n",
        "u::i::1::5\nu::j::1::6\n",
        "u i\nu j\n",
    ],
)
def test_tsv__header_or_other_separator__taken(text: str) -> None:
    assert [row[:2] for row in rows(read("tsv", text))] == [("u", "i"), ("u", "j")]


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_tsv__finer_clock__in_seconds(unit: int) -> None:
    given = read("tsv", f"u\ti\t1\t{1_600_000_000 * unit}\nu\tj\t1\t{1_600_000_060 * unit}\n")

    assert given.log.timed
    assert given.log.at_s.tolist() == [1_600_000_000, 1_600_000_060]


def test_tsv__dates_for_times__taken() -> None:
    given = read("tsv", "u\ti\t1\t1970-01-02\nu\tj\t1\t1970-01-03T00:00:00+00:00\n")

    assert given.log.at_s.tolist() == [86_400.0, 172_800.0]


def test_tsv__one_moment_for_all__no_times() -> None:
    given = read("tsv", "u\ti\t1\t7\nu\tj\t1\t7\n")

    assert (given.log.timed, given.log.ordered) == (False, False)


def test_tsv__weights_not_above_zero_and_repeated_lines__counted_apart() -> None:
    given = read("tsv", "u\ti\t1\nu\ti\t3\nu\tj\t0\nu\tk\t-2\nv\tj\t75.5\n")

    assert rows(given) == [("u", "i", 4.0, 0.0), ("v", "j", 75.5, 0.0)]
    assert given.log.left_out == {"weight not above 0": 2, "repeated line": 1}


def test_tsv__same_pair_at_other_times__kept() -> None:
    assert len(read("tsv", "u\ti\t1\t5\nu\ti\t1\t9\nu\ti\t1\t9\n").log) == 2


@pytest.mark.parametrize(
    ("weights", "ratings"),
    [((5, 4, 3, 4, 1), True), ((0.5, 4.5, 5), True), ((1, 1, 1, 2, 9), False), ((1, 1), False)],
)
def test_tsv__ratings__told_from_counts(weights: tuple[float, ...], ratings: bool) -> None:
    text = "".join(f"u\ti{place}\t{weight}\n" for place, weight in enumerate(weights))

    assert read("tsv", text).log.ratings is ratings


@pytest.mark.parametrize(
    ("form", "train", "test", "words"),
    [
        ("tsv", "u\ti\nu\n", None, "train line 2: expected user<TAB>item"),
        ("tsv", "u\ti\n\tj\n", None, "train line 2: expected"),
        ("tsv", "u\ti\t1\nu\tj\tmany\n", None, "line 2: the weight 'many' is no number; give one"),
        ("tsv", "u\ti\t1\nu\tj\tnan\n", None, "line 2: the weight 'nan'"),
        ("tsv", "u\ti\t1\t5\nu\tj\t1\tnoon\n", None, "line 2: the time 'noon' is neither"),
        ("tsv", "u\ti\t1\t5\nu\tj\t1\tinf\n", None, "line 2: the time 'inf'"),
        ("tsv", "u\ti\n", "u\n", "test line 1: expected"),
        ("sessions", "1 2\n", "1 2\n", "test line 1: expected prefix items<TAB>next item"),
        ("sessions", "1 2\n", "1\t2\n1\t\n", "test line 2: expected"),
        ("sessions", "1 2\n1 \x00\x07\n", None, "train line 2: holds bytes that are no text"),
        ("sessions", "1 2\n", "1\x01\t2\n", "test line 1: holds bytes"),
        ("baskets", "a,b\nc\x1b\n", None, "train line 2: holds bytes"),
        ("leave-one-out", "u a b\n", "u\x7f c\n", "test line 1: holds bytes"),
        ("lightgcn", "\x1f\x8b\x08\x00", None, "a packed file the name .gz"),
        ("sessions", "u\ta\t1\t1600000000\nnoise\n", None, "train line 1: user, item, weight"),
        ("baskets", "u\ta\t1\t1600000000\n", None, "between tabs are --format tsv"),
        ("leave-one-out", "u\ta\t1\t1600000000000\n", None, "are --format tsv"),
        ("temporal", "u\ti\nu\tj\n", None, "needs a time on each line"),
        ("baskets", "InvoiceNo,StockCode\n1,2\n", None, "line 1: the header lacks Quantity"),
        ("baskets", CSV + "1,A,x,many,12/1/10 8:26,1,7,UK\n", None, "line 2: Quantity 'many'"),
        ("temporal", CSV + "1,A,x,1,soon,1,7,UK\n", None, "line 2: the time 'soon'"),
        ("temporal", CSV + "1,A,x\n", None, "line 2: a column is empty or missing"),
    ],
)
def test_read__bad_line__named_with_the_fix(
    form: str, train: str, test: str | None, words: str
) -> None:
    with pytest.raises(FormatError) as found:
        read(form, train, test)

    assert words in str(found.value)


def test_lightgcn__lines_of_one_user_join__duplicates_collapse() -> None:
    given = read("lightgcn", "u a b\nv a a\nu c\n\nw\n", "v c\n")

    assert [row[:3] for row in rows(given)] == [
        ("u", "a", 1.0),
        ("u", "b", 1.0),
        ("u", "c", 1.0),
        ("v", "a", 2.0),
    ]
    assert not given.log.ordered
    assert given.test is not None
    assert given.test.items.tolist() == [2]


def test_leave_one_out__order_of_the_line__kept_with_repeats() -> None:
    given = read("leave-one-out", "u b a b\n")

    assert rows(given) == [("u", "b", 1.0, 0.0), ("u", "a", 1.0, 1.0), ("u", "b", 1.0, 2.0)]
    assert given.log.ordered


def test_sessions__lines_and_questions__share_the_items() -> None:
    given = read("sessions", "a b\nb é\n", "a b\té\nx\ta\n")

    assert list(given.items.rows) == ["a", "b", "é", "x"]
    assert given.asked is not None
    assert given.asked.before == ((0, 1), (3,))
    assert given.asked.after == (2, 0)


@pytest.mark.parametrize("text", ["a b\nc d\n", "a,b\nc,d\n", "a\tb\nc\td\n"])
def test_baskets__any_separator__a_user_each(text: str) -> None:
    given = read("baskets", text)

    assert [row[1] for row in rows(given)] == ["a", "b", "c", "d"]
    assert given.log.users.tolist() == [0, 0, 1, 1]


def test_baskets__ids_with_spaces__between_tabs() -> None:
    assert list(read("baskets", "red mug\tblue mug\tred mug\n").items.rows) == [
        "red mug",
        "blue mug",
    ]


RETAIL = (
    CSV
    + '2,85123A,"HEART, WHITE",6,12/2/10 8:26,2.55,17850.0,United Kingdom\n'
    + "1,85123A,HEART,6,12/1/10 8:26,2.55,17850.0,United Kingdom\n"
    + "C3,D,Discount,-1,12/1/10 9:41,27.50,14527,United Kingdom\n"
    + "4,21773,MUG,-1,12/1/10 14:32,2.51,17850.0,United Kingdom\n"
    + "5,21773,MUG,1,12/3/10 14:32,2.51,,United Kingdom\n"
)


def test_temporal__online_retail__returns_cancellations_and_guests_left_out() -> None:
    given = read("temporal", RETAIL)

    assert [row[:2] for row in rows(given)] == [("17850.0", "85123A"), ("17850.0", "85123A")]
    assert np.diff(given.log.at_s).tolist() == [86_400.0]
    assert given.log.left_out == {"cancellation": 1, "quantity not above 0": 1, "guest": 1}


def test_baskets__online_retail__an_invoice_a_basket_by_date_guests_too() -> None:
    given = read("baskets", RETAIL)

    assert list(given.users.rows) == ["train 1", "train 2", "train 5"]
    assert [row[1] for row in rows(given)] == ["85123A", "85123A", "21773"]
