"""Settings tried in a process of its own: `python -m recommender.trying FOLDER MODEL...`.

Beside what `fitting` reads there is `search.json`. Each model gets a folder: `trials.jsonl` with a
line for each trial as soon as it is measured, then the result. A search that goes on after a kill
finds its trials in `search.json` and repeats none.
"""

import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from recommender import alarm, fitting
from recommender.engine import training, tuning
from recommender.engine.algorithms import RECIPES
from recommender.engine.training import Limits, Log
from recommender.engine.tuning import Budget, Trial, Verdict
from segments.learning import results

_TRIALS = "trials.jsonl"


def write(
    folder: Path,
    *,
    left_s: float,
    in_force: Mapping[str, Mapping[str, Any]],
    fixed: Mapping[str, Mapping[str, Any]],
    known: Mapping[str, Sequence[Mapping[str, Any]]],
) -> None:
    """Lay out a search: seconds for the models that are due, settings, trials of before a kill."""
    told = {"left_s": left_s, "in_force": in_force, "fixed": fixed, "known": known}
    (folder / "search.json").write_bytes(orjson.dumps(told))


def trials(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the trials of a model that the process has measured so far."""
    path = folder / name / _TRIALS
    if not path.exists():
        return []
    # what stands before the last end of a line is whole
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [orjson.loads(line) for line in whole.splitlines()]


def run_all(folder: Path, names: Sequence[str]) -> None:
    """Search for settings of some models, one after the other, each its share of what is left."""
    log, task = fitting.read_log(folder)
    told = orjson.loads((folder / "search.json").read_bytes())
    left_s = told["left_s"]
    for place, name in enumerate(names):
        home = folder / name
        home.mkdir(exist_ok=True)
        seconds = left_s / (len(names) - place)
        found: dict[str, Any]
        try:
            found = _search(home, name, log, told, seconds, task.limits)
        except training.NothingToLearnError as error:
            found = asdict(Verdict(None, f"not tried: {error}", {}, 0.0))
        except Exception as error:  # noqa: BLE001 -- worker edge: other models must be searched
            traceback.print_exc()
            found = asdict(Verdict(None, f"failed: {type(error).__name__}: {error}", {}, 0.0))
        left_s = max(left_s - found["seconds"], 0.0)
        results.finish(home, found)


def _search(
    home: Path, name: str, log: Log, told: Mapping[str, Any], seconds: float, limits: Limits
) -> dict[str, Any]:
    fixed = told["fixed"].get(name, {})
    budget = Budget(seconds, limits, time.perf_counter, alarm.stopping)
    with (home / _TRIALS).open("ab") as file:

        def note(trial: Trial) -> None:
            file.write(orjson.dumps(asdict(trial)) + b"\n")
            file.flush()

        found = tuning.tune(
            RECIPES[name].changed(fixed).parted(log.visit_gap_s),
            tuning.space_of(name, log.data.n_items, fixed),
            log,
            in_force={
                key: value
                for key, value in told["in_force"].get(name, {}).items()
                if key not in fixed
            },
            known=[Trial(**one) for one in told["known"].get(name, ())],
            budget=budget,
            note=note,
        )
    return asdict(found)


if __name__ == "__main__":
    run_all(Path(sys.argv[1]), sys.argv[2:])
