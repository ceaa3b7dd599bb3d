"""Previews against counting by hand: members, what each condition removes, samples and margins."""

from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings as SettingsWrapper

from personalization.events.facttable import BUCKETS
from segments import patterns
from segments import preview as module
from segments.errors import PreviewTooSlow
from segments.models import Segment, SegmentVersion
from segments.preview import preview
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

PATTERN = count(days=40, where=where("matches", "(?i)^s"))
RULES: dict[str, Any] = {
    "one leaf": count(days=30),
    "nobody": trait("eq", "platinum"),
    "all of": {"and": [count(days=30), trait("in", ["gold", "silver"]), trait("lt", 40, "age")]},
    "any of": {"or": [count(days=5), trait("eq", 1), {"not": trait("exists", None)}]},
    "a negation": {"not": count(days=30)},
    "a group of one": {"and": [count(days=30)]},
    "a pattern among others": {"and": [PATTERN, trait("eq", "gold"), {"not": count(days=2)}]},
    "patterns in a choice": {"or": [PATTERN, {"not": count("eq", 0, where=where("matches", "H"))}]},
    "the same twice": {"and": [PATTERN, PATTERN]},
}


@pytest.fixture
def people() -> list[Customer]:
    grew = grown(300)
    write(grew)
    return grew


def _parts(rule: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    for op, holds_of in (("and", all), ("or", any)):
        if op in rule:
            return holds_of, {f"{op}[{place}]": one for place, one in enumerate(rule[op])}
    return all, {"": rule}


@pytest.mark.parametrize("most", [patterns.MOST_VALUES, 0])
@pytest.mark.parametrize("name", RULES)
def test_preview__small_base__counts_as_by_hand(
    name: str, most: int, people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patterns, "MOST_VALUES", most)
    rule = RULES[name]

    said = preview(rule, now=NOW, segments={})

    everybody = known(people)
    join, parts = _parts(rule)
    truths = [{path: holds(part, one) for path, part in parts.items()} for one in everybody]
    members = sum(join(list(each.values())) for each in truths)
    assert (said.count, said.total, said.exact, said.margin) == (members, len(everybody), True, 0)
    assert [one.path for one in said.conditions] == list(parts)
    for one in said.conditions:
        rest = [[truth for path, truth in each.items() if path != one.path] for each in truths]
        assert one.matching == sum(each[one.path] for each in truths)
        assert one.removes == sum(map(join, rest)) - members
        assert (one.matching_margin, one.removes_margin) == (0, 0)
    assert len(said.sample) == min(10, members)
    by_id = {one.id: one for one in everybody}
    assert all(holds(rule, by_id[someone.customer_id]) for someone in said.sample)
    assert said.as_of == NOW
    assert said.sentence.startswith("Customers who ")


def test_preview__sample__labels_hold_no_trait(people: list[Customer]) -> None:
    said = preview(count(days=30), now=NOW, segments={})

    someone = said.sample[0]
    assert someone.label == f"user-{someone.customer_id}"


def test_preview__segments_in_force__shows_who_is_in_both(people: list[Customer]) -> None:
    everybody, rule = known(people), count(days=30)
    members = [one.id for one in everybody if holds(rule, one)]
    others = [one.id for one in everybody if one.id not in members]
    _in_force("overlapping", [*members[:5], *others[:3]])
    _in_force("apart", others[:4])

    said = preview(rule, now=NOW, segments={})

    told = [(one.key, one.shared, one.shared_margin, one.size) for one in said.overlap]
    assert told == [("overlapping", 5, 0, 8)]


def _in_force(key: str, customer_ids: list[int]) -> None:
    segment = Segment.objects.create(key=key, title=key, created_at=NOW, updated_at=NOW)
    version = SegmentVersion.objects.create(
        segment=segment, number=1, rule=count(), status="published", generation=1, created_at=NOW
    )
    segment.published = version
    segment.save()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_membership (segment_id, version_id, customer_id, entered_at) "
            "SELECT %s, %s, unnest(%s::bigint[]), now()",
            [segment.pk, version.pk, customer_ids],
        )


@pytest.mark.parametrize("name", ["all of", "a pattern among others", "any of"])
def test_preview__base_above_the_limit__margin_holds_the_truth(
    name: str, settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = grown(3_000)
    write(people)
    settings.SEGMENT_PREVIEW_EXACT = 1_000
    monkeypatch.setattr(module, "_LEAST_SAMPLED", 1_400)
    rule = RULES[name]

    said = preview(rule, now=NOW, segments={})

    everybody = known(people)
    members = sum(holds(rule, one) for one in everybody)
    assert not said.exact
    assert 0.4 < said.share < 0.6
    # a fixed base and fixed buckets: one draw, which is within 95 %
    assert 0 < said.margin < members
    assert abs(said.count - members) <= said.margin
    assert abs(said.total - len(everybody)) < 0.1 * len(everybody)
    join, parts = _parts(rule)
    truths = [{path: holds(part, one) for path, part in parts.items()} for one in everybody]
    for one in said.conditions:
        rest = [[truth for path, truth in each.items() if path != one.path] for each in truths]
        removed = sum(map(join, rest)) - members
        matching = sum(each[one.path] for each in truths)
        assert abs(one.matching - matching) <= one.matching_margin < len(everybody)
        assert abs(one.removes - removed) <= one.removes_margin < len(everybody)
    assert all(holds(rule, one) for one in people if one.id in {x.customer_id for x in said.sample})


def test_preview__base_above_the_limit__shared_members_have_their_margin(
    settings: SettingsWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = grown(3_000)
    write(people)
    settings.SEGMENT_PREVIEW_EXACT = 1_000
    monkeypatch.setattr(module, "_LEAST_SAMPLED", 1_400)
    rule = count(days=30)
    members = [one.id for one in known(people) if holds(rule, one)]
    shared = members[::2]
    _in_force("overlapping", shared)

    (told,) = preview(rule, now=NOW, segments={}).overlap

    assert told.size == len(shared)
    assert abs(told.shared - len(shared)) <= told.shared_margin
    assert 0 < told.shared_margin < len(shared)


def test_preview__whole_base_too_slow__samples(
    people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = module._tally

    def slow(question: Any, rule: Any, paths: Any, buckets: Any) -> Any:
        if len(buckets) == BUCKETS:
            raise PreviewTooSlow("too slow")
        return tally(question, rule, paths, buckets)

    monkeypatch.setattr(module, "_tally", slow)
    monkeypatch.setattr(module, "_LEAST_SAMPLED", 100)

    said = preview(count(days=30), now=NOW, segments={})

    assert not said.exact
    assert said.margin > 0


def test_preview__statement_over_the_limit__is_a_clear_error(
    people: list[Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_MS", 1)

    with pytest.raises(PreviewTooSlow, match=r"longer than 0\.001 s"):
        preview(RULES["all of"], now=NOW, segments={})
