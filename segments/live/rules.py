"""The live rules as published: compiled once a configuration, shared by processor and serving."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from personalization.ops import serve as config
from segments.engine.held import Held
from segments.engine.program import DAY_US, Program, Setting, Source

PART = "segments"


@dataclass(frozen=True, slots=True)
class Version:
    """One live version: `in_force` decides, others are decided beside it."""

    id: int
    segment_id: int
    key: str
    title: str
    number: int
    in_force: bool


@dataclass(frozen=True, slots=True)
class Live:
    """All live versions and their program; a rule of the program and a version share a place.

    States of an older `generation` have something to take in.
    """

    program: Program
    versions: tuple[Version, ...]
    # by version id, as text: that is what stored verdicts name
    place_of: Mapping[str, int]
    in_force: Mapping[str, Version]

    generation: int


def setting() -> Setting:
    """Return what rules are read by in this shop."""
    return Setting(ZoneInfo(settings.SHOP_TIME_ZONE), round(settings.EVENT_RETENTION_DAYS * DAY_US))


def live() -> Live:
    """Return the live rules as last published."""
    part: Live = config.part(PART)
    return part


def rules_for(states: Iterable[Held]) -> Live:
    """Return the live rules, at least as new as any of the states.

    A state that another process wrote by rules that this one has not seen yet would lose them.
    """
    rules = live()
    if any(state.generation > rules.generation for state in states):
        config.reload()
        rules = live()
    return rules


def compiled(rows: list[Mapping[str, Any]], generation: int) -> Live:
    """Compile published versions.

    Raises
    ------
    ValueError
        Rules that name each other in a circle, or what is not there.
    """
    named = {_name(row): row for row in rows}
    sources = [Source(name, row["rule"], row["generation"]) for name, row in named.items()]
    program = Program(sources, setting())
    versions = tuple(_version(named[rule.key]) for rule in program.rules)
    return Live(
        program,
        versions,
        MappingProxyType({str(version.id): place for place, version in enumerate(versions)}),
        MappingProxyType({one.key: one for one in versions if one.in_force}),
        generation,
    )


def _name(row: Mapping[str, Any]) -> str:
    """Return a version's name in the program: other rules name the one in force by its key."""
    return str(row["key"]) if row["in_force"] else f"{row['key']}@{row['number']}"


def _version(row: Mapping[str, Any]) -> Version:
    return Version(
        id=row["id"],
        segment_id=row["segment_id"],
        key=row["key"],
        title=row["title"],
        number=row["number"],
        in_force=row["in_force"],
    )
