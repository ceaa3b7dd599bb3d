"""What binary COPY sends, as arrays: rows of fixed width become blocks, not Python objects."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from django.db import connection
from numpy.typing import NDArray

Block = TypeVar("Block")
# Signature, flags and the length of an empty extension (PostgreSQL manual, COPY, binary format).
_HEADER_BYTES = 19
_BLOCK_ROWS = 50_000


def row_of(**kinds: str) -> np.dtype[Any]:
    """Return the type of a row of these fields: their count, then length and value of each.

    `kinds`: field -> NumPy's name of its type, big-endian.
    """
    pairs = [pair for n, kind in kinds.items() for pair in ((f"{n}_length", ">i4"), (n, kind))]
    return np.dtype([("fields", ">i2"), *pairs])


def blocks(
    statement: str,
    params: Mapping[str, Any],
    row: np.dtype[Any],
    convert: Callable[[NDArray[np.void]], Block],
    *,
    progress: Callable[[int], None] = lambda _rows: None,
) -> list[Block]:
    """Return what a binary COPY TO STDOUT sends, in blocks, each by `convert` from rows of `row`.

    Parameters
    ----------
    progress
        Called with the rows read so far, while the connection is busy: it may not query. What it
        raises ends the reading.
    """
    sink = _Sink(row, convert, progress)
    with connection.cursor() as cursor:
        filled = cursor.cursor.mogrify(statement, params).decode()
        cursor.copy_expert(filled, sink, size=1 << 20)
    sink.close()
    return sink.blocks


class _Sink(Generic[Block]):
    """The file that COPY writes to."""

    def __init__(
        self,
        row: np.dtype[Any],
        convert: Callable[[NDArray[np.void]], Block],
        progress: Callable[[int], None],
    ) -> None:
        self._row, self._turn, self._progress = row, convert, progress
        self._rest = bytearray()
        self._header = _HEADER_BYTES
        self._rows = 0
        self.blocks: list[Block] = []

    def write(self, data: bytes) -> int:
        """Take some bytes of the stream; rows end anywhere in them."""
        self._rest += data
        if len(self._rest) >= _BLOCK_ROWS * self._row.itemsize:
            self._convert()
        return len(data)

    def close(self) -> None:
        """Convert what is left; the trailer (a field count of -1) is shorter than a row."""
        self._convert()

    def _convert(self) -> None:
        body = bytes(self._rest[self._header :])
        whole = len(body) // self._row.itemsize
        self.blocks.append(self._turn(np.frombuffer(body, self._row, count=whole)))
        self._rest = bytearray(body[whole * self._row.itemsize :])
        self._header = 0
        self._rows += whole
        self._progress(self._rows)
