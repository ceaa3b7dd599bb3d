"""Lists reach PostgreSQL as they are, whatever they hold."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, connection
from hypothesis import given
from hypothesis import strategies as st

_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
_BIG = 2**63 - 1


def _back(values: list[Any], kind: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [values])
        found: list[Any] = cursor.fetchone()[0]
    return found


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", []),
        ("bigint", [None, None]),
        ("bigint", [1, -_BIG, None]),
        ("boolean", [True, False, None]),
        ("float8", [1.5, -0.0, 1e-300, float("inf"), 3]),
        ("text", ["", "NULL", "null", "{}", ",", '"', "\\", "'", "a b", "\n", "%s", "é漢", None]),
        ("timestamptz", [datetime(2026, 1, 2, tzinfo=UTC)]),
    ],
)
@pytest.mark.django_db
def test_lists_come_back_as_they_went(kind: str, values: list[Any]) -> None:
    assert _back(values, kind) == values


@pytest.mark.django_db
def test_texts_of_any_kind() -> None:
    @given(st.lists(st.none() | _TEXT))
    def check(values: list[str | None]) -> None:
        assert _back(values, "text") == values

    check()


@pytest.mark.django_db
def test_an_untyped_list_takes_the_type_of_what_it_is_compared_with() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'a' = ANY(%s), 2 = ANY(%s), 2 = ANY(%s)", [["b", "a"], [1, 2], []])
        assert cursor.fetchone() == (True, True, False)


@pytest.mark.django_db
def test_numbers_are_no_statement() -> None:
    class Sly(int):
        def __str__(self) -> str:
            return "1}'; SELECT 1 --"

    assert _back([Sly(7)], "bigint") == [7]


@pytest.mark.django_db
def test_lists_within_a_list_are_refused() -> None:
    with pytest.raises(TypeError, match="within a list"):
        _back([[1], [2]], "text")


@pytest.mark.django_db
def test_what_text_cannot_hold_is_refused() -> None:
    with pytest.raises((DataError, ValueError), match="NUL"):
        _back(["a\x00b"], "text")
