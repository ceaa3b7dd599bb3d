"""What a fitting process leaves of a task, written by the process and read by who waits for it.

Apart from `ops.fitprocess`: the process does without the project's package, which loads Celery.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

# What `ops.fitprocess` waits for.
_RESULT = "result.json"


def finish(folder: Path, told: Mapping[str, Any]) -> None:
    """Leave a task's result, whole or not at all; nan becomes null, it is no number in JSON."""
    part = folder / "result.part"
    part.write_bytes(orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY))
    part.rename(folder / _RESULT)


def result(folder: Path) -> dict[str, Any]:
    """Return what the process left as a task's result."""
    found: dict[str, Any] = orjson.loads((folder / _RESULT).read_bytes())
    return found
