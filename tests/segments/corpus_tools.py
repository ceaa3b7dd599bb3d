"""How a case is put together: events with their arrival, a clock that stops at every edge."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.segments.casefiles import Case, expected
from tests.segments.oracle import members

T0 = 1_790_000_000
HOUR = 3600
DAY = 86_400
US = 0.000001

Rule = dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """One event and when it arrives; `again` is when the same message arrives once more."""

    user: str
    ts: float
    name: str = "view"
    props: Mapping[str, Any] = field(default_factory=dict)
    late: float = 0
    again: float | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arrives(self) -> float:
        return exact(self.ts + self.late)


def exact(at: float) -> float:
    """Return seconds without the dust of floats, whole ones as integers."""
    rounded = round(at, 6)
    return int(rounded) if rounded == int(rounded) else rounded


def case(
    name: str,
    rule: Mapping[str, Any],
    *,
    sent: Sequence[Sent] = (),
    clock: Iterable[float] = (),
    timezone: str = "UTC",
    happens: Mapping[float, Mapping[str, Any]] | None = None,
    retention_days: int | None = None,
    **more: Any,
) -> Case:
    """Return a case whose members the oracle says.

    Parameters
    ----------
    clock
        Moments without an event; arrivals and `happens` are steps of their own.
    happens
        What else is told at a moment: merge, unmerge, withdraw, grant, traits.
    """
    happens = happens or {}
    arrivals: dict[float, list[dict[str, Any]]] = {}
    numbered = sorted(enumerate(sent, 1), key=lambda row: (row[1].arrives, row[0]))
    for seq, (_, event) in enumerate(numbered, 1):
        told = {
            "id": f"e{seq}",
            "seq": seq,
            "user": event.user,
            "name": event.name,
            "ts": exact(event.ts),
            "props": dict(event.props),
            **event.more,
        }
        arrivals.setdefault(event.arrives, []).append(told)
        if event.again is not None:
            arrivals.setdefault(exact(event.again), []).append(told)
    users = sorted({event.user for event in sent})
    moments = sorted({*map(exact, clock), *arrivals, *happens})
    steps = [
        {"at": at, **happens.get(at, {}), "ingest": arrivals.get(at, []), "expect": []}
        for at in moments
    ]
    return answered(
        {
            "id": name,
            "timezone": timezone,
            "segment": dict(rule),
            "profiles": more.pop("profiles", {user: {} for user in users}),
            **({} if retention_days is None else {"retention_days": retention_days}),
            **more,
            "steps": steps,
        }
    )


def answered(told: Case) -> Case:
    """Return the case with the oracle's members at each step."""
    steps = [
        {**step, "expect": found} for step, found in zip(told["steps"], members(told), strict=True)
    ]
    return {**told, "steps": steps}


def around(*moments: float) -> list[float]:
    """Return each moment, one second before and one after."""
    return [exact(at + by) for at in moments for by in (-1, 0, 1)]


def closely_around(*moments: float) -> list[float]:
    """Return each moment, one microsecond before and one after."""
    return [exact(at + by) for at in moments for by in (-0.000001, 0, 0.000001)]


def turns(told: Case) -> set[tuple[str, bool]]:
    """Return which ways the clock or an event moved somebody: (in or out, by the clock alone)."""
    found = set()
    answers = expected(told)
    for step, before, after in zip(told["steps"][1:], answers, answers[1:], strict=False):
        alone = not step["ingest"] and not step.keys() - {"at", "ingest", "expect"}
        found |= {("in", alone) for _ in set(after) - set(before)}
        found |= {("out", alone) for _ in set(before) - set(after)}
    return found


def worked(name: str, rule: Mapping[str, Any], says: Mapping[float, str], **more: Any) -> Case:
    """Return a case of which we know the members at some moments: names with a blank between."""
    clock = [*more.pop("clock", ()), *says]
    told = case(name, rule, clock=clock, **more)
    found = {step["at"]: " ".join(step["expect"]) for step in told["steps"]}
    wrong = {at: (who, found[at]) for at, who in says.items() if found[at] != who}
    assert not wrong, f"{name}: by hand, by the oracle: {wrong}"
    return told


def counted(window: Rule, op: str = "gte", value: Any = 1, **more: Any) -> Rule:
    kind = more.pop("kind", "count")
    return {"kind": kind, "event": "view", "window": window, "op": op, "value": value, **more}


def last(seconds: float) -> Rule:
    return {"type": "last", "seconds": seconds}


EVER: Rule = {"type": "ever"}
HOUR_BACK = last(HOUR)
