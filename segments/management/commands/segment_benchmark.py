"""`manage.py segment_benchmark`: how well segments learn on public data."""

import gzip
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from segments.learning.engine import benchmarks, public

_SEED = 20260301


class Command(BaseCommand):
    """Fit on public data in a stated protocol, print tables or JSON. Nothing is stored."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take files."""
        parser.add_argument("--online-retail", type=Path, help="UCI Online Retail, .csv or .csv.gz")
        parser.add_argument("--online-shoppers", type=Path, help="UCI Online Shoppers Intention")
        parser.add_argument("--days", type=float, default=60.0, help="lifetime value: test window")
        parser.add_argument("--seed", type=int, default=_SEED)
        parser.add_argument("--json", action="store_true", help="print JSON alone")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Measure and print."""
        if not options["online_retail"] and not options["online_shoppers"]:
            msg = "name a file: --online-retail or --online-shoppers"
            raise CommandError(msg)
        try:
            found = measured(options)
        except OSError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        # in a pipe or a log there is no width to respect
        console = Console(width=None if sys.stdout.isatty() else 150)
        for name, show in _SHOWN.items():
            if name in found:
                show(console, found[name])


def measured(options: dict[str, Any]) -> dict[str, Any]:
    """Return every figure of the files that were named."""
    found: dict[str, Any] = {}
    if options["online_retail"]:
        events = public.online_retail(_lines(options["online_retail"]))
        found["clusters"] = benchmarks.rfm_clusters(events, seed=options["seed"])
        found["value"] = benchmarks.lifetime_value(events, days=options["days"])
    if options["online_shoppers"]:
        for name, with_it in (("sessions", True), ("sessions_without", False)):
            sample, _ = public.online_shoppers(
                _lines(options["online_shoppers"]), page_values=with_it
            )
            found[name] = benchmarks.session_propensity(sample, seed=options["seed"])
    return found


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from file


def _clusters(console: Console, found: dict[str, Any]) -> None:
    console.print(found["protocol"])
    table = _table("Clusters: how many", "k", "silhouette", "bootstrap ARI", "deviation")
    for one in found["candidates"]:
        figures = (one["silhouette"], one["stability"], one["deviation"])
        table.add_row(str(one["k"]), *(f"{value:.3f}" for value in figures))
    console.print(table)
    table = _table("Algorithms", "algorithm", "clusters", "noise", "silhouette", "rules", "fit")
    for name, one in found["algorithms"].items():
        table.add_row(
            name,
            str(one["clusters"]),
            f"{one['noise']:.1%}",
            f"{one['silhouette']:.3f}",
            f"{one['accuracy']:.3f}",
            f"{one['fit_s']:.2f} s",
        )
    console.print(table)
    table = _table("kmeans", "name", "members", "medians", "rule precision", "coverage")
    for one in found["algorithms"]["kmeans"]["told"]:
        medians = {trait["feature"]: trait["median"] for trait in one["traits"]}
        said = ", ".join(f"{name} {medians[name]:,.0f}" for name in benchmarks.RFM)
        table.add_row(
            one["title"],
            f"{one['members']:,}",
            said,
            f"{one['precision'] or 0:.3f}",
            f"{one['coverage'] or 0:.3f}",
        )
    console.print(table)


def _value(console: Console, found: dict[str, Any]) -> None:
    console.print(found["protocol"])
    console.print({**found["params"], **found["params_worth"], "r(x, m)": found["correlation"]})
    table = _table("Lifetime value", "method", "MAE", "RMSE", "total")
    for unit in ("orders", "revenue_minor"):
        scale = 100 if unit == "revenue_minor" else 1
        for name, one in found[unit].items():
            table.add_row(
                f"{unit.removesuffix('_minor')}: {name}",
                f"{one['mae'] / scale:,.3f}",
                f"{one['rmse'] / scale:,.3f}",
                f"{one['total']:+.1%}",
            )
    console.print(table)
    console.print(found["actual"])


def _sessions(console: Console, found: dict[str, Any]) -> None:
    console.print(found["protocol"])
    names = ("model", "AUC", "sd", "log loss", "Brier", "ECE", "calibrated: log loss", "Brier")
    table = _table("Purchase propensity", *names, "ECE", "time")
    for name, one in found["models"].items():
        figures = [
            f"{one[part][what]:.4f}"
            for part in ("raw", "calibrated")
            for what in ("log_loss", "brier", "ece")
        ]
        table.add_row(
            name, f"{one['auc']:.4f}", f"{one['auc_sd']:.4f}", *figures, f"{one['fit_s']:.0f} s"
        )
    console.print(table)


def _sessions_without(console: Console, found: dict[str, Any]) -> None:
    console.print("Without PageValues, which knows the outcome:")
    _sessions(console, found)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table


_SHOWN = {
    "clusters": _clusters,
    "value": _value,
    "sessions": _sessions,
    "sessions_without": _sessions_without,
}
