"""One truth: every executor gives the members of the oracle at every step of every case."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from segments.casebook import run_case_sql
from segments.engine.cases import run_case
from tests.segments import strategies
from tests.segments.casefiles import GIVEN, Case, corpus, expected, read
from tests.segments.corpus import FAMILIES

Executor = Callable[[Case], Iterable[list[str]]]
EVALUATE: Executor = partial(run_case, executor="evaluate")
FOLD: Executor = partial(run_case, executor="fold")
EXECUTORS: Mapping[str, Executor] = {"evaluate": EVALUATE, "fold": FOLD, "sql": run_case_sql}
_SHOWN = 5
# Thousands of steps through a database take long: every fourth case in `make test`, all in deep.
_SAMPLED = {"aggregate": 4, "count": 2}

every_executor = pytest.mark.parametrize(
    "executor",
    ["evaluate", "fold", pytest.param("sql", marks=pytest.mark.django_db)],
)
drawn = partial(
    settings,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def differences(executor: str, cases: Iterable[Case]) -> list[str]:
    """Return what an executor says otherwise: case, rule, step, expected, got."""
    run = EXECUTORS[executor]
    return [told for case in cases for told in _difference(case, list(run(case)))]


def _difference(case: Case, got: Sequence[list[str]]) -> list[str]:
    wanted = expected(case)
    if got == wanted:
        return []
    assert len(got) == len(wanted), case["id"]
    step = next(i for i, (a, b) in enumerate(zip(wanted, got, strict=True)) if a != b)
    at, rule = case["steps"][step]["at"], json.dumps(case["segment"])
    return [f"{case['id']} {rule} step {step} at {at}: expected {wanted[step]}, got {got[step]}"]


def report(found: Sequence[str]) -> str:
    return "\n".join([f"{len(found)} cases differ", *found[:_SHOWN]])


@every_executor
@pytest.mark.parametrize("family", FAMILIES)
def test_executor__corpus__gives_the_members(family: str, executor: str) -> None:
    cases = corpus()[family]
    if executor == "sql":
        cases = cases[:: _SAMPLED.get(family, 1)]
    found = differences(executor, cases)

    assert not found, report(found)


@pytest.mark.deep
@pytest.mark.django_db
@pytest.mark.parametrize("family", _SAMPLED)
def test_sql__whole_families__give_the_members(family: str) -> None:
    found = differences("sql", corpus()[family])

    assert not found, report(found)


@pytest.mark.skipif(not GIVEN.exists(), reason=f"NOT CHECKED: {GIVEN} is not there")
@every_executor
def test_executor__given_cases__gives_the_members(executor: str) -> None:
    found = differences(executor, read(GIVEN))

    assert not found, report(found)


def agree(case: Case, *executors: str) -> None:
    wanted: Any = expected(case)
    for executor in executors:
        assert list(EXECUTORS[executor](case)) == wanted, executor


@drawn(max_examples=200)
@given(strategies.cases())
def test_executors__random_rules_histories_and_clocks__agree(case: Case) -> None:
    agree(case, "evaluate", "fold")


@pytest.mark.django_db
@drawn(max_examples=100)
@given(strategies.cases())
def test_sql__random_rules_histories_and_clocks__agrees(case: Case) -> None:
    agree(case, "sql")


@pytest.mark.deep
@pytest.mark.django_db
@drawn(max_examples=20_000)
@given(strategies.cases())
def test_executors__very_many__agree(case: Case) -> None:
    agree(case, "evaluate", "fold", "sql")
