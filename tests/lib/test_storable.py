"""What no column keeps is found with its path."""

from typing import Any

import pytest

from personalization.lib.keys import key_fault
from personalization.lib.storable import BIGINT_DIGITS, unstorable, whole_number


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"a": [1, 2.5, True, None, "é😀", -(2.0**62)]}, []),
        ("a\0", [""]),
        ({"a": {"b": ["x", "\ud800"]}}, ["a.b[1]"]),
        ({"\udfff": 1, "a\0": "\0"}, ["\\udfff", "a\\x00", "a\\x00"]),
        ([1e300, -1e19, 2**63, float("inf"), float("nan")], ["[0]", "[1]", "[2]", "[3]", "[4]"]),
    ],
)
def test_unstorable__json__paths_of_what_cannot_be_kept(value: Any, paths: list[str]) -> None:
    assert [one.path for one in unstorable(value)] == paths


@pytest.mark.parametrize(
    ("key", "fix"),
    [
        ("for-you_2", ""),
        ("lists", "is an address"),
        ("a/b", "use small"),
        ("..", "use small"),
        (None, "use small"),
        ("a\n", "use small"),
        ("x" * 61, "use small"),
    ],
)
def test_key_fault__text__what_to_do(key: object, fix: str) -> None:
    assert key_fault(key, reserved={"lists"}).startswith(fix)
    assert bool(fix) == bool(key_fault(key, reserved={"lists"}))


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("007", 7), ("999999999", 999_999_999), ("1234567890", None), ("", None)]
    + [(text, None) for text in ("-1", "1.5", " 1", "²", "9" * 5000)],
)
def test_whole_number__text_of_a_query__the_number_or_none(text: str, number: int | None) -> None:
    assert whole_number(text) == number


def test_whole_number__of_a_bigint__fits_it() -> None:
    assert whole_number("9" * 18, BIGINT_DIGITS) == int("9" * 18) < 2**63
    assert whole_number("9" * 19, BIGINT_DIGITS) is None
