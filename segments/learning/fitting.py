"""Fitting in a process of its own: `python -m segments.learning.fitting FOLDER TASK...`.

See `ops.fitprocess` for why. Arrays and JSON in (`event_*.npy`, `TASK/task.json`), arrays and JSON
out (`TASK/model_*.npy`, then the result), one task after the other.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from segments.learning import results
from segments.learning.engine.features import Events, Ints
from segments.learning.engine.learned import learn
from segments.learning.engine.recipes import Before, CannotLearn, Fit, Recipe


def write_events(folder: Path, events: Events) -> None:
    """Lay out the log, once for all models of a run."""
    for one in fields(events):
        np.save(folder / f"event_{one.name}.npy", getattr(events, one.name), allow_pickle=False)


def write_task(
    folder: Path,
    recipe: Recipe,
    *,
    as_of_us: int,
    seed: int,
    before: Before | None = None,
    members: Ints | None = None,
) -> None:
    """Lay out what one task needs besides the log, in a folder that this makes."""
    folder.mkdir()
    if before is not None:
        np.save(folder / "extra_customers.npy", before.customers, allow_pickle=False)
        np.save(folder / "extra_labels.npy", before.labels, allow_pickle=False)
        for name, array in (before.arrays or {}).items():
            np.save(folder / f"before_{name}.npy", array, allow_pickle=False)
    if members is not None:
        np.save(folder / "extra_members.npy", members, allow_pickle=False)
    task = {
        "recipe": asdict(recipe),
        "as_of_us": as_of_us,
        "seed": seed,
        "least_id": before.least_id if before is not None else None,
        "version": before.version if before is not None else None,
    }
    (folder / "task.json").write_bytes(orjson.dumps(task))


def read_result(folder: Path) -> Fit:
    """Return the fit that `run` left in a task's folder.

    Raises
    ------
    CannotLearn
        The log holds too little.
    """
    found = results.result(folder)
    if "cannot" in found:
        raise CannotLearn(found["cannot"])
    arrays = _arrays(folder, "model_")
    return Fit(found["algorithm"], arrays, found["facts"], found["metrics"], found["objection"])


def run_all(folder: Path, names: Sequence[str]) -> None:
    """Learn the models of some tasks, one after the other, from the log in the folder."""
    events = Events(*(_array(folder, f"event_{one.name}") for one in fields(Events)))
    for name in names:
        run(folder / name, events)


def run(folder: Path, events: Events) -> None:
    """Learn one task's model and leave it in its folder."""
    task = orjson.loads((folder / "task.json").read_bytes())
    before = None
    if task["least_id"] is not None:
        customers, labels = (_array(folder, f"extra_{name}") for name in ("customers", "labels"))
        held = _arrays(folder, "before_") or None
        before = Before(customers, labels, task["least_id"], held, task["version"])
    members = None
    if (folder / "extra_members.npy").exists():
        members = _array(folder, "extra_members")
    try:
        fit = learn(
            Recipe(**task["recipe"]),
            events,
            as_of_us=task["as_of_us"],
            rng=np.random.default_rng(task["seed"]),
            before=before,
            members=members,
        )
    except CannotLearn as error:
        results.finish(folder, {"cannot": str(error)})
        return
    for name, array in fit.arrays.items():
        np.save(folder / f"model_{name}.npy", array, allow_pickle=False)
    result = {
        "algorithm": fit.algorithm,
        "facts": fit.facts,
        "metrics": fit.metrics,
        "objection": fit.objection,
    }
    results.finish(folder, result)


def _arrays(folder: Path, prefix: str) -> dict[str, NDArray[Any]]:
    """Return what lies in a folder under names that begin so."""
    return {
        path.stem.removeprefix(prefix): np.load(path, allow_pickle=False)
        for path in sorted(folder.glob(f"{prefix}*.npy"))
    }


def _array(folder: Path, name: str) -> NDArray[Any]:
    found: NDArray[Any] = np.load(folder / f"{name}.npy", allow_pickle=False)
    return found


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2:])
