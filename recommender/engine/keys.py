"""The item table of a model as two arrays, stored beside the others without pickle."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.base import Arrays


def pack(keys: Sequence[str]) -> Arrays:
    """Return `key_bytes` (all keys in UTF-8, joined) and `key_ends` (n_items,) int64 offsets."""
    encoded = [key.encode() for key in keys]
    return {
        "key_bytes": np.frombuffer(b"".join(encoded), np.uint8),
        "key_ends": np.cumsum([len(key) for key in encoded], dtype=np.int64),
    }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the keys that `pack` packed.

    Raises
    ------
    ValueError
        The two arrays do not fit together.
    """
    body, ends = arrays["key_bytes"].tobytes(), arrays["key_ends"].tolist()
    if (ends[-1] if ends else 0) != len(body):
        msg = "item keys do not fit together"
        raise ValueError(msg)
    starts = [0, *ends[:-1]]
    return [body[start:end].decode() for start, end in zip(starts, ends, strict=True)]
