"""What is remembered of one customer for the live rules: streams, first times, verdicts.

Plain JSON when stored. Folding is commutative: streams take late events where they belong.
"""

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from segments.engine.events import Event
from segments.engine.program import INCOMPLETE, Person, Program
from segments.engine.streams import Entries
from segments.engine.verdicts import Spilled
from segments.engine.windows import NEVER

# What a customer's document of states may weigh; the largest streams go first.
MOST_BYTES = 64 * 1024
# First times beyond those that rules read: more names than a shop gives its events, so that what is
# no news needs no look into the table. Anybody may send names, so there is an end.
MOST_FIRST = 64
_NOTHING: Entries = []
# What is told of a rule that is false for good; such verdicts are not kept.
FALSE = [0]
# (place of the stream) -> all entries, read from the facts
Gather = Callable[[int], Entries]


@dataclass(slots=True)
class Held:
    """One customer's streams by key, first times by name id, and verdicts by version id.

    `first` has every name while there are fewer than MOST_FIRST: the table of them all is asked
    where there may be more.
    A verdict is a list, `Schedule.of` reads it; those that are false for good are left out.
    `floor` is (epoch, transaction): everything of this customer below it is in here. `generation`:
    rules up to it are decided.
    """

    streams: dict[str, Entries | None] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, list[int]] = field(default_factory=dict)
    generation: int = 0
    floor: tuple[int, int] | None = None
    # Time of the latest event: one that is ahead of the clock is still to come.
    ahead: int = 0
    # When the first verdict turns, as it was stored.
    due_at: int | None = None

    def take(self, program: Program, events: Iterable[Event], now: int) -> set[int]:
        """Fold events into the streams; return the places of the rules that this can change."""
        touched: set[int] = set()
        streams = self.streams
        for event in events:
            self.ahead = max(self.ahead, event.at)
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
        self.ahead = max(self.ahead, max((event.at for event in events), default=0))
        for place in places:
            stream = program.streams[place]
            kept = stream.kept(events, now)
            if kept == []:
                self.streams.pop(stream.key, None)
            else:
                self.streams[stream.key] = kept

    def decide(
        self, program: Program, person: Person, places: set[int], now: int, gather: Gather
    ) -> dict[int, list[int]]:
        """Return what the rules of these places say from now on; spilled streams are gathered."""
        entries: list[Entries | None] = [_NOTHING] * len(program.streams)
        stream_at = program.stream_at
        for key, held in self.streams.items():
            place = stream_at.get(key)
            if place is not None:
                entries[place] = held
        person.entries, person.ahead = entries, self.ahead
        while True:
            try:
                return program.told(person, now, places)
            except Spilled as spilled:
                entries[spilled.place] = gather(spilled.place)

    def forget_first(self, asked: Iterable[Collection[str]]) -> None:
        """Keep the earliest first times, and of each set of names that a rule reads the earliest.

        First times only move back, so what comes after these never decides anything again, in
        whatever order the events are taken.
        """
        if len(self.first) <= MOST_FIRST:
            return
        ordered = sorted(self.first, key=lambda name: (self.first[name], name))
        kept = {*ordered[:MOST_FIRST]}
        for names in asked:
            kept.update(next(([name] for name in ordered if name in names), ()))
        self.first = {name: at for name, at in self.first.items() if name in kept}

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
        return orjson.dumps({"e": streams, "f": self.first, "h": self.floor, "a": self.ahead})

    def due(self) -> int | None:
        """Return when the first verdict turns by itself; None for never."""
        first = NEVER
        for told in self.verdicts.values():
            if len(told) > 1 and told[1] < first:
                first = told[1]
        return first if first < NEVER else None

    def settle(self, now: int, live: Container[str]) -> list[tuple[str, int, bool]]:
        """Let time turn what is due; return (version, when, truth) in the order of time.

        Verdicts on versions that are not live are dropped with it. Those of which nothing further
        is known stay as they were last known: ask `stale`.
        """
        turned: list[tuple[str, int, bool]] = []
        if self.due_at is None or self.due_at > now:
            return turned
        for version, told in list(self.verdicts.items()):
            if version not in live:
                del self.verdicts[version]
                continue
            if len(told) < 2 or told[1] > now:  # noqa: PLR2004 -- the first flip
                continue
            flag, *flips = told
            past = [flip for flip in flips if flip <= now]
            for flip in past:
                flag ^= 1
                # two at one moment only say that somebody must look then (`Program.told`)
                if past.count(flip) == 1:
                    turned.append((version, flip, bool(flag & 1)))
            rest = [flag, *flips[len(past) :]]
            if rest == FALSE:
                del self.verdicts[version]
            else:
                self.verdicts[version] = rest
        return sorted(turned, key=lambda one: one[1])

    def stale(self) -> list[str]:
        """Return the versions of which nothing further is known: they must be decided anew."""
        return [
            version
            for version, told in self.verdicts.items()
            if len(told) == 1 and told[0] >= INCOMPLETE
        ]


def loaded(state: str, verdicts: str, generation: int, due_at: int | None) -> Held:
    """Return what was stored of one customer."""
    data = orjson.loads(state)
    floor = data.get("h")
    return Held(
        streams=data.get("e", {}),
        first=data.get("f", {}),
        verdicts=orjson.loads(verdicts),
        generation=generation,
        floor=None if floor is None else (floor[0], floor[1]),
        ahead=data.get("a", NEVER),
        due_at=due_at,
    )
