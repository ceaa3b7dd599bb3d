"""Operators on JSON values: what SQL is sure of the engine holds, and what that holds may be so."""

import json
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segments.engine import values
from segments.sql.operators import Place, condition
from segments.sql.pieces import Params

ZONE = ZoneInfo("Europe/Berlin")
NOW = 1_790_000_000_123_456

NUMBERS = [
    0,
    1,
    1.0,
    -1,
    0.1,
    2.5,
    1e16,
    2**53,
    2**53 + 1,
    5e-324,
    -1e300,
    1_790_000_000.123456,
    1e308,
]
TEXTS = [
    *[
        "",
        "a",
        "A",
        "shoes",
        "Schuhe",
        "STRASSE",
        "Straße",
        "ﬁ",
        "K",
        "\u212a",
        "\U0001f600",
        "\uffff",
    ],
    *["1", "true", "%", "_", "'; --", '"', "\\", "{}", "%(p0)s", "a\nb", "a%sb", "x" * 300],
    *["1.2.3", "1.2.10", "1.2.3-rc.1", "1.2.3+b.1", "01.2.3", "1.2", "1.2.3\n", "9" * 20 + ".0.0"],
    *[
        "10.0.0.1",
        "10.0.0.256",
        "10.0.0.01",
        "10.1",
        "::1",
        "::ffff:10.0.0.1",
        "10.0.0.0/8",
        "fe80::1%e",
    ],
    *["2026-09-21T14:13:20.123456Z", "2026-09-21T14:13:20.123456+02:00", "2026-09-21 14:13"],
    *["2026-09-21", "20260921", "2026-W39-1", "2026-02-29", "2024-02-29T00:00", "2026-09-21T24:00"],
    *[
        "2026-09-21T14:13:20,5Z",
        "2026-09-21T14:13:20.1234567Z",
        "0999-01-01",
        "9999-12-31T23:59:59Z",
    ],
    *["2026-03-29T00:59:59.999999Z", "2026-03-29T01:00:00Z", "1900-01-01", "1969-12-31T23:59:59Z"],
]
SCALARS: list[Any] = [*NUMBERS, *TEXTS, True, False]
VERSIONS = ["1.2.3", "1.2.3-rc.1", "1.2.3-rc.2", "2.0.0+x", "0.0.0"]
TIMES = [
    *[text for text in TEXTS if values.time_us(text) is not None],
    0,
    -1.5,
    1_790_000_000.123456,
]
NETWORKS: list[Any] = [
    "10.0.0.0/8",
    "10.0.0.1/32",
    "::/0",
    "0.0.0.0/0",
    ["10.0.0.0/31", "fe80::/16"],
]

scalars = st.one_of(
    st.sampled_from(SCALARS), st.text(max_size=5).filter(lambda text: "\0" not in text)
)
subjects = st.one_of(
    st.none(),
    scalars,
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(scalars, max_size=3),
    st.dictionaries(st.sampled_from("ab"), scalars, max_size=1),
)
lists = st.lists(scalars, min_size=1, max_size=4)
finite = st.floats(-1e12, 1e12, allow_nan=False)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "eq": subjects.filter(lambda value: value is not None),
    "neq": subjects.filter(lambda value: value is not None),
    **dict.fromkeys(
        ("lt", "lte", "gt", "gte"), st.one_of(st.sampled_from([*NUMBERS, *TEXTS]), finite)
    ),
    "between": st.one_of(
        st.tuples(*[st.sampled_from(NUMBERS)] * 2).map(sorted),
        st.tuples(*[st.sampled_from(TEXTS)] * 2).map(sorted),
    ),
    **dict.fromkeys(("in", "not_in", "any_of", "all_of", "none_of"), lists),
    **dict.fromkeys(
        ("contains", "not_contains", "starts_with", "ends_with"),
        st.one_of(st.sampled_from(TEXTS), st.sampled_from(["s", "ss", "K", "k", "İ"])),
    ),
    "matches": st.sampled_from(["a", "^$", "s$", "(?i)strasse", "[0-9]+"]),
    "exists": st.none(),
    "not_exists": st.none(),
    "before": st.sampled_from(TIMES),
    "after": st.sampled_from(TIMES),
    "within_last": st.sampled_from([1, 0.000001, 86_400, 4e8]),
    "weekday": st.lists(st.integers(1, 7), min_size=1, max_size=3),
    **dict.fromkeys(
        ("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte"),
        st.sampled_from(VERSIONS),
    ),
    "cidr": st.sampled_from(NETWORKS),
    "size": st.sampled_from([0, 1, 2, 2.0]),
}
# Where SQL decides whatever the subject is.
EXACT = {
    *("in", "not_in", "starts_with", "ends_with", "exists", "not_exists"),
    *("any_of", "all_of", "none_of", "size"),
}


def said(op: str, value: Any, given: Sequence[Any]) -> list[tuple[bool, bool]]:
    """Return (must, may) of each subject, from one statement."""
    params = Params()
    place = Place(params, ZONE, params.add(NOW, "bigint"))
    truth = condition(op, value, "NULLIF(t.v, 'null'::jsonb)", place)
    rows = params.add([json.dumps(one) for one in given], "jsonb[]")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT COALESCE({truth.must}, FALSE), COALESCE({truth.may}, FALSE) "  # noqa: S608 -- parameters
            f"FROM unnest({rows}) WITH ORDINALITY AS t (v, n) ORDER BY n",
            params.values,
        )
        return list(cursor.fetchall())


def check(op: str, value: Any, given: Sequence[Any]) -> None:
    test = values.condition(op, value, ZONE)
    for subject, (must, may) in zip(given, said(op, value, given), strict=True):
        truth = bool(test(subject, NOW))
        assert must <= truth <= may, (op, value, subject, truth, must, may)
        if op in EXACT and not any(map(_is_huge, [*_flat(value), *_flat(subject)])):
            assert must == may, (op, value, subject)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    return [inner for one in value for inner in _flat(one)] if isinstance(value, list) else [value]


def _is_huge(value: Any) -> bool:
    return values.is_number(value) and abs(value) >= 2**53


@pytest.mark.django_db
@pytest.mark.parametrize("op", values.OPERATORS)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_condition__any_value__is_between_must_and_may(op: str, data: st.DataObject) -> None:
    value = data.draw(VALUES[op])
    given = data.draw(st.lists(subjects, min_size=1, max_size=30))

    check(op, value, [*given, *SCALARS[:: data.draw(st.integers(1, 7))]])


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("op", "value", "subject"),
    [
        ("lt", 2, 1.999999999999999),
        ("eq", 1, 1.0),
        ("eq", "é", "é"),
        ("gt", "a", "Z"),
        ("contains", "STRASSE", "in der strasse"),
        ("not_contains", "ss", ["a", 1, "SS"]),
        ("before", "2026-09-21T14:13:20.123456Z", "2026-09-21T16:13:20.123455+02:00"),
        ("within_last", 1, 1_790_000_000),
        ("weekday", [1], "2026-09-20T22:30:00Z"),
        ("weekday", [1, 7], 1_790_000_000.5),
        ("semver_gt", "1.2.3-rc.1", "1.2.3"),
        ("semver_lt", "1.2.10", "1.2.9+b"),
        ("cidr", "10.0.0.0/8", "10.255.0.1"),
        ("any_of", ["a", 2], [2.0]),
        ("eq", [1, {"a": None}], [1.0, {"a": None}]),
    ],
)
def test_condition__usual_subjects__are_decided_by_sql(op: str, value: Any, subject: Any) -> None:
    ((must, may),) = said(op, value, [subject])

    assert must == may == bool(values.condition(op, value, ZONE)(subject, NOW))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("op", "value"),
    [("semver_gt", "1.0.0"), ("before", 0), ("after", 0), ("within_last", 5), ("weekday", [1])],
)
def test_condition__monstrous_subjects__are_judged_by_both(op: str, value: Any) -> None:
    check(op, value, [1e308, -1e308, "9" * 5_000 + ".0.0", "1.0.1+" + "b" * 5_000, 10**18])


@pytest.mark.django_db
@pytest.mark.parametrize("op", ["eq", "neq", "in", "starts_with", "lt"])
@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_condition__text_that_tables_cannot_hold__is_left_open(op: str, text: str) -> None:
    value = [text] if op == "in" else text

    assert said(op, value, ["a", 1]) == [(False, True)] * 2
