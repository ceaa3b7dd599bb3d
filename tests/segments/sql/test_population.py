"""Members of the whole base by SQL: who is asked at all, what is left to the engine, and limits."""

from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from personalization.events import facttable
from segments import compile as sql
from segments import patterns, population
from segments.engine.language import parse
from segments.errors import PreviewTooSlow
from segments.population import AT_HAND, Question, members_by_sql, settled
from tests.segments.sql.base import (
    NOW,
    Customer,
    count,
    grown,
    holds,
    known,
    trait,
    where,
    write,
)

pytestmark = pytest.mark.django_db

PATTERN = count(where=where("matches", "(?i)^s"))
FOLDED = count(where=where("contains", "STRASSE"))
RULES: dict[str, Any] = {
    "exact": count(value=2, days=20),
    "absence": count("eq", 0),
    "prefix": count(event={"prefix": "v"}, days=30),
    "no such event": count("lt", 1, event="never happened"),
    "trait": trait("neq", "gold"),
    "computed": trait("gte", 3, "events"),
    "pattern": PATTERN,
    "not a pattern": {"not": PATTERN},
    "few that match": count("lt", 2, days=40, where=where("matches", "o")),
    "beyond ASCII": {"or": [{"not": FOLDED}, trait("eq", 1)]},
    "undecided among others": {"and": [{"not": {"and": [PATTERN, trait("eq", "gold")]}}, FOLDED]},
    "first time": {
        "kind": "first_time",
        "event": "buy",
        "window": {"type": "last", "seconds": 9e5},
    },
    "reference": {"and": [{"kind": "segment", "key": "other"}, count(event="cart", days=30)]},
}
OTHERS = {"other": {"not": {"kind": "segment", "key": "deeper"}}, "deeper": PATTERN}


@pytest.fixture
def people() -> list[Customer]:
    grew = grown(150)
    write(grew)
    return grew


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("most", [patterns.MOST_VALUES, 0])
def test_question__any_rule__members_are_those_of_the_oracle(
    name: str, most: int, people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_VALUES", most)
    rule = RULES[name]

    found = Question({AT_HAND: rule}, NOW, OTHERS).members(AT_HAND, range(64))

    assert sorted(found) == [one.id for one in known(people) if holds(rule, one, OTHERS)]


@pytest.mark.parametrize("name", RULES)
def test_members__any_rule__truth_lies_between_must_and_may(
    name: str, people: list[Customer]
) -> None:
    rule = RULES[name]
    question = Question({AT_HAND: rule}, NOW, OTHERS)

    statement, params, exact = sql.members(question.nodes[AT_HAND], question.scope)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = dict(cursor.fetchall())

    true = {one.id for one in known(people) if holds(rule, one, OTHERS)}
    assert {customer for customer, certain in rows.items() if certain} <= true <= rows.keys()
    assert not exact or all(rows.values())


def test_members__buckets__part_the_base(people: list[Customer]) -> None:
    question = Question({AT_HAND: RULES["exact"]}, NOW, {})

    parts = [question.members(AT_HAND, [bucket]) for bucket in range(facttable.BUCKETS)]

    assert sorted(customer for part in parts for customer in part) == sorted(
        members_by_sql(RULES["exact"], NOW, segments={})
    )
    assert all(customer % 64 == bucket for bucket, part in enumerate(parts) for customer in part)


def test_decided__few_different_values__leave_nobody_to_the_engine(
    people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(population, "verdicts", None)
    by_element = count(days=40, where=where("matches", "^[a]$", "products[].cat"))
    rule = {"and": [{"or": [PATTERN, by_element]}, {"not": {"kind": "segment", "key": "other"}}]}

    found = Question({AT_HAND: rule}, NOW, OTHERS).members(AT_HAND, range(64))

    assert found
    assert sorted(found) == [one.id for one in known(people) if holds(rule, one, OTHERS)]


def test_decided__only_doubtful_customers__are_read_in_process(
    people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_VALUES", 0)
    asked: list[int] = []
    verdicts = population.verdicts

    def spied(reader: Any, keys: Any, ids: Any, now: int) -> Any:
        asked.extend(ids)
        return verdicts(reader, keys, ids, now)

    monkeypatch.setattr(population, "verdicts", spied)

    list(members_by_sql({"and": [PATTERN, trait("eq", "gold")]}, NOW, segments={}))

    by_id = {one.id: one for one in people}
    assert asked
    assert all(by_id[customer].traits["tier"] == "gold" for customer in asked)


@pytest.mark.parametrize(
    "hostile",
    [
        "'; DROP TABLE events_fact; --",
        "%s %(p0)s %% {} {0}",
        "\"}' OR TRUE OR '{\"",
        "\\'; SELECT pg_sleep(9); --",
        "$$; ROLLBACK; $$",
    ],
)
def test_members_by_sql__hostile_texts_anywhere__are_only_values(
    hostile: str, people: list[Customer]
) -> None:
    conditions = [
        {"key": key, "op": op, "value": [hostile] if op == "in" else hostile}
        for key in (hostile, f"{hostile}[].{hostile}", "cat")
        for op in ("eq", "neq", "in", "lt", "contains", "starts_with", "ends_with")
    ]
    window = {"type": "ever"}
    leaves = [
        *[count(where=[one]) for one in conditions],
        count(event=hostile),
        count(event={"prefix": hostile}),
        trait("eq", hostile, hostile),
        {"kind": "score", "key": hostile, "op": "gte", "value": 0},
        {"kind": "bucket", "salt": hostile, "from": 0.2, "to": 0.5},
        *[
            {
                **count(event="view"),
                "kind": "aggregate",
                "prop": hostile,
                "agg": agg,
                "window": window,
            }
            for agg in ("sum", "last", "distinct", "max")
        ],
    ]
    for leaf in leaves:
        found = sorted(Question({AT_HAND: leaf}, NOW, {}).members(AT_HAND, range(64)))

        assert found == [one.id for one in known(people) if holds(leaf, one)], leaf


def test_settled__slow_statement__says_so_and_restores_the_settings() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW work_mem")
        before = cursor.fetchone()

        with pytest.raises(PreviewTooSlow, match=r"longer than 0\.05 s"), settled(most_ms=50):
            cursor.execute("SELECT pg_sleep(2)")
        with settled(most_ms=50):
            pass

        cursor.execute("SELECT pg_sleep(0.1)")
        cursor.execute("SHOW work_mem")
        assert cursor.fetchone() == before


def test_selection__leaf_used_twice__is_read_once() -> None:
    leaf = count()
    question = Question(
        {AT_HAND: {"or": [{"not": leaf}, {"and": [leaf, trait("eq", 1)]}]}}, NOW, {}
    )

    statement, _, _ = sql.members(parse({"or": [leaf, {"not": leaf}]}), question.scope)

    assert statement.count(" f WHERE ") == 1


def test_facts__of_a_bucket__are_one_partition(people: list[Customer]) -> None:
    question = Question({AT_HAND: count()}, NOW, {})
    scope = replace(question.scope, buckets=[5])
    statement, params, _ = sql.members(question.nodes[AT_HAND], scope)

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert "events_fact_05" in plan
    assert "events_fact_04" not in plan
