"""Where the cases lie, and how one is written: a clock, what is delivered, who is in."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "cases"
# Handed out beside the project; a clone on its own does not have it.
GIVEN = Path(__file__).resolve().parents[3] / "shared" / "cases" / "segments.json"

Case = dict[str, Any]


def read(path: Path) -> list[Case]:
    cases: list[Case] = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return cases


@cache
def corpus() -> dict[str, list[Case]]:
    """Return the cases of each family."""
    return {path.stem: read(path) for path in sorted(HERE.glob("*.json"))}


def write(family: str, cases: Iterable[Case]) -> None:
    """Write a family, one case a line, so that a change shows as that case's."""
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path = HERE / f"{family}.json"
    path.write_text(f'{{"cases": [\n{lines}\n]}}\n', encoding="utf-8")


def expected(case: Mapping[str, Any]) -> list[list[str]]:
    return [step["expect"] for step in case["steps"]]


def leaves(rule: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for group in ("and", "or"):
        for part in rule.get(group, ()):
            yield from leaves(part)
    if "not" in rule:
        yield from leaves(rule["not"])
    if "kind" in rule:
        yield rule


def wheres(leaf: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every condition on the properties of an event."""
    for part in (leaf, leaf.get("a", {}), leaf.get("b", {}), *leaf.get("steps", ())):
        yield from part.get("where") or ()
