"""Rules compiled together: shared streams, what an event can change, verdicts and their schedules.

A `Program` is made of the live rules once a configuration is published. It folds events into the
streams of a customer, says which rules that can change, and decides them at a moment.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from segments.engine import leaves as meaning
from segments.engine.events import names
from segments.engine.language import Leaf, Node, Not, Rule, leaves, parse, references
from segments.engine.streams import Entries, Need, Stream, needs
from segments.engine.turning import EITHER, turns
from segments.engine.values import SECOND_US
from segments.engine.verdicts import Evaluate, Verdict, joined, opposite
from segments.engine.windows import NEVER, Calendar

# Changes by the clock alone that are known in advance; after the last of them a timer asks again.
MOST_FLIPS = 6
# In the first place of a told verdict: beside 1 for the truth.
INCOMPLETE = 2
DAY_US = 86_400 * SECOND_US
# Stands for a segment that has no version in force, or whose members are known otherwise.
NO_MEMBERS: Rule = {"kind": "bucket", "salt": "", "from": 0, "to": 0}


@dataclass(frozen=True, slots=True)
class Setting:
    """What rules are read by: the shop's time zone, and how long events are kept (None: for good).

    `retention` is microseconds.
    """

    zone: ZoneInfo
    retention: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One rule of a program: its key, and the generation of the configuration it came with."""

    key: str
    rule: Mapping[str, Any]
    generation: int = 0


@dataclass(slots=True)
class Person:
    """What is known of one customer: implements `leaves.View`.

    `entries` by place of the program's streams.
    """

    entries: Sequence[Entries | None] = ()
    traits: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    first_seen: Mapping[str, int] = field(default_factory=dict)
    members: Mapping[str, Verdict] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)
    product: Mapping[str, Any] = field(default_factory=dict)
    assignment_key: str = ""
    # Time of the latest event known, which a device's clock may have put ahead of ours.
    ahead: int = NEVER


@dataclass(frozen=True, slots=True)
class Schedule:
    """The truth now and the moments at which it turns by itself, in order.

    `complete`: nothing happens after the last of them without an event.
    """

    truth: bool
    flips: tuple[int, ...] = ()
    complete: bool = True

    @classmethod
    def of(cls, told: Sequence[int]) -> "Schedule":
        """Return the schedule of `[1 if true, +2 if incomplete, *flips]`."""
        return cls(bool(told[0] & 1), tuple(told[1:]), complete=told[0] < INCOMPLETE)

    def at(self, now: int) -> bool:
        """Return the truth at a moment not before the one this was made for."""
        turned = sum(1 for flip in self.flips if flip <= now)
        return self.truth ^ bool(turned & 1)

    def over(self, now: int) -> bool:
        """Whether more than what is known may have happened."""
        return not self.complete and (not self.flips or now >= self.flips[-1])


@dataclass(frozen=True, slots=True)
class Compiled:
    """One rule ready to be decided; `streams` are places in the program."""

    key: str
    generation: int
    node: Node
    decide: Evaluate
    turns: int
    streams: frozenset[int]
    reads: frozenset[tuple[str, str]]
    references: frozenset[str]


class Program:
    """Live rules, compiled. Raises ValueError for a cycle or a reference to nothing.

    `rules` come in an order in which each is after those that it names.
    """

    def __init__(self, sources: Iterable[Source], setting: Setting) -> None:
        self.setting = setting
        self.calendar = Calendar(setting.zone)
        trees = {source.key: (source, parse(source.rule)) for source in sources}
        order = _ordered({key: references(tree) for key, (_, tree) in trees.items()})
        self._needs: dict[str, Need] = {}
        self.since: dict[str, int] = {}
        for source, tree in sorted(trees.values(), key=lambda one: one[0].generation):
            self._gather(tree, source.generation)
        self.streams = [Stream(need, self.calendar) for need in self._needs.values()]
        self.keys = [stream.key for stream in self.streams]
        self.stream_at = {key: place for place, key in enumerate(self.keys)}
        self.rules = tuple(self._compiled(*trees[key]) for key in order)
        # how each is decided, and whether it turns by itself once at most
        self._deciding = [(rule.decide, rule.turns != EITHER) for rule in self.rules]
        self.place_of = {rule.key: place for place, rule in enumerate(self.rules)}
        self._no_references = not any(rule.references for rule in self.rules)
        self._dependents = self._spread()
        self._by_stream = self._index(lambda rule: rule.streams)
        self._by_fact = self._index(lambda rule: rule.reads)
        self._named: dict[str, tuple[int, ...]] = {}
        # what rules say of somebody who has done nothing, where that is all they ask about
        self.blank = dict(self._untouched())
        self._firsts = {
            leaf.matchers[0]
            for rule in self.rules
            for leaf in leaves(rule.node)
            if leaf.kind == "first_time" and not leaf.matchers[0].where
        }
        # which kinds of facts any rule reads: others need not be looked up
        self.kinds = frozenset(leaf.kind for rule in self.rules for leaf in leaves(rule.node))

    # --- What events do ---

    def streams_of(self, name: str) -> tuple[int, ...]:
        """Return the places of the streams that events of a name may concern."""
        found = self._named.get(name)
        if found is None:
            if len(self._named) > _MOST_NAMES:
                self._named.clear()
            found = self._named[name] = tuple(
                place
                for place, stream in enumerate(self.streams)
                if names(stream.need.matcher, name)
            )
        return found

    def touched(self, places: Iterable[int]) -> set[int]:
        """Return the places of the rules that changes of these streams can change."""
        found: set[int] = set()
        for place in places:
            found |= self._by_stream.get(place, _NONE)
        return found

    def reading(self, kind: str, keys: Collection[str] | None = None) -> set[int]:
        """Return the places of the rules that read facts of a kind (of one of the keys)."""
        found: set[int] = set()
        for (its_kind, key), places in self._by_fact.items():
            if its_kind == kind and (keys is None or key in keys):
                found |= places
        return found

    def firsts(self, ids: Mapping[str, int]) -> list[frozenset[str]]:
        """Return the ids, as text, of the names of each matcher whose first time a rule reads."""
        return [
            frozenset(str(its_id) for name, its_id in ids.items() if names(matcher, name))
            for matcher in self._firsts
        ]

    def newer(self, generation: int) -> tuple[set[int], set[int]]:
        """Return the places of (streams, rules) that a state of a generation has not taken in."""
        streams = {place for place, key in enumerate(self.keys) if self.since[key] > generation}
        rules = {place for place, rule in enumerate(self.rules) if rule.generation > generation}
        for place in tuple(rules):
            rules |= self._dependents[place]
        return streams, rules

    # --- What rules say ---

    def decide(self, place: int, person: Person, now: int) -> Verdict:
        """Return (truth, until) of one rule; `person.members` must hold what it refers to."""
        return self.rules[place].decide(person, now)

    def members(
        self, person: Person, now: int, places: Collection[int] | None = None
    ) -> dict[str, Verdict]:
        """Return the verdicts on all rules, or on some and what they refer to."""
        wanted = range(len(self.rules)) if places is None else sorted(self._with_named(places))
        known: dict[str, Verdict] = {}
        person.members = known
        for place in wanted:
            rule = self.rules[place]
            known[rule.key] = rule.decide(person, now)
        return known

    def schedules(self, person: Person, now: int, places: Collection[int]) -> dict[int, Schedule]:
        """Return what the rules say at `now` and when that turns by itself."""
        return {place: Schedule.of(told) for place, told in self.told(person, now, places).items()}

    def told(self, person: Person, now: int, places: Collection[int]) -> dict[int, list[int]]:
        """Return the same as plain lists (`Schedule.of`): this is what runs for each event."""
        if self._no_references:
            person.members = _NOBODY
            return self._told(person, now, places)
        self.members(person, now, places)
        found: dict[int, list[int]] = {}
        for place in places:
            found |= self._told(person, now, (place,))
            if self.rules[place].references:
                self.members(person, now, places)
        return found

    def _told(self, person: Person, now: int, places: Iterable[int]) -> dict[int, list[int]]:
        """Return what rules say, most of them at once; `person.members` holds what they name."""
        rules, whole = self._deciding, person.ahead <= now
        found: dict[int, list[int]] = {}
        for place in places:
            decide, once = rules[place]
            truth, until = decide(person, now)
            if until >= NEVER:
                found[place] = [1] if truth else [0]
            elif once and whole:
                found[place] = [1 if truth else 0, until]
            else:
                found[place] = self._asked(place, person, truth, until)
        return found

    def _asked(self, place: int, person: Person, truth: bool, until: int) -> list[int]:  # noqa: FBT001
        """Return what a rule says that may turn often: it is asked at each boundary."""
        rule = self.rules[place]
        decide = rule.decide
        flips: list[int] = [int(truth)]
        last = truth
        for _ in range(_MOST_ASKED):
            at = until
            if rule.references:
                self.members(person, at, (place,))
            value, until = decide(person, at)
            if value is not last:
                flips.append(at)
                last = value
                if len(flips) > MOST_FLIPS:
                    break
            if until >= NEVER:
                return flips
        else:
            # asked too often: somebody must look at the next boundary, whatever is said there
            flips += (until, until)
        if until < NEVER:
            flips[0] |= INCOMPLETE
        return flips

    def _with_named(self, places: Collection[int]) -> set[int]:
        wanted, todo = set(places), list(places)
        while todo:
            for key in self.rules[todo.pop()].references:
                place = self.place_of[key]
                if place not in wanted:
                    wanted.add(place)
                    todo.append(place)
        return wanted

    # --- How it is put together ---

    def _gather(self, tree: Node, generation: int) -> None:
        for leaf in leaves(tree):
            for need in needs(leaf, self.calendar, self.setting.retention):
                held = self._needs.get(need.key)
                if held is None:
                    self._needs[need.key], self.since[need.key] = need, generation
                elif not held.covers(need):
                    self._needs[need.key] = held.joined(need)
                    self.since[need.key] = generation

    def _compiled(self, source: Source, tree: Node) -> Compiled:
        used: set[int] = set()
        reads = frozenset(
            (leaf.kind, leaf.key) for leaf in leaves(tree) if leaf.kind not in _NO_FACTS
        ) | frozenset(
            ("first_seen", leaf.matchers[0].event)
            for leaf in leaves(tree)
            if leaf.kind == "first_time" and not leaf.matchers[0].where
        )
        decide = self._node(tree, used)
        return Compiled(
            source.key,
            source.generation,
            tree,
            decide,
            turns(tree),
            frozenset(used),
            reads,
            references(tree),
        )

    def _node(self, node: Node, used: set[int]) -> Evaluate:
        if isinstance(node, Leaf):
            places = self.places(node)
            used.update(places)
            return meaning.compiled(node, places, self.calendar, self.setting.retention)
        if isinstance(node, Not):
            return opposite(self._node(node.child, used))
        children = [self._node(child, used) for child in node.children]
        return children[0] if len(children) == 1 else joined(children, all_of=node.op == "and")

    def places(self, leaf: Leaf) -> tuple[int, ...]:
        """Return the places of the streams that a leaf reads, one a matcher."""
        asked = needs(leaf, self.calendar, self.setting.retention)
        return tuple(self.stream_at[need.key] for need in asked)

    def _spread(self) -> dict[int, frozenset[int]]:
        """Return rule -> itself and all that refer to it, at any remove."""
        found: dict[int, set[int]] = {place: {place} for place in range(len(self.rules))}
        for place in reversed(range(len(self.rules))):
            for key in self.rules[place].references:
                found[self.place_of[key]] |= found[place]
        return {place: frozenset(held) for place, held in found.items()}

    def _untouched(self) -> Iterator[tuple[int, list[int]]]:
        nobody = Person(entries=[[]] * len(self.streams))
        for place, rule in enumerate(self.rules):
            alone = not rule.reads and not rule.references
            if alone and all(leaf.kind != "bucket" for leaf in leaves(rule.node)):
                truth, until = rule.decide(nobody, 0)
                if until >= NEVER:
                    yield place, [int(truth)]

    def _index(self, what: Callable[[Compiled], Iterable[Any]]) -> dict[Any, frozenset[int]]:
        found: dict[Any, frozenset[int]] = {}
        for place, rule in enumerate(self.rules):
            for one in what(rule):
                found[one] = found.get(one, _NONE) | self._dependents[place]
        return found


_NONE: frozenset[int] = frozenset()
_NOBODY: Mapping[str, Verdict] = {}
# Kinds that read streams, other rules, or what never changes.
_NO_FACTS = frozenset(
    {
        "count",
        "distinct_days",
        "aggregate",
        "first_time",
        "sequence",
        "then_not",
        "stopped",
        "regularly",
        "segment",
        "bucket",
    }
)
_MOST_NAMES = 2_000
_MOST_ASKED = 24


def _ordered(named: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the keys so that each comes after those that it names."""
    done: dict[str, None] = {}
    open_: list[str] = []

    def visit(key: str, path: tuple[str, ...]) -> None:
        if key in done:
            return
        if key in path:
            msg = f"segments name each other in a circle: {' -> '.join((*path, key))}"
            raise ValueError(msg)
        if key not in named:
            msg = f"there is no segment {key!r}, which {path[-1]!r} names"
            raise ValueError(msg)
        for other in sorted(named[key]):
            visit(other, (*path, key))
        done[key] = None

    for key in sorted(named):
        visit(key, tuple(open_))
    return list(done)
