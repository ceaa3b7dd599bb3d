"""A rule that is decided while a shopper waits: of what a decision holds in memory, no query.

What may stand in it is what a profile document and a request know exactly: `AUDIENCE_KINDS`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Self

from personalization.lib.errors import Problem
from segments.engine.catalogue import Catalogue
from segments.engine.explaining import parts_of
from segments.engine.language import Rule, leaves, parse, references
from segments.engine.program import NO_MEMBERS, Program, Setting, Source
from segments.engine.validation import AUDIENCE_KINDS, faults
from segments.engine.verdicts import Evaluate

# No segment has it: keys are not empty.
_OWN = ""


@dataclass(frozen=True, slots=True)
class Audience:
    """A rule ready to be asked. `names`: the segments whose members it asks for."""

    rule: Rule
    names: frozenset[str]
    _decide: Evaluate

    @classmethod
    def of(cls, rule: Rule, setting: Setting) -> Self:
        """Return a rule that `audience_faults` has passed, compiled by the engine's own program.

        Raises
        ------
        KeyError, TypeError, ValueError
            No rule, or one that reads what a decision does not know.
        """
        tree = parse(rule)
        other = {leaf.kind for leaf in leaves(tree)} - set(AUDIENCE_KINDS)
        if other:
            msg = f"no decision knows what {min(other)!r} reads"
            raise ValueError(msg)
        # the members of what it names come with the visitor
        named = [Source(key, NO_MEMBERS) for key in sorted(references(tree))]
        program = Program([*named, Source(_OWN, rule)], setting)
        compiled = program.rules[program.place_of[_OWN]]
        return cls(rule, compiled.references, compiled.decide)

    def holds(self, view: Any, now_us: int) -> bool:
        """Whether it takes in somebody at a moment.

        `view` is a `verdicts.View` whose `members` tells of the segments in `names`.
        """
        truth, _until = self._decide(view, now_us)
        return truth


@dataclass(frozen=True, slots=True)
class Readable:
    """What audiences may name at present.

    `personal`: declared traits that documents leave out; `in_force`: segments that are decided.
    """

    catalogue: Catalogue
    personal: Collection[str] = frozenset()
    in_force: Collection[str] = frozenset()


def audience_faults(rule: object, known: Readable) -> list[Problem]:
    """Return every fault of an audience, each with its path and what to do about it."""
    found = faults(rule, known.catalogue, kinds=AUDIENCE_KINDS)
    return found or list(_unread(rule, known))  # type: ignore[arg-type]  # without a fault it is a rule


def _unread(rule: Rule, known: Readable) -> Iterator[Problem]:
    for path, part in parts_of(rule):
        at, kind, key = f"{path}.key".lstrip("."), part.get("kind"), part.get("key")
        if kind == "segment" and key not in known.in_force:
            yield Problem(at, f"segment {key!r} has no version in force; publish it first")
        elif kind == "profile" and key in known.personal:
            yield Problem(
                at,
                f"{key!r} is personal, and no part of what decisions read; make a segment of this"
                " condition and name it here",
            )
