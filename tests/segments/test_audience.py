"""Audiences: what may stand in one, and that a document says what the profile's state does."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from personalization.customers.engine import profile
from personalization.customers.models import Customer
from personalization.customers.profiles import states
from personalization.lib.errors import Problem
from segments import audiences
from segments.engine.audience import Audience, Readable, audience_faults
from segments.engine.catalogue import COMPUTED, Attribute, Catalogue, Named
from segments.engine.program import Person, Program, Setting, Source
from segments.live.deciding import traits
from segments.live.rules import setting
from segments.serve import Seen, audience, known_traits
from tests.events.processor.log import put
from tests.segments.corpus_operators import TABLE, Row
from tests.segments.corpus_tools import T0
from tests.segments.live.world import count, go_live, process
from tests.segments.oracle_operators import OPERATORS, SECOND

KNOWN = Readable(
    Catalogue(
        traits=(*COMPUTED, Attribute("tier", "Tier", "string"), Attribute("email", "E", "string")),
        segments=(Named("fresh", "Fresh"), Named("draft", "Draft")),
    ),
    personal={"email"},
    in_force={"fresh"},
)


def told(rule: Any) -> dict[str, str]:
    return {fault.path: fault.problem for fault in audience_faults(rule, KNOWN)}


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "segment", "key": "fresh"},
        {"not": {"or": [{"kind": "profile", "key": "orders", "op": "gte", "value": 2}]}},
        {"kind": "context", "key": "device.type", "op": "eq", "value": "mobile"},
        {"kind": "bucket", "salt": "s", "from": 0, "to": 0.5},
    ],
)
def test_faults__exact_of_document_and_request__none(rule: Any) -> None:
    assert told(rule) == {}
    assert Audience.of(rule, setting()).rule == rule


@pytest.mark.parametrize("kind", ["count", "list", "score"])
def test_faults__needs_more_than_the_document__path_and_fix(kind: str) -> None:
    leaf = {"kind": kind, "key": "x"} if kind != "count" else count()
    rule = {"and": [{"kind": "segment", "key": "fresh"}, leaf]}

    found = told(rule)

    assert "make a segment of this condition and name it here" in found["and[1].kind"]
    with pytest.raises((KeyError, ValueError)):
        Audience.of({"and": [leaf]}, setting())


def test_faults__all_at_once__each_with_its_path() -> None:
    rule = {
        "or": [
            {"kind": "segment", "key": "nowhere"},
            {"kind": "product", "key": "brand", "op": "eq", "value": "x"},
            {"kind": "profile", "key": "orders", "op": "gte", "value": "many"},
        ]
    }

    assert set(told(rule)) == {"or[0].key", "or[1].kind", "or[2].value"}


def test_faults__known_but_not_at_decision_time__says_what_to_do() -> None:
    rule = {
        "and": [
            {"kind": "segment", "key": "draft"},
            {"not": {"kind": "profile", "key": "email", "op": "exists"}},
        ]
    }

    assert told(rule) == {
        "and[0].key": "segment 'draft' has no version in force; publish it first",
        "and[1].not.key": "'email' is personal, and no part of what decisions read; make a segment"
        " of this condition and name it here",
    }
    assert told({"kind": "segment", "key": "draft"}).keys() == {"key"}


def test_faults__no_rule__told() -> None:
    assert audience_faults([1], KNOWN) == [
        Problem("", "is a list; send an object: a group or a condition")
    ]


def test_audience__everybody__nothing_to_ask() -> None:
    assert audience(None) is None


@pytest.mark.django_db
def test_published__whole_configuration__what_it_holds() -> None:
    whole = {
        "traits": [{"key": "tier", "title": "Tier", "type": "string", "personal": True}],
        "segments": {"versions": [{"key": "fresh", "title": "Fresh", "in_force": True}]},
        "consent": {"purposes": [{"key": "marketing", "title": "Marketing"}]},
    }
    known = audiences.published(whole)
    consent = {"kind": "profile", "key": "consent.marketing", "op": "eq", "value": True}

    assert audience_faults({"and": [{"kind": "segment", "key": "fresh"}, consent]}, known) == []
    assert known.personal == {"tier"}


@pytest.mark.django_db(transaction=True)
def test_known_traits__of_a_document__those_of_the_state() -> None:
    note = {"note": "long enough to lie apart: " + "x" * 100}
    put("m1", traits=note, context={"country": "DE", "device": {"type": "mobile"}})
    put("m2", "Order Completed", minute=1, order_id="o1", revenue=12.5, currency="EUR")
    go_live("fresh", count(days=1))
    process(2)

    [state] = states([Customer.objects.get().pk]).values()
    for one in (state, {}):
        document = profile.document(one, declared={"note": False})
        assert known_traits(document, 7) == traits(one, 7)
    assert traits(state, 7)["note"] == note["note"]


@pytest.mark.django_db
def test_seen__nothing_in_the_document__known_customer_without_events() -> None:
    seen = Seen({}, (), assignment_key="a1", mask=7, request=dict, now_us=1)
    none_yet = {"kind": "profile", "key": "orders", "op": "eq", "value": 0}

    assert seen.admitted(Audience.of(none_yet, setting()))
    assert not seen.admitted(Audience.of({"not": none_yet}, setting()))


@pytest.mark.parametrize("row", TABLE, ids=[f"{n}-{row[0]}" for n, row in enumerate(TABLE)])
@pytest.mark.parametrize("kind", ["context", "product"])
def test_decide__context_and_product__each_operator_as_the_table_says(kind: str, row: Row) -> None:
    op, value, passing, failing = row
    leaf = {"kind": kind, "key": "x", "op": op}
    rule = leaf if op.endswith("exists") else {**leaf, "value": value}
    program = Program([Source("own", rule)], Setting(ZoneInfo("UTC"), None))

    def holds(subject: Any) -> bool:
        known = {} if subject is None else {"x": subject}
        person = Person(request=known) if kind == "context" else Person(product=known)
        return program.rules[0].decide(person, T0 * SECOND)[0]

    assert [holds(subject) for subject in passing] == [True] * len(passing)
    assert [holds(subject) for subject in failing] == [False] * len(failing)


def test_table__of_operators__has_each() -> None:
    assert {row[0] for row in TABLE} == set(OPERATORS)
