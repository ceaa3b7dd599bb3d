"""Cases: a rule, people, and steps with a clock and events; who is a member after each step.

The small public door for checking an executor against a truth made elsewhere. A case is
`{"id", "timezone", "segment": rule, "profiles": {user: {trait: value}}, "steps": [{"at", "ingest":
[event], "expect": [user]}]}`, an event `{"id", "seq", "user", "name", "ts", "props"}`; times are
seconds. Optional: `segments {key: rule}`, `lists {key: [user]}`, `scores {user: {key: value}}`,
`retention_days`; in steps `traits {user: {key: value}}`, `merge` and `unmerge [[source, target]]`,
`withdraw` and `grant [user]`; in events `context`, `session`, `products`. A consent is the trait
`consent.KEY`: one that nobody told is missing, as any trait.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from zoneinfo import ZoneInfo

from segments.engine.events import Event
from segments.engine.language import micros
from segments.engine.program import DAY_US, Person, Program, Schedule, Setting, Source
from segments.engine.streams import Entries

Case = Mapping[str, Any]
Executor = Literal["evaluate", "fold"]
WANTED = "the case's own segment"


@dataclass(slots=True)
class Member:
    """One user of a case: traits, all events by message id, and what an executor keeps."""

    name: str
    traits: dict[str, Any]
    events: dict[str, Event] = field(default_factory=dict)
    alive: bool = True
    consents: bool = True
    streams: list[Entries | None] = field(default_factory=list)
    first_seen: dict[str, int] = field(default_factory=dict)
    schedule: Schedule | None = None


def run_case(case: Case, executor: Executor) -> Iterator[list[str]]:
    """Yield the members after each step, sorted.

    `evaluate` decides each step from the whole history; `fold` keeps streams and schedules from
    event to event, and reads the history only for what is spilled.
    """
    world = World(case)
    decide = {"evaluate": world.evaluated, "fold": world.folded}[executor]
    for step in case["steps"]:
        now = micros(step["at"])
        changed = world.take(step, now)
        yield sorted(
            member.name
            for member in world.people.values()
            if member.alive and member.consents and decide(member, now, changed)
        )


class World:
    """The people of a case, and what a step does to them; executors differ in what they keep."""

    def __init__(self, case: Case) -> None:
        days = case.get("retention_days")
        setting = Setting(
            ZoneInfo(case.get("timezone", "UTC")), None if days is None else round(days * DAY_US)
        )
        rules = [Source(key, rule) for key, rule in case.get("segments", {}).items()]
        self.program = Program([*rules, Source(WANTED, case["segment"])], setting)
        self.people = {
            name: Member(name, dict(traits)) for name, traits in case["profiles"].items()
        }
        self._lists: Mapping[str, list[str]] = case.get("lists", {})
        self._scores: Mapping[str, Mapping[str, float]] = case.get("scores", {})
        # source -> target of the merges in force
        self._merged: dict[str, str] = {}
        self._events: dict[str, list[Event]] = {name: [] for name in self.people}
        self._seen: set[str] = set()

    def take(self, step: Mapping[str, Any], now: int) -> dict[str, set[int]]:
        """Let a step happen; return user -> places of rules that it can change."""
        changed: dict[str, set[int]] = {}
        for name in step.get("withdraw", ()):
            self.people[name].consents = False
        for name in step.get("grant", ()):
            self.people[name].consents = True
            changed[name] = self._rebuild(name, now)
        for raw in step["ingest"]:
            self._ingest(raw, now, changed)
        for name, traits in step.get("traits", {}).items():
            self.people[name].traits.update(traits)
            changed.setdefault(name, set()).update(self.program.reading("profile"))
        for pairs, undo in ((step.get("merge", ()), False), (step.get("unmerge", ()), True)):
            for source, target in pairs:
                self._merged.pop(source, None)
                if not undo:
                    self._merged[source] = target
                self.people[source].alive = undo
                for name in (source, target):
                    changed[name] = self._rebuild(name, now)
        return changed

    def evaluated(self, member: Member, now: int, _changed: Mapping[str, set[int]]) -> bool:
        """Decide from the whole history."""
        events = self.history(member.name)
        entries = [stream.gathered(events, now) for stream in self.program.streams]
        person = self._person(member, entries, _first_seen(events))
        return self.program.members(person, now)[WANTED][0]

    def folded(self, member: Member, now: int, changed: Mapping[str, set[int]]) -> bool:
        """Decide from what was kept, asking again only where an event or the clock can matter."""
        held = member.schedule
        place = self.program.place_of[WANTED]
        touched = place in changed.get(member.name, ())
        if held is None or touched or held.over(now):
            held = self._decided(member, now)
        member.schedule = held
        return held.at(now)

    def history(self, name: str) -> list[Event]:
        """Return every event that a user holds, in order."""
        own = [e for user, sent in self._events.items() if self.holder(user) == name for e in sent]
        return sorted(own, key=lambda event: (event.at, event.seq))

    def holder(self, user: str) -> str:
        """Return who has the events of a user now: the end of a chain of merges."""
        while user in self._merged:
            user = self._merged[user]
        return user

    def _ingest(self, raw: Mapping[str, Any], now: int, changed: dict[str, set[int]]) -> None:
        if raw["id"] in self._seen:
            return
        self._seen.add(raw["id"])
        user = raw["user"]
        if user not in self.people:
            self.people[user] = Member(user, {})
            self._events[user] = []
        holder = self.people[self.holder(user)]
        if not holder.consents:
            return
        event = event_of(raw)
        self._events[user].append(event)
        holder.streams = holder.streams or [[] for _ in self.program.streams]
        touched = []
        for place in self.program.streams_of(event.name):
            stream = self.program.streams[place]
            entries, moved = stream.add(holder.streams[place], event)
            holder.streams[place] = stream.trim(entries, now)
            if moved:
                touched.append(place)
        found = changed.setdefault(holder.name, set())
        found |= self.program.touched(touched)
        if event.at < holder.first_seen.get(event.name, event.at + 1):
            holder.first_seen[event.name] = event.at
            found |= self.program.reading("first_seen")

    def _rebuild(self, name: str, now: int) -> set[int]:
        member, events = self.people[name], self.history(name)
        member.streams = [stream.kept(events, now) for stream in self.program.streams]
        member.first_seen = _first_seen(events)
        return set(range(len(self.program.rules)))

    def _decided(self, member: Member, now: int) -> Schedule:
        streams = member.streams or [[] for _ in self.program.streams]
        entries = [
            stream.gathered(self.history(member.name), now) if kept is None else kept
            for stream, kept in zip(self.program.streams, streams, strict=True)
        ]
        place = self.program.place_of[WANTED]
        person = self._person(member, entries, member.first_seen)
        person.ahead = max((event.at for event in self.history(member.name)), default=0)
        return self.program.schedules(person, now, [place])[place]

    def _person(
        self, member: Member, entries: list[Entries | None] | list[Entries], first: dict[str, int]
    ) -> Person:
        return Person(
            entries=entries,
            traits=member.traits,
            scores=self._scores.get(member.name, {}),
            lists=frozenset(key for key, users in self._lists.items() if member.name in users),
            first_seen=first,
            assignment_key=member.name,
        )


def event_of(raw: Mapping[str, Any]) -> Event:
    """Return the event of its JSON, what is beside the properties put under its own names."""
    props = dict(raw.get("props") or {})
    for name, key, wrap in _BESIDE:
        if key in raw:
            props[name] = wrap(raw[key])
    return Event(micros(raw["ts"]), raw["seq"], raw["name"], props)


_BESIDE: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("$context", "context", lambda value: value),
    ("$session", "session", lambda value: {"id": value}),
    ("$product", "products", lambda value: value),
)


def _first_seen(events: list[Event]) -> dict[str, int]:
    found: dict[str, int] = {}
    for event in events:
        found.setdefault(event.name, event.at)
    return found
