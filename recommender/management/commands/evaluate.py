"""`manage.py evaluate`: train the portfolio on a public data set, choose, and test it once.

Models are set up and chosen on a validation part of the training data, fitted again on all of it,
and asked for the test. Nothing is tuned by hand. docs/benchmarks.md says how each format is split.
It ends after one and a half times --minutes and --search by the clock, however busy the machine is:
after 18 minutes unless told otherwise.
"""

import gzip
import json
import resource
import sys
import time
import zlib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from recommender import alarm
from recommender.engine.assessment import assess
from recommender.engine.base import SideInfo
from recommender.engine.budget import Limits, OutOfTimeError, Session
from recommender.engine.described import attributes, beside
from recommender.engine.entries import ENTRIES
from recommender.engine.formats import READERS
from recommender.engine.logs import Given

Read = TypeVar("Read")
_CANDIDATES = tuple(entry.name for entry in ENTRIES)
# The clock's limit for each second of work that is granted.
_WALL = 1.5
# A day: beyond it somebody meant something else, and the alarm's clock has its end.
_MOST_MINUTES = 24 * 60
_COLUMNS = ("Recall@20", "NDCG@20", "HR@10", "MRR@20")


class Command(BaseCommand):
    """Read, choose, refit, test; print a table or JSON. Progress goes to stderr."""

    help = __doc__
    # files in, figures out: no database, no server, no setting that a check would look at
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take files, format and candidates."""
        parser.add_argument("--train", required=True, type=Path, help="plain or .gz")
        parser.add_argument("--test", type=Path, help="without it a part is held out")
        parser.add_argument("--format", required=True, choices=list(READERS))
        parser.add_argument(
            "--items",
            type=Path,
            help="attributes, JSON {item: [attribute, ...]} or tab separated with a header;"
            " X_item2attributes.json or X.item beside --train X.* is taken by itself",
        )
        parser.add_argument(
            "--cut", metavar="DATE", help="temporal: test is what came from then on"
        )
        parser.add_argument("--models", nargs="+", metavar="NAME", help="default: all that fit")
        parser.add_argument(
            "--minutes",
            type=float,
            default=12.0,
            help="of work, all models together: those that would take longer are refused, those"
            " that do are stopped; by the clock at most one and a half times as long",
        )
        parser.add_argument(
            "--search",
            type=float,
            default=0.0,
            metavar="MINUTES",
            help="beside --minutes: look for better settings of the leading models (Optuna)",
        )
        parser.add_argument("--json", action="store_true", help="print JSON alone")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Measure and print."""
        started = time.perf_counter()
        _refuse_minutes("minutes", options["minutes"])
        _refuse_minutes("search", options["search"])
        wall_s = _WALL * 60 * (options["minutes"] + options["search"])
        try:
            with alarm.stopping(wall_s):
                found = self._found(options, wall_s)
        except OutOfTimeError:
            msg = f"no result after {wall_s / 60:.0f} minutes: give it more --minutes"
            raise CommandError(msg) from None
        found["seconds"] = round(time.perf_counter() - started, 1)
        found["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        _print(found)

    def _found(self, options: Mapping[str, Any], wall_s: float) -> dict[str, Any]:
        started = time.perf_counter()
        names = _names(options["models"])
        cut_s = _cut_s(options["cut"])
        try:
            given = _read(options["format"], options["train"], options["test"])
            side, described = _side(options["items"], options["train"], given)
            session = Session(
                len(given.users),
                len(given.items),
                _work_s,
                self._report,
                side,
                Limits(
                    seconds=60 * options["minutes"],
                    search_s=60 * options["search"],
                    wall_s=wall_s - (time.perf_counter() - started),
                ),
                wall=time.perf_counter,
                stopping=alarm.stopping,
            )
            found = assess(options["format"], given, session, names=names, cut_s=cut_s)
        except ValueError as error:
            raise CommandError(str(error)) from error
        found["data"]["attributes"] = described
        return found

    def _report(self, words: str) -> None:
        self.stderr.write(words, self.style.NOTICE)


def _refuse_minutes(name: str, value: float) -> None:
    if not 0 <= value <= _MOST_MINUTES:
        msg = f"--{name} {value:g}: give minutes from 0 to {_MOST_MINUTES}"
        raise CommandError(msg)


def _work_s() -> float:
    """Return the time that counts: the processor's, or where others take it half of the clock's."""
    return max(time.process_time(), time.perf_counter() / 2)


def _names(wanted: list[str] | None) -> list[str] | None:
    if wanted is None:
        return None
    names = [name for one in wanted for name in one.split(",") if name]
    unknown = sorted(set(names) - set(_CANDIDATES))
    if unknown:
        msg = f"--models: unknown {', '.join(unknown)}; there are {', '.join(_CANDIDATES)}"
        raise CommandError(msg)
    return names


def _cut_s(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"--cut {text!r} is no date; write it as 2011-05-27 or 2011-05-27T12:00"
        raise CommandError(msg) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _side(items: Path | None, train: Path, given: Given) -> tuple[SideInfo | None, str | None]:
    """Return the attributes and the name of their file: the given one, or one beside `train`."""
    near = (train.with_name(name) for name in beside(train))
    path = items or next((one for one in near if one != train and one.is_file()), None)
    if path is None:
        return None, None
    return _opened(lambda: attributes(_lines(path), given.items), path), path.name


def _read(form: str, train: Path, test: Path | None) -> Given:
    later = None if test is None else _lines(test)
    return _opened(lambda: READERS[form](_lines(train), later), train)


def _opened(read: Callable[[], Read], path: Path) -> Read:
    try:
        return read()
    except (OSError, EOFError, zlib.error) as error:
        name = getattr(error, "filename", None) or path
        msg = f"{name}: {getattr(error, 'strerror', None) or error}"
        raise CommandError(msg) from error


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8", errors="replace", newline="") as file:
        yield from file


def _print(found: dict[str, Any]) -> None:
    table = Table(title=found["protocol"], title_justify="left")
    for column in ("model", *_COLUMNS, "validation NDCG@20", "fit s"):
        table.add_column(column, justify="left" if column == "model" else "right")
    chosen = found["chosen"]
    table.add_row(f"chosen: {chosen['model']}", *_figures(chosen["metrics"]), "", "")
    for one in found["models"]:
        if "refused" in one:
            table.add_row(one["model"], one["refused"])
            continue
        value = one["validation"]["NDCG@20"]
        validation = "-" if value is None else f"{value:.4f}"
        table.add_row(one["model"], *_figures(one["metrics"]), validation, f"{one['fit_s']:.1f}")
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _figures(metrics: dict[str, Any] | None) -> list[str]:
    values = [(metrics or {}).get(name) for name in _COLUMNS]
    return ["-" if value is None else f"{value:.4f}" for value in values]
