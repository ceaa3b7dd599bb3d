"""Names of rows (items, groups) as two arrays, stored beside the others without pickle."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Arrays


def pack(keys: Sequence[str], of: str = "key") -> Arrays:
    """Return `key_bytes` (all keys in UTF-8, joined) and `key_ends` (n,) int64 offsets.

    `of`: what they are names of, where it is not the items of a model.
    """
    encoded = [key.encode() for key in keys]
    return {
        f"{of}_bytes": np.frombuffer(b"".join(encoded), np.uint8),
        f"{of}_ends": np.cumsum([len(key) for key in encoded], dtype=np.int64),
    }


def unpack(arrays: Mapping[str, NDArray[Any]], of: str = "key") -> list[str]:
    """Return the keys that `pack` packed.

    Raises
    ------
    ValueError
        The two arrays do not fit together.
    """
    body, ends = arrays[f"{of}_bytes"].tobytes(), arrays[f"{of}_ends"].tolist()
    if (ends[-1] if ends else 0) != len(body):
        msg = f"the bytes and ends of {of}s do not fit together"
        raise ValueError(msg)
    starts = [0, *ends[:-1]]
    return [body[start:end].decode() for start, end in zip(starts, ends, strict=True)]
