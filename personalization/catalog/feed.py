"""Reading a product feed from a file, in chunks, with each fault's line. Part of the services."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import orjson

from personalization.catalog.engine.feeds import item_of
from personalization.catalog.services import upsert_products
from personalization.lib.errors import Problem, Unprocessable

FORMATS = ("csv", "jsonl")
_CHUNK = 2000
# A line longer than this is no product; reading on would take the file into memory.
_MAX_LINE = 64 * 1024
# More faults than this are one fault of the whole feed.
MAX_FAULTS = 1000


@dataclass(slots=True)
class Imported:
    """What became of a feed. `faults` holds the first 1,000 as (line number, problem)."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    faults: list[tuple[int, Problem]] = field(default_factory=list)


def import_feed(
    path: Path,
    *,
    format: str,  # noqa: A002 -- the word that the command and the docs use
    actor: str,
    now: datetime,
    progress: Callable[[int], None] = lambda _bytes: None,
) -> Imported:
    """Upsert every line of the file; return counts and faults. Running it again changes nothing.

    Parameters
    ----------
    progress
        Called with the bytes read so far.

    Raises
    ------
    Unprocessable
        Not such a file: no such format, no readable text, a CSV without a key column.
    """
    if format not in FORMATS:
        msg = f"there is no feed format {format!r}; there are {', '.join(FORMATS)}"
        raise Unprocessable(msg)
    outcome = Imported()
    # replaced bytes show up as U+FFFD in one title; they do not end a feed of a million lines
    with (
        path.open("rb") as raw,
        TextIOWrapper(raw, encoding="utf-8-sig", errors="replace", newline="") as file,
    ):
        lines = _csv(file) if format == "csv" else _jsonl(file)
        chunk: list[tuple[int, object]] = []
        for line in lines:
            chunk.append(line)
            if len(chunk) == _CHUNK:
                _write(chunk, outcome, actor=actor, now=now)
                progress(raw.tell())
                chunk = []
        _write(chunk, outcome, actor=actor, now=now)
        progress(raw.tell())
    return outcome


def _write(
    chunk: list[tuple[int, object]], outcome: Imported, *, actor: str, now: datetime
) -> None:
    done = upsert_products([item for _, item in chunk], actor=actor, now=now)
    outcome.created += done["created"]
    outcome.updated += done["updated"]
    outcome.unchanged += done["unchanged"]
    outcome.rejected += len(done["rejected"])
    room = MAX_FAULTS - len(outcome.faults)
    found = [
        (chunk[one["index"]][0], fault) for one in done["rejected"] for fault in one["problems"]
    ]
    outcome.faults += found[:room]


def _csv(file: TextIO) -> Iterator[tuple[int, object]]:
    reader = csv.DictReader(file)
    try:
        columns = {name.strip().lower() for name in reader.fieldnames or () if name}
        if not columns & {"key", "id", "sku", "product_id"}:
            msg = "the first line must name the columns, one of them key, id, sku or product_id"
            raise Unprocessable(msg)
        for row in reader:
            yield reader.line_num, item_of(row)
    except csv.Error as error:
        msg = f"line {reader.line_num}: {error}"
        raise Unprocessable(msg) from error


def _jsonl(file: TextIO) -> Iterator[tuple[int, object]]:
    number = 0
    while line := file.readline(_MAX_LINE):
        number += 1
        if len(line) == _MAX_LINE and not line.endswith("\n"):
            while (rest := file.readline(_MAX_LINE)) and not rest.endswith("\n"):
                pass
        if line.strip():
            yield number, _parsed(line)


def _parsed(line: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        # not an object either: the upsert says so for this line
        return line
