"""Why a rule says what it says of one customer: each node's verdict, and what decided each leaf.

Every node of a rule becomes a rule of one program, so verdicts and their turning are the engine's
own. Only the figures that are shown beside them (`figures`) are read here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from segments.engine.events import Event
from segments.engine.figures import Figure, History, Reading, figure
from segments.engine.language import GROUPS, Leaf, Node, Rule, leaves, parse, references
from segments.engine.program import NO_MEMBERS, Person, Program, Schedule, Setting, Source

Tell = Callable[[Node], str]
# Of a fact beside events, (kind, key): when it became what it is, in microseconds.
Since = Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Explained:
    """One node of a rule as it stands for one customer.

    `path` is that of the rule's JSON, `op` the group or the kind of leaf. `turns_at` (microseconds)
    is when the verdict changes if no event comes; None: by the clock alone never, or not within
    what is looked ahead.
    """

    path: str
    op: str
    sentence: str
    holds: bool
    turns_at: int | None
    figure: Figure | None
    parts: tuple["Explained", ...] = ()

    def walk(self, depth: int = 0) -> Iterator[tuple[int, "Explained"]]:
        """Yield (depth, node) in reading order, a group before its parts."""
        yield depth, self
        for part in self.parts:
            yield from part.walk(depth + 1)


class Explanation:
    """Rules by name, ready to be explained for any customer.

    Parameters
    ----------
    named
        The rules in force, by key of their segment: what `segment` leaves refer to.
    """

    def __init__(
        self, rules: Mapping[str, Rule], named: Mapping[str, Rule], setting: Setting
    ) -> None:
        self._rules = {name: (rule, parse(rule)) for name, rule in rules.items()}
        wanted = _reached([node for _, node in self._rules.values()], named)
        sources = [Source(key, rule) for key, rule in wanted.items()]
        for name, (rule, _) in self._rules.items():
            sources += [Source(_key(name, path), part) for path, part in parts_of(rule)]
            sources += _prefixes(name, rule)
        self.program = Program(sources, setting)

    @property
    def reads(self) -> frozenset[tuple[str, str]]:
        """Return (kind, key) of the facts beside events that leaves read."""
        rules = self.program.rules
        named = {(leaf.kind, leaf.key) for rule in rules for leaf in leaves(rule.node)}
        return frozenset((kind, key) for kind, key in named if key)

    def explained(
        self, person: Person, events: Sequence[Event], now: int, tell: Tell, since: Since
    ) -> dict[str, Explained]:
        """Return each rule's tree at a moment.

        `events` is the whole history of the customer, in order; `tell` puts a node into words.
        """
        program = self.program
        history = History(events)
        person.entries = [
            stream.gathered(history.of(stream.need.matcher), now) for stream in program.streams
        ]
        places = range(len(program.rules))
        said = {
            program.rules[place].key: schedule
            for place, schedule in program.schedules(person, now, places).items()
        }
        person.members = {key: (one.truth, 0) for key, one in said.items()}
        reading = Reading(program, person, history, now, since)
        return {
            name: _Tree(name, said, tell, reading).node(rule, node, "")
            for name, (rule, node) in self._rules.items()
        }


class _Tree:
    """One rule being told."""

    def __init__(
        self, name: str, said: Mapping[str, Schedule], tell: Tell, reading: Reading
    ) -> None:
        self._name = name
        self._said = said
        self._tell = tell
        self._reading = reading

    def node(self, rule: Rule, node: Node, path: str) -> Explained:
        """Return a node with all below it."""
        schedule = self._said[_key(self._name, path)]
        leaf = node if isinstance(node, Leaf) else None
        return Explained(
            path=path,
            op=leaf.kind if leaf else next(iter(rule)),
            sentence=self._tell(node),
            holds=schedule.truth,
            turns_at=_first_turn(schedule),
            figure=None if leaf is None else figure(leaf, self._reading, self._reached(path, leaf)),
            parts=tuple(self.node(part, parse(part), at) for at, part in _children(rule, path)),
        )

    def _reached(self, path: str, leaf: Leaf) -> int:
        """Return how many steps of a sequence happened, each of which needs the one before."""
        if leaf.kind != "sequence":
            return 0
        steps = len(leaf.matchers)
        keys = [_key(self._name, path, step) for step in range(1, steps)]
        keys.append(_key(self._name, path))
        return sum(1 for key in keys if self._said[key].truth)


def parts_of(rule: Rule, path: str = "") -> Iterator[tuple[str, Rule]]:
    """Yield (path, rule) of a rule and of everything in it."""
    yield path, rule
    for at, part in _children(rule, path):
        yield from parts_of(part, at)


def _children(rule: Rule, path: str) -> Iterator[tuple[str, Rule]]:
    before = f"{path}." if path else ""
    for op in GROUPS:
        for place, part in enumerate(rule.get(op, ())):
            yield f"{before}{op}[{place}]", part
    if "not" in rule:
        yield f"{before}not", rule["not"]


def _prefixes(name: str, rule: Rule) -> Iterator[Source]:
    """Yield the beginnings of every sequence, so that the engine says how far it came."""
    for path, part in parts_of(rule):
        if part.get("kind") == "sequence":
            for step in range(1, len(part["steps"])):
                begun = {**part, "steps": part["steps"][:step]}
                yield Source(_key(name, path, step), begun)


def _key(name: str, path: str, step: int = 0) -> str:
    """Return the name of a node in the program; no key of a segment has these signs."""
    return f"{name} {path} {step}" if step else f"{name} {path}"


def _reached(nodes: Sequence[Node], named: Mapping[str, Rule]) -> dict[str, Rule]:
    """Return the rules that the nodes name, at any remove."""
    found: dict[str, Rule] = {}
    todo = sorted({key for node in nodes for key in references(node)})
    while todo:
        key = todo.pop()
        if key not in found:
            found[key] = named.get(key, NO_MEMBERS)
            todo += references(parse(found[key]))
    return found


def _first_turn(schedule: Schedule) -> int | None:
    """Return when a verdict turns; a moment given twice says only that somebody must look then."""
    flips = schedule.flips
    if not flips or (len(flips) > 1 and flips[0] == flips[1]):
        return None
    return flips[0]
