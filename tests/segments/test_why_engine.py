"""Why, without tables: every verdict is the engine's, every figure agrees with the verdict."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from segments.engine.cases import Case, Member, World
from segments.engine.catalogue import Catalogue
from segments.engine.describe import describe_part
from segments.engine.explaining import Explained, Explanation, parts_of
from segments.engine.figures import Figure
from segments.engine.language import Leaf, Node, micros, parse
from segments.engine.values import compared, rounded
from tests.segments import strategies
from tests.segments.casefiles import corpus
from tests.segments.corpus import FAMILIES

# Every case is decided by three executors already: a part of each family is enough here.
_EVERY = 7
drawn = partial(
    settings,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def words(node: Node) -> str:
    return describe_part(node, Catalogue())


def told(case: Case) -> Iterator[tuple[Member, int, World, Explained, bool]]:
    """Yield each person at each step: (who, when, world, what is explained, what evaluate says)."""
    world = World(case)
    explanation = Explanation(
        {"it": case["segment"]}, case.get("segments", {}), world.program.setting
    )
    for step in case["steps"]:
        now = micros(step["at"])
        changed = world.take(step, now)
        for member in world.people.values():
            events = world.history(member.name)
            person = world._person(member, [], _first(events))
            found = explanation.explained(person, events, now, words, {})["it"]
            yield member, now, world, found, world.evaluated(member, now, changed)


def _first(events: list[Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        found.setdefault(event.name, event.at)
    return found


def leaf_of(case: Case, path: str) -> Leaf:
    node = parse(dict(parts_of(case["segment"]))[path])
    assert isinstance(node, Leaf)
    return node


def fits(leaf: Leaf, part: Explained) -> bool:
    """Whether the figure that is shown leads to the verdict that is shown."""
    figure = part.figure
    assert figure is not None
    implied = _IMPLIED.get(leaf.kind)
    if implied is not None:
        return implied(leaf, figure) == part.holds
    return not part.holds or figure.value is not None or leaf.op == "not_exists"


def _compared(leaf: Leaf, value: Any) -> bool:
    if value is None:
        return False
    if leaf.agg in ("sum", "avg"):
        pairs = leaf.value if isinstance(leaf.value, list) else [leaf.value]
        wanted = [float(rounded(one)) for one in pairs]
        return compared(leaf.op, wanted if isinstance(leaf.value, list) else wanted[0])(
            float(rounded(value))
        )
    return compared(leaf.op, leaf.value)(value)


def _counted(leaf: Leaf, figure: Figure) -> bool:
    return compared(leaf.op, leaf.value)(figure.value)


_IMPLIED: dict[str, Callable[[Leaf, Figure], bool]] = {
    "count": _counted,
    "distinct_days": _counted,
    "score": _counted,
    "aggregate": lambda leaf, figure: _compared(leaf, figure.value),
    "sequence": lambda _, figure: figure.value == figure.of,
    "regularly": lambda leaf, figure: figure.value >= leaf.min_periods,
    "segment": lambda _, figure: bool(figure.value),
    "list": lambda _, figure: bool(figure.value),
    "bucket": lambda leaf, figure: leaf.value[0] <= figure.value < leaf.value[1],
}


def agree(case: Case) -> None:
    for member, now, world, root, evaluated in told(case):
        where = f"{case['id']} {json.dumps(case['segment'])} {member.name} at {now}"
        assert root.holds == evaluated, where
        if root.turns_at is not None:
            assert world.evaluated(member, root.turns_at - 1, {}) == root.holds, where
            assert world.evaluated(member, root.turns_at, {}) != root.holds, where
        for _, part in root.walk():
            if part.op == "and":
                assert part.holds == all(one.holds for one in part.parts), where
            elif part.op == "or":
                assert part.holds == any(one.holds for one in part.parts), where
            elif part.op == "not":
                assert part.holds is not part.parts[0].holds, where
            else:
                assert fits(leaf_of(case, part.path), part), (where, part)
            assert part.turns_at is None or part.turns_at > now, where
            assert part.sentence


@pytest.mark.parametrize("family", FAMILIES)
def test_why__corpus__root_is_what_evaluate_says(family: str) -> None:
    for case in corpus()[family][::_EVERY]:
        agree(case)


@drawn(max_examples=100)
@given(strategies.cases())
def test_why__random_rules_and_histories__root_is_what_evaluate_says(case: Case) -> None:
    agree(case)


@pytest.mark.deep
@pytest.mark.parametrize("family", FAMILIES)
def test_why__whole_corpus__root_is_what_evaluate_says(family: str) -> None:
    for case in corpus()[family]:
        agree(case)


@pytest.mark.deep
@drawn(max_examples=5_000)
@given(strategies.cases())
def test_why__very_many__root_is_what_evaluate_says(case: Case) -> None:
    agree(case)
