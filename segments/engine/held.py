"""What is remembered of one customer for the live rules: streams, first times, verdicts.

Plain JSON when stored. Folding is commutative: streams take late events where they belong.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from segments.engine.events import Event
from segments.engine.program import Person, Program, Schedule
from segments.engine.streams import Entries
from segments.engine.verdicts import Spilled

# DESIGN section 6: what a customer's document of states may weigh; the largest streams go first.
MOST_BYTES = 64 * 1024
_NOTHING: Entries = []
# (place of the stream) -> all entries, read from the facts
Gather = Callable[[int], Entries]


@dataclass(slots=True)
class Held:
    """One customer's streams by key, first times by name id, and verdicts by version id.

    `floor` is (epoch, transaction): everything of this customer below it is in here. `generation`:
    rules up to it are decided.
    """

    streams: dict[str, Entries | None] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    verdicts: dict[int, Schedule] = field(default_factory=dict)
    generation: int = 0
    floor: tuple[int, int] | None = None

    def take(self, program: Program, events: Iterable[Event], now: int) -> set[int]:
        """Fold events into the streams; return the places of the rules that this can change."""
        touched: set[int] = set()
        streams = self.streams
        for event in events:
            for place in program.streams_of(event.name):
                stream = program.streams[place]
                held = streams.get(stream.key, _NOTHING)
                entries, moved = stream.add([] if held is _NOTHING else held, event)
                if moved:
                    streams[stream.key] = entries
                    touched.add(place)
        for place in touched:
            stream = program.streams[place]
            streams[stream.key] = stream.trim(streams[stream.key], now)
        return program.touched(touched)

    def retake(
        self, program: Program, places: Iterable[int], events: Sequence[Event], now: int
    ) -> None:
        """Fold streams anew from the whole history of the customer."""
        for place in places:
            stream = program.streams[place]
            kept = stream.kept(events, now)
            if kept == []:
                self.streams.pop(stream.key, None)
            else:
                self.streams[stream.key] = kept

    def decide(
        self, program: Program, person: Person, places: set[int], now: int, gather: Gather
    ) -> dict[int, Schedule]:
        """Return what the rules of these places say from now on; spilled streams are gathered."""
        if not places:
            return {}
        entries = _Entries(program, self.streams)
        person.entries = entries  # type: ignore[assignment]  # read by place alone
        while True:
            try:
                return program.schedules(person, now, places)
            except Spilled as spilled:
                entries.full[spilled.place] = gather(spilled.place)

    def dumped(self, keep: Mapping[str, Any]) -> bytes:
        """Return the state as JSON within MOST_BYTES; `keep` holds the streams that rules read.

        What is too large is spilled: the largest first.
        """
        streams = {key: held for key, held in self.streams.items() if key in keep and held != []}
        text = self._json(streams)
        while len(text) > MOST_BYTES:
            sizes = {key: len(orjson.dumps(held)) for key, held in streams.items() if held}
            if not sizes:
                break
            streams[max(sizes, key=sizes.__getitem__)] = None
            text = self._json(streams)
        self.streams = streams
        return text

    def _json(self, streams: Mapping[str, Entries | None]) -> bytes:
        return orjson.dumps({"e": streams, "f": self.first, "h": self.floor})

    def dumped_verdicts(self) -> bytes:
        """Return the verdicts as JSON: {version: [0 or 1, +2 when incomplete, *flips]}."""
        return orjson.dumps(
            {
                str(version): [schedule.truth + 2 * (not schedule.complete), *schedule.flips]
                for version, schedule in self.verdicts.items()
            }
        )

    def due(self) -> int | None:
        """Return when the first verdict turns by itself; None for never."""
        return min(
            (schedule.flips[0] for schedule in self.verdicts.values() if schedule.flips),
            default=None,
        )

    def settle(self, now: int, live: Container[int]) -> list[tuple[int, int, bool]]:
        """Let time turn what is due; return (version, when, truth) in the order of time.

        Verdicts on versions that are not live are dropped. Those of which nothing further is known
        stay as they were last known: ask `stale`.
        """
        turned: list[tuple[int, int, bool]] = []
        self.verdicts = {v: schedule for v, schedule in self.verdicts.items() if v in live}
        for version, schedule in self.verdicts.items():
            flips = schedule.flips
            if not flips or flips[0] > now:
                continue
            past = [flip for flip in flips if flip <= now]
            truth = schedule.truth
            for flip in past:
                truth = not truth
                turned.append((version, flip, truth))
            rest = flips[len(past) :]
            self.verdicts[version] = Schedule(truth, rest, complete=schedule.complete)
        for version in [v for v, s in self.verdicts.items() if s == Schedule(truth=False)]:
            del self.verdicts[version]
        return sorted(turned, key=lambda one: one[1])

    def stale(self) -> list[int]:
        """Return the versions of which nothing further is known: they must be decided anew."""
        return [v for v, s in self.verdicts.items() if not s.complete and not s.flips]


class _Entries:
    """Entries by place, looked up as they are asked for; `full` holds what was gathered."""

    __slots__ = ("_keys", "_streams", "full")

    def __init__(self, program: Program, streams: Mapping[str, Entries | None]) -> None:
        self._keys = program.keys
        self._streams = streams
        self.full: dict[int, Entries] = {}

    def __getitem__(self, place: int) -> Entries | None:
        if place in self.full:
            return self.full[place]
        return self._streams.get(self._keys[place], _NOTHING)


def loaded(state: str | None, verdicts: str | None, generation: int) -> Held:
    """Return what was stored of one customer."""
    if state is None:
        return Held()
    data = orjson.loads(state)
    floor = data.get("h")
    return Held(
        streams=data.get("e", {}),
        first=data.get("f", {}),
        verdicts=loaded_verdicts(verdicts or "{}"),
        generation=generation,
        floor=None if floor is None else (floor[0], floor[1]),
    )


def loaded_verdicts(text: str | bytes) -> dict[int, Schedule]:
    """Return verdicts as `dumped_verdicts` wrote them."""
    return {
        int(version): Schedule(bool(told[0] & 1), tuple(told[1:]), complete=told[0] < _INCOMPLETE)
        for version, told in orjson.loads(text).items()
    }


_INCOMPLETE = 2
