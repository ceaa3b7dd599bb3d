"""Attributes of items from files, in the rows of the item table."""

from pathlib import PurePath

import pytest

from recommender.engine.described import attributes, beside
from recommender.engine.formats import FormatError
from recommender.engine.logs import Table


def table(*names: str) -> Table:
    made = Table()
    for name in names:
        assert made[name] >= 0
    return made


def test_attributes__json__by_row_strangers_left_out() -> None:
    found = attributes(['{"b": [1, "red"], "z": [2]}'], table("a", "b"))

    assert found.attributes == [[], ["1", "red"]]


def test_attributes__table__words_of_each_column() -> None:
    lines = ["item_id:token\tyear:token\tclass:token_seq\n", "a\t1995\tComedy Drama\n", "b\t\n"]

    found = attributes(lines, table("b", "a"))

    assert found.attributes == [[], ["year=1995", "class=Comedy", "class=Drama"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{oops", "no JSON of the form"),
        ('{"a": 1}', "'a' needs a list"),
        ("", "line 1: expected a header"),
        ("item\tcolour\na\tred\tblue\n", "line 2: 3 fields, the header names 2"),
    ],
)
def test_attributes__neither__named(text: str, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        attributes([text], table("a"))


@pytest.mark.parametrize("name", ["Beauty.txt", "Beauty.txt.gz"])
def test_beside__names_of_the_train_file(name: str) -> None:
    assert beside(PurePath("data") / name) == ("Beauty_item2attributes.json", "Beauty.item")
