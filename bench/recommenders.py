"""Every public data set through `manage.py evaluate` with default settings, beside published rows.

`python -m bench recommenders`, data in ../shared/data or BENCH_DATA; what is missing is skipped and
named. Writes bench/results/recommenders.json and prints the tables of docs/benchmarks.md.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.harness import RESULTS, ROOT, Figure, write

DATA = Path(os.environ.get("BENCH_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True, slots=True)
class Goal:
    """What a figure of the chosen model must reach; `of` a reference's same figure, if named."""

    figure: str
    least: float
    part: str = "metrics"
    of: str = ""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One run. `published`: rows (name, figures, source) in the order of `columns`.

    A source says [V] where the number was read there, [R] where it is quoted from memory.
    """

    title: str
    arguments: tuple[str, ...]
    columns: tuple[str, ...]
    goals: tuple[Goal, ...]
    published: tuple[tuple[str, tuple[str, ...], str], ...] = ()


_COTREC = "COTREC, CIKM 2021 [R]"
_BARS = "BARS leaderboard, gowalla_m1 [V]"
_S3 = "S3-Rec, CIKM 2020, full ranking [V]"
SETS: dict[str, DataSet] = {
    "retailrocket": DataSet(
        "RetailRocket sessions (next click, repeats count)",
        (
            "--format=sessions",
            "--train=retailrocket_sessions/train.txt",
            "--test=retailrocket_sessions/test.txt",
        ),
        ("HR@20", "MRR@20"),
        (
            Goal("HR@20", 0.57),
            Goal("MRR@20", 0.28),
            Goal("HR@20", 0.35, part="discovery"),
        ),
        (
            ("COTREC", (".5617", ".2997"), _COTREC),
            ("DHCN", (".5366", ".2730"), _COTREC),
            ("SR-GNN", (".5032", ".2657"), _COTREC),
            ("GRU4Rec", (".4401", ".2367"), _COTREC),
        ),
    ),
    "gowalla": DataSet(
        "Gowalla (LightGCN split)",
        ("--format=lightgcn", "--train=gowalla/train.txt", "--test=gowalla/test.txt"),
        ("Recall@20", "NDCG@20"),
        (Goal("Recall@20", 0.180), Goal("NDCG@20", 0.147)),
        (
            ("SimpleX", (".1872", ".1557"), _BARS),
            ("UltraGCN", (".1862", ".1580"), _BARS),
            ("GF-CF", (".1849", ".1518"), _BARS),
            ("LightGCN", (".1820", ".1547"), _BARS),
            ("EASE", (".1765", ".1467"), _BARS),
            ("MF-BPR", (".1627", ".1378"), _BARS),
        ),
    ),
    "beauty": DataSet(
        "Amazon Beauty (leave one out)",
        ("--format=leave-one-out", "--train=amazon_beauty/Beauty.txt"),
        ("HR@10", "NDCG@10"),
        (Goal("HR@10", 0.090), Goal("NDCG@10", 0.057)),
        (
            ("S3-Rec", (".0647", ".0327"), _S3),
            ("SASRec", (".0605", ".0318"), _S3),
            ("BERT4Rec", (".0347", ".0170"), _S3),
            ("GRU4Rec", (".0283", ".0137"), _S3),
            ("PopRec", (".0152", ".0068"), _S3),
        ),
    ),
    "online_retail_baskets": DataSet(
        "UCI Online Retail, baskets (one item hidden)",
        ("--format=baskets", "--train=online_retail/online_retail.csv.gz"),
        ("HR@10", "NDCG@10"),
        (Goal("HR@10", 1.15, of="implicit_cosine"),),
    ),
    "online_retail_temporal": DataSet(
        "UCI Online Retail, all purchases from 2011-05-27 on",
        (
            "--format=temporal",
            "--cut=2011-05-27",
            "--train=online_retail/online_retail.csv.gz",
        ),
        ("Recall@20", "NDCG@20"),
        (Goal("Recall@20", 1.02, of="personal_frequency"),),
    ),
    "ml_100k": DataSet(
        "MovieLens 100k (newest fifth by time)",
        ("--format=tsv", "--train=ml-100k/ml-100k.inter"),
        ("Recall@20", "NDCG@20"),
        (),
    ),
}


def main(names: list[str]) -> int:
    """Run the named sets, or all; one at a time."""
    for name in names or list(SETS):
        one = SETS[name]
        missing = [path for path in paths(one) if not path.is_file()]
        if missing:
            print(f"{name}: SKIPPED, {missing[0]} is missing", file=sys.stderr)
            continue
        found = evaluated(one)
        kept = {key: value for key, value in _before().items() if not key.startswith(f"{name}.")}
        new = {f"{name}.{key}": value for key, value in figures_of(one, found).items()}
        write("recommenders", kept | new, _PROTOCOL)
        print("\n".join(_table(one, found)))
    return 0


def _before() -> dict[str, Figure]:
    """Return the figures of the last run: sets that are not run again keep theirs."""
    path = RESULTS / "recommenders.json"
    if not path.is_file():
        return {}
    return {key: Figure(**one) for key, one in json.loads(path.read_text())["figures"].items()}


_PROTOCOL = (
    "manage.py evaluate with default settings, one set after the other, each in a process of its"
    " own with one BLAS thread: models and blends are chosen on a validation part of the training"
    " data, refitted on all of it, asked for the test once; full ranking. Ratios are to the named"
    " reference of the same run."
)


def paths(one: DataSet) -> list[Path]:
    """Return the files that a set needs."""
    pairs = (argument.split("=", 1) for argument in one.arguments)
    return [DATA / value for key, value in pairs if key in {"--train", "--test"}]


def evaluated(one: DataSet) -> dict[str, Any]:
    """Return what `manage.py evaluate --json` prints for it; BENCH_EVALUATE adds arguments."""
    placed = [
        f"{key}={DATA / value}" if key in {"--train", "--test"} else f"{key}={value}"
        for key, value in (argument.split("=", 1) for argument in one.arguments)
    ]
    command = [sys.executable, "manage.py", "evaluate", *placed, "--json"]
    done = subprocess.run(
        [*command, *os.environ.get("BENCH_EVALUATE", "").split()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def figures_of(one: DataSet, found: Mapping[str, Any]) -> dict[str, Figure]:
    """Return its figures, with what its goals say of them."""
    chosen = found["chosen"]
    figures = {
        "seconds": Figure(found["seconds"], "s", goal="<= 1200", holds=found["seconds"] <= 1200),
        "peak": Figure(found["peak_mb"], "MB", goal="<= 8000", holds=found["peak_mb"] <= 8000),
    }
    for column in one.columns:
        low, high = chosen["intervals"][column]
        figures[column] = Figure(chosen["metrics"][column], f"95 % interval {low:.4f}-{high:.4f}")
    if found["ratings"]:
        figures["RMSE"] = Figure(found["ratings"]["RMSE"], "")
        figures["MAE"] = Figure(found["ratings"]["MAE"], "")
    for goal in one.goals:
        value = chosen[goal.part][goal.figure]
        name = goal.figure if goal.part == "metrics" else f"{goal.part} {goal.figure}"
        unit = figures[name].unit if name in figures else "share"
        if goal.of:
            ceiling = _of(found, goal.of)["metrics"][goal.figure]
            ratio = value / ceiling
            words = f">= {goal.least} x {goal.of}"
            figures[name] = Figure(value, unit, ratio, ceiling, words, ratio >= goal.least)
        else:
            words = f">= {goal.least}"
            figures[name] = Figure(value, unit, goal=words, holds=value >= goal.least)
    return figures


def _of(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    model: dict[str, Any] = next(one for one in found["models"] if one["model"] == name)
    return model


def _table(one: DataSet, found: Mapping[str, Any]) -> list[str]:
    """Return the set's part of docs/benchmarks.md."""
    chosen = found["chosen"]
    split = chosen.get("discovery") is not None
    heads = [*one.columns, *([f"new items: {one.columns[0]}"] if split else [])]
    lines = [f"### {one.title}", "", f"Protocol: {found['protocol']}.", ""]
    lines += [_row("model", *heads, "source"), _row(*["---"] * (len(heads) + 2))]
    lines.append(
        _row(f"**chosen: {chosen['model']}**", *_cells(one, chosen, split=split), "this run")
    )
    for model in found["models"]:
        if model.get("metrics"):
            lines.append(_row(model["model"], *_cells(one, model, split=split), "this run"))
    for name, values, source in one.published:
        lines.append(_row(name, *values, *([""] if split else []), source))
    refused = [
        f"{model['model']} ({model['refused']})" for model in found["models"] if "refused" in model
    ]
    if refused:
        lines += ["", f"Left out: {', '.join(refused)}."]
    lines += ["", f"{found['seconds']:,.0f} s, {found['peak_mb']:,} MB at the peak.", ""]
    return lines


def _cells(one: DataSet, model: Mapping[str, Any], *, split: bool) -> list[str]:
    values = [model["metrics"][column] for column in one.columns]
    if split:
        values.append((model.get("discovery") or {}).get(one.columns[0]))
    return ["" if value is None else f"{value:.4f}"[1:] for value in values]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
