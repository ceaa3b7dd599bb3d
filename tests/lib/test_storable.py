"""What no column keeps is found with its path."""

from typing import Any

import pytest

from personalization.lib.keys import key_fault
from personalization.lib.storable import unstorable


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
