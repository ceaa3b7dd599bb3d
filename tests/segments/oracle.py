"""Brute-force truth of the rule language: slow, obvious, from `docs/rules.md` alone.

It looks at the plain list of a customer's events at every step and keeps nothing between steps. It
must share no code with `segments.engine`, which it judges.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from tests.segments.oracle_leaves import Event, Rule, Situation, holds_for
from tests.segments.oracle_operators import seconds_us

DAY_S = 86_400
_STAMPED = ("category", "brand", "price_minor")
_PURPOSES = ("analytics", "personalization", "marketing")


def truth(  # noqa: PLR0913 - all that a rule can ask about
    rule: Rule,
    *,
    events: Sequence[Event],
    traits: Mapping[str, Any],
    now_us: int,
    timezone: str,
    assignment_key: str,
    segments: Mapping[str, Rule],
    lists: Mapping[str, Sequence[str]],
    scores: Mapping[str, Any],
    consents: Mapping[str, bool],
    retention_days: float | None = None,
    context: Mapping[str, Any] | None = None,
    product: Mapping[str, Any] | None = None,
) -> bool:
    """Whether the rule holds for the customer who has these events, at this moment."""
    situation = Situation(
        events=sorted((e for e in events if e.us <= now_us), key=lambda e: e.order),
        traits=traits,
        now_us=now_us,
        zone=ZoneInfo(timezone),
        assignment_key=assignment_key,
        segments=segments,
        lists=lists,
        scores=scores,
        consents=consents,
        retention_us=None if retention_days is None else seconds_us(retention_days * DAY_S),
        context=context or {},
        product=product or {},
    )
    return holds_for(rule, situation)


@dataclass
class _World:
    """What a case has told so far."""

    traits: dict[str, dict[str, Any]]
    log: dict[str, Event] = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    withdrawn: set[str] = field(default_factory=set)
    merged: dict[str, str] = field(default_factory=dict)

    def owner(self, user: str) -> str:
        while user in self.merged:
            user = self.merged[user]
        return user

    def customers(self) -> list[str]:
        known = {*self.traits, *(event.user for event in self.log.values())}
        return sorted(known - self.merged.keys())


def members(case: Mapping[str, Any]) -> list[list[str]]:
    """Return the sorted members of a case after each step."""
    return list(_steps(case))


def _steps(case: Mapping[str, Any]) -> Iterator[list[str]]:
    world = _World({user: dict(traits) for user, traits in case["profiles"].items()})
    for step in case["steps"]:
        _happen(world, step)
        now_us = seconds_us(step["at"])
        is_member = partial(_is_member, case=case, world=world, now_us=now_us)
        yield [user for user in world.customers() if is_member(user)]


def _happen(world: _World, step: Mapping[str, Any]) -> None:
    for user, changed in step.get("traits", {}).items():
        world.traits.setdefault(user, {}).update(changed)
    world.merged.update(dict(step.get("merge", ())))
    for source, _ in step.get("unmerge", ()):
        del world.merged[source]
    world.withdrawn |= set(step.get("withdraw", ()))
    world.withdrawn -= set(step.get("grant", ()))
    for given in step["ingest"]:
        if given["id"] in world.log:
            continue
        world.log[given["id"]] = _event(given)
        if world.owner(given["user"]) in world.withdrawn:
            world.uncounted.add(given["id"])


def _event(given: Mapping[str, Any]) -> Event:
    return Event(
        id=given["id"],
        seq=given["seq"],
        user=given["user"],
        name=given["name"],
        us=seconds_us(given["ts"]),
        props=given["props"],
        context=given.get("context") or {},
        session=given.get("session"),
        products=[{k: p.get(k) for k in _STAMPED} for p in given.get("products") or ()],
    )


def _is_member(user: str, *, case: Mapping[str, Any], world: _World, now_us: int) -> bool:
    if user in world.withdrawn:
        return False
    traits = world.traits.get(user, {})
    return truth(
        case["segment"],
        events=[
            event
            for event in world.log.values()
            if world.owner(event.user) == user and event.id not in world.uncounted
        ],
        traits=traits,
        now_us=now_us,
        timezone=case["timezone"],
        assignment_key=user,
        segments=case.get("segments", {}),
        lists=case.get("lists", {}),
        scores=case.get("scores", {}).get(user, {}),
        # A case tells them among the traits; one that it does not tell is not known.
        consents={k: traits[f"consent.{k}"] for k in _PURPOSES if f"consent.{k}" in traits},
        retention_days=case.get("retention_days"),
    )
