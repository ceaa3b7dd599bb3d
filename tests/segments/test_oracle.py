"""The oracle itself: it must meet every truth that somebody else has worked out."""

import hashlib

import pytest

from tests.segments import corpus, corpus_operators
from tests.segments.casefiles import GIVEN, HERE, expected, read
from tests.segments.casefiles import corpus as written
from tests.segments.corpus_tools import DAY, T0
from tests.segments.oracle import members, truth
from tests.segments.oracle_operators import OPERATORS, SECOND

# Drawn from seeds until they turn, which takes a minute.
_DRAWN = ("aggregate", "composition", "count", "lifecycle", "sequence", "then_not")


@pytest.mark.skipif(not GIVEN.exists(), reason=f"NOT CHECKED: {GIVEN} is not there")
def test_oracle__given_cases__agrees_with_every_step() -> None:
    wrong = [case["id"] for case in read(GIVEN) if members(case) != expected(case)]

    assert not wrong


@pytest.mark.parametrize("family", corpus.FAMILIES)
def test_oracle__written_corpus__agrees_with_every_step(family: str) -> None:
    wrong = [case["id"] for case in written()[family] if members(case) != expected(case)]

    assert not wrong


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(name, marks=[pytest.mark.deep] if name in _DRAWN else [])
        for name in corpus.FAMILIES
    ],
)
def test_corpus__made_anew__is_what_is_written(family: str) -> None:
    assert corpus.family(family) == written()[family]


def test_corpus__files__are_the_families_and_no_more() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == set(corpus.FAMILIES)
    assert sum(path.stat().st_size for path in HERE.glob("*.json")) < 3_000_000


def test_table__operators__names_each_with_a_subject_that_passes_and_one_that_fails() -> None:
    passing = {op for op, _, passes, _ in corpus_operators.TABLE if passes}
    failing = {op for op, _, _, fails in corpus_operators.TABLE if fails}

    assert passing == failing == set(OPERATORS)


# `printf s:u0 | sha256sum` and the like, by hand; the share is the first 16 digits / 2^64.
@pytest.mark.parametrize(
    ("key", "first_digits"), [("u0", "cf312d03"), ("u1", "9e711e22"), ("u2", "ebe04c25")]
)
def test_bucket__share__is_the_first_eight_bytes_of_the_digest(key: str, first_digits: str) -> None:
    share = int(first_digits, 16) / 16**8

    assert hashlib.sha256(f"s:{key}".encode()).hexdigest().startswith(first_digits)
    assert _in_bucket(key, share - 1e-9, share + 1e-8)
    assert not _in_bucket(key, share + 1e-8, 1)
    assert not _in_bucket(key, 0, share - 1e-9)


def _in_bucket(key: str, low: float, high: float) -> bool:
    return truth(
        {"kind": "bucket", "salt": "s", "from": low, "to": high},
        events=[],
        traits={},
        now_us=T0 * SECOND,
        timezone="UTC",
        assignment_key=key,
        segments={},
        lists={},
        scores={},
        consents={},
    )


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"kind": "context", "key": "device.type", "op": "eq", "value": "mobile"}, True),
        ({"kind": "context", "key": "device.type", "op": "neq", "value": "mobile"}, False),
        ({"kind": "context", "key": "cart", "op": "any_of", "value": ["sku1"]}, True),
        ({"kind": "context", "key": "page.path", "op": "neq", "value": "/"}, False),
        ({"kind": "product", "key": "price_minor", "op": "lt", "value": 2000}, True),
        ({"kind": "product", "key": "brand", "op": "in", "value": ["Other"]}, False),
        ({"kind": "profile", "key": "consent.marketing", "op": "eq", "value": False}, True),
        ({"kind": "profile", "key": "consent.marketing", "op": "eq", "value": 0}, False),
        ({"kind": "profile", "key": "last_seen", "op": "within_last", "value": DAY}, True),
    ],
)
def test_truth__what_is_at_hand__is_read(rule: dict[str, object], holds: bool) -> None:
    found = truth(
        rule,
        events=[],
        traits={"last_seen": T0 - DAY + 1},
        now_us=T0 * SECOND,
        timezone="UTC",
        assignment_key="u",
        segments={},
        lists={},
        scores={},
        consents={"marketing": False},
        context={"device": {"type": "mobile"}, "cart": ["sku1", "sku2"]},
        product={"price_minor": 1999, "brand": "Acme"},
    )

    assert found is holds
