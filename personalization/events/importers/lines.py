"""Lines of a text file, plain or gzipped, with their numbers: what every parser starts from."""

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from personalization.lib.errors import Unprocessable

_GZIP = b"\x1f\x8b"
_NOT_TEXT = "is not {}; name the file's encoding, for example --encoding latin-1"


class Line(NamedTuple):
    """One record: its number in the file, its text, its cells by column (none in plain lines)."""

    number: int
    text: str
    cells: Mapping[str, str]


class Fault(NamedTuple):
    """One record that could not be used; `problem` fits all of its kind, to be counted."""

    line: int
    problem: str


class Opened(NamedTuple):
    """A file being read, and where the reader stands in it, for progress bars."""

    text: TextIO
    raw: io.BufferedReader

    def bytes_read(self) -> int:
        """How many bytes of the file (packed, where it is) have been consumed."""
        return self.raw.tell()


@contextmanager
def opened(path: Path, encoding: str) -> Iterator[Opened]:
    """Open a file for reading; bytes that are not `encoding` come as lone surrogates."""
    with path.open("rb") as raw:
        packed = raw.peek(2)[:2] == _GZIP
        data = gzip.GzipFile(fileobj=raw) if packed else raw
        codec = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
        with io.TextIOWrapper(data, encoding=codec, errors="surrogateescape", newline="") as text:
            yield Opened(text, raw)


def plain_lines(text: TextIO, encoding: str) -> Iterator[Line | Fault]:
    """Yield the lines that are not blank, without their ends."""
    for number, line in enumerate(text, start=1):
        stripped = line.strip()
        if not stripped:
            continue
        if not is_text(stripped):
            yield Fault(number, _NOT_TEXT.format(encoding))
            continue
        yield Line(number, stripped, {})


def table_lines(
    text: TextIO, encoding: str, *, delimiter: str = ",", columns: Sequence[str] = ()
) -> Iterator[Line | Fault]:
    """Yield the records of a delimited file; its first one names the columns, or `columns` does.

    A name is cut at a colon: typed headers (`user_id:token`) carry the type there.
    """
    reader = csv.reader(text, delimiter=delimiter)
    names = list(columns) or [name.split(":")[0].strip() for name in next(reader, [])]
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Fault(number, f"is not a record of this file: {error}")
            continue
        if not row:
            continue
        joined = delimiter.join(row)
        if len(row) != len(names):
            yield Fault(number, "has another number of cells than the header")
        elif not is_text(joined):
            yield Fault(number, _NOT_TEXT.format(encoding))
        else:
            yield Line(number, joined, dict(zip(names, row, strict=True)))


def is_text(value: str) -> bool:
    """Whether a text holds no lone surrogate: neither JSON nor PostgreSQL can keep one."""
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def require(line: Line, columns: Sequence[str]) -> None:
    """Stop the import when the file lacks columns that its format has.

    Raises
    ------
    Unprocessable
        Names the missing columns and those that are there.
    """
    missing = [column for column in columns if column not in line.cells]
    if missing:
        there = ", ".join(line.cells) or "none"
        msg = f"the file has no column {', '.join(missing)}, but {there}; is the format right?"
        raise Unprocessable(msg)
