"""What binary COPY sends, as arrays: rows of fixed width become blocks, not Python objects."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Block = TypeVar("Block")
# Signature, flags and the length of an empty extension (PostgreSQL manual, COPY, binary format).
_HEADER_BYTES = 19
_BLOCK_ROWS = 50_000


class Sink(Generic[Block]):
    """The file that COPY writes to: turns bytes into blocks, each by `convert` from rows of `row`.

    `progress` hears of the rows so far; what it raises ends the reading.
    """

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
