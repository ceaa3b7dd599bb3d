"""Fitting in a process of its own: `python -m recommender.fitting FOLDER TASK...`.

See `ops.fitprocess` for why. Arrays and JSON in (`log_*.npy`, `log.json`), for each task arrays and
JSON out (`TASK/model_*.npy`, then the result). A task is a recipe, a blend, or a recipe to be grown
from an earlier model (`TASK/base_*.npy`). Models of all but the last days stay in `known/`, for the
blends of the run.
"""

import os
import resource
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from recommender.engine import growing, training
from recommender.engine.algorithms import RECIPES, Recipe
from recommender.engine.base import Algorithm, Arrays, Interactions, SideInfo, TooDearError
from recommender.engine.cases import FoldIn
from recommender.engine.training import BLENDS, Fitted, Limits, Log
from segments.learning import results

_COLUMNS = ("users", "items", "weights", "at_s")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one task: `fitted`, or why there is none.

    `refused`: not a fault; the data or the budget does not allow it. `seconds` and `peak_mb` of the
    process while it worked on it.
    """

    fitted: Fitted | None
    refused: str
    failed: str
    seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Task:
    """What all tasks of a run share.

    `changes`: by recipe name, settings that are not the recipe's own.
    """

    as_of_s: float
    limits: Limits
    sources: tuple[str, ...]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def recipe(self, name: str, log: Log) -> Recipe:
        """Return a recipe as this run fits it to its log."""
        return RECIPES[name].changed(self.changes.get(name, {})).parted(log.visit_gap_s)


def write_log(
    folder: Path,
    log: Log,
    *,
    task: Task,
    labels: tuple[list[str], list[tuple[int, ...]], NDArray[np.int32]] | None = None,
) -> None:
    """Lay out the log, once for all tasks of a run.

    `labels`: names of groups, the sets of them that occur, and the place of each user's set.
    """
    for name in _COLUMNS:
        np.save(folder / f"log_{name}.npy", getattr(log.data, name), allow_pickle=False)
    np.save(folder / "log_kinds.npy", log.kinds, allow_pickle=False)
    if log.met_in is not None:
        np.save(folder / "log_met_in.npy", log.met_in, allow_pickle=False)
    side = log.side
    if side.prices is not None:
        np.save(folder / "log_prices.npy", side.prices, allow_pickle=False)
    if labels is not None:
        np.save(folder / "log_places.npy", labels[2], allow_pickle=False)
    told = {
        "n_users": log.data.n_users,
        "n_items": log.data.n_items,
        "as_of_s": task.as_of_s,
        "limits": [task.limits.seconds, task.limits.bytes],
        "sources": task.sources,
        "changes": task.changes,
        "decay": log.fold.decay,
        "visit_gap_s": log.visit_gap_s,
        "attributes": side.attributes,
        "categories": side.categories,
        "texts": side.texts,
        "labels": labels[0] if labels else [],
        "combos": labels[1] if labels else [],
    }
    (folder / "log.json").write_bytes(orjson.dumps(told))


def write_base(folder: Path, arrays: Mapping[str, NDArray[Any]], until_s: float) -> None:
    """Lay out the model that a task grows, in a folder that this makes; the log came since."""
    folder.mkdir()
    _write(folder, "base", arrays)
    (folder / "base.json").write_bytes(orjson.dumps({"until_s": until_s}))


def read_result(folder: Path) -> Result:
    """Return what the process left of a task."""
    told = results.result(folder)
    fitted = None
    if "facts" in told:
        fitted = Fitted(_arrays(folder, "model"), told["facts"], told["metrics"])
    return Result(
        fitted, told.get("refused", ""), told.get("failed", ""), told["seconds"], told["peak_mb"]
    )


def run_all(folder: Path, names: list[str]) -> None:
    """Work on some tasks, one after the other; one that fails does not stop the others."""
    log, task = read_log(folder)
    for name in names:
        home = folder / name
        home.mkdir(exist_ok=True)
        started = time.perf_counter()
        told: dict[str, Any]
        try:
            fitted = _run(folder, name, log, task)
            _write(home, "model", fitted.arrays)
            told = {"facts": fitted.facts, "metrics": fitted.metrics}
        except (TooDearError, training.NothingToLearnError) as error:
            told = {"refused": str(error)}
        except Exception as error:  # noqa: BLE001 -- worker edge: other models must be trained
            traceback.print_exc()
            told = {"failed": f"{type(error).__name__}: {error}"}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        results.finish(
            home,
            told | {"seconds": round(time.perf_counter() - started, 3), "peak_mb": round(peak)},
        )


def _run(folder: Path, name: str, log: Log, task: Task) -> Fitted:
    if name in BLENDS:
        models = {source: _known(folder, source, log, task) for source in task.sources}
        return training.train_blend(name, log, {k: m for k, m in models.items() if m is not None})
    recipe = task.recipe(name, log)
    if (folder / name / "base.json").exists():
        base = orjson.loads((folder / name / "base.json").read_bytes())
        arrays = _arrays(folder / name, "base")
        return growing.grow(recipe, arrays, log, from_s=base["until_s"], as_of_s=task.as_of_s)
    training.check_cost(recipe, log.of(recipe), task.limits)
    fitted, known = training.train(recipe, log, as_of_s=task.as_of_s)
    if name in task.sources:
        _keep(folder, name, known)
    return fitted


def _known(folder: Path, name: str, log: Log, task: Task) -> Algorithm | None:
    """Return the source's model of all but the last days; fitted again after a kill."""
    home = folder / "known" / name
    recipe = task.recipe(name, log)
    if not home.exists():
        try:
            training.check_cost(recipe, log.of(recipe), task.limits)
            _keep(folder, name, training.known_model(recipe, log))
        except (TooDearError, training.NothingToLearnError):
            return None
    return recipe.algorithm.from_arrays(_arrays(home, "model"), recipe.config)


def _keep(folder: Path, name: str, model: Algorithm) -> None:
    home = folder / "known" / name
    made = home.with_suffix(".part")
    made.mkdir(parents=True)
    _write(made, "model", model.to_arrays())
    made.rename(home)


def read_log(folder: Path) -> tuple[Log, Task]:
    """Return what `write_log` laid out."""
    told = orjson.loads((folder / "log.json").read_bytes())
    columns = {name: _array(folder / f"log_{name}.npy") for name in _COLUMNS}
    data = Interactions(**columns, n_users=told["n_users"], n_items=told["n_items"])
    places = folder / "log_places.npy"
    groups: list[tuple[str, ...]] = []
    if places.exists():
        named = [tuple(told["labels"][code] for code in combo) for combo in told["combos"]]
        groups = [named[place] for place in _array(places).tolist()]
    prices = folder / "log_prices.npy"
    side = SideInfo(
        told["attributes"],
        told["categories"],
        told["texts"],
        _array(prices) if prices.exists() else None,
        groups,
    )
    limits = Limits(*told["limits"])
    task = Task(told["as_of_s"], limits, tuple(told["sources"]), told["changes"])
    kinds, met_in = _array(folder / "log_kinds.npy"), folder / "log_met_in.npy"
    situations = _array(met_in) if met_in.exists() else None
    return Log(data, kinds, side, FoldIn(told["decay"]), situations, told["visit_gap_s"]), task


def _write(folder: Path, prefix: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write what `_arrays` reads."""
    for name, array in arrays.items():
        np.save(folder / f"{prefix}_{name}.npy", array, allow_pickle=False)


def _arrays(folder: Path, prefix: str) -> Arrays:
    return {
        path.stem.removeprefix(f"{prefix}_"): _array(path)
        for path in sorted(folder.glob(f"{prefix}_*.npy"))
    }


def _array(path: Path) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, allow_pickle=False)
    return found


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2:])
