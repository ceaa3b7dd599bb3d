"""Fitting in a process of its own: `python -m recommender.fitting FOLDER`.

implicit's threads hang in a forked child, and a Celery worker forks; here nothing was forked,
Django is not loaded, memory is given back at the end, and a run is cancelled by ending the process.
Arrays and JSON in (`data_*.npy`, `task.json`), arrays and JSON out (`model_*.npy`, `result.json`).
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from typing import Any

import numpy as np
import orjson

from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Algorithm, Interactions
from recommender.engine.evaluation import Case, evaluate
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.splits import basket_cases, cut_s, next_cases, visit_cases

_ARRAYS = ("users", "items", "weights", "at_s")
COUNT = 20
# Fewer customers than these who came back say little (standard error of a recall near .07):
# visitors of one visit are asked instead where there are more of them.
FEW_CASES = 50
_BASKETS = "baskets of the last days: the last item asked of the others"
_RETURNING = "customers seen before and in the last days: latest items asked for all that came"
_VISITS = "visitors first seen in the last days: the last item asked of the steps before it"


def write_task(folder: Path, name: str, data: Interactions, *, as_of_s: float) -> None:
    """Lay out what `run` needs in an empty folder."""
    for array in _ARRAYS:
        np.save(folder / f"data_{array}.npy", getattr(data, array), allow_pickle=False)
    task = {"name": name, "n_users": data.n_users, "n_items": data.n_items, "as_of_s": as_of_s}
    (folder / "task.json").write_bytes(orjson.dumps(task))


def read_result(folder: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    """Return (model arrays, metrics) that `run` left."""
    arrays = {
        path.stem.removeprefix("model_"): np.load(path, allow_pickle=False)
        for path in sorted(folder.glob("model_*.npy"))
    }
    return arrays, orjson.loads((folder / "result.json").read_bytes())


def run(folder: Path) -> None:
    """Measure on the last days, fit on everything, leave the result in the folder."""
    task = orjson.loads((folder / "task.json").read_bytes())
    arrays = {n: np.load(folder / f"data_{n}.npy", allow_pickle=False) for n in _ARRAYS}
    data = Interactions(**arrays, n_users=task["n_users"], n_items=task["n_items"])
    metrics = measure(task["name"], data)
    recipe = RECIPES[task["name"]]
    shaped = recipe.shape(data)
    model = recipe.algorithm.fit(shaped, recipe.config, as_of_s=task["as_of_s"])
    for name, array in model.to_arrays().items():
        np.save(folder / f"model_{name}.npy", array, allow_pickle=False)
    (folder / "result.json").write_bytes(orjson.dumps(metrics))


def measure(name: str, data: Interactions) -> dict[str, Any]:
    """Return metrics of the recipe on the last days of `data`, popularity's beside them."""
    recipe = RECIPES[name]
    shaped = recipe.shape(data)
    cut = cut_s(shaped.at_s)
    cases, protocol = _cases(shaped, cut, baskets=recipe.baskets)
    known = shaped.where(shaped.at_s <= cut)
    floor: Algorithm = Popularity.fit(known, PopularityConfig(), as_of_s=cut if cases else 0.0)
    model = recipe.algorithm.fit(known, recipe.config, as_of_s=cut if cases else 0.0)
    repeats = not recipe.baskets
    found: dict[str, Any] = evaluate(model, cases, count=COUNT, own=repeats).to_json(COUNT)
    found["popularity"] = evaluate(floor, cases, count=COUNT, own=repeats).to_json(COUNT)
    if repeats:
        found["discovery"] = evaluate(model, cases, count=COUNT, own=False).to_json(COUNT)
    return found | {"protocol": protocol, "cut_s": cut if cases else None}


def _cases(data: Interactions, cut: float, *, baskets: bool) -> tuple[list[Case], str]:
    """Return the test cases after `cut`, and in words what they ask."""
    if baskets:
        return basket_cases(data, cut), _BASKETS
    cases = next_cases(data, cut)
    if len(cases) < FEW_CASES:
        visits = visit_cases(data, cut)
        if len(visits) > len(cases):
            return visits, _VISITS
    return cases, _RETURNING


if __name__ == "__main__":
    run(Path(sys.argv[1]))
