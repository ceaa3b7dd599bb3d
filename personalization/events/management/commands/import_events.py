"""`manage.py import_events FILE --format ...`: history of another system into the event log."""

from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from personalization.events.importers.formats import FORMATS
from personalization.events.importers.running import Order, Report, import_file
from personalization.events.importers.wire import known_field
from personalization.events.processor import bulk as processing
from personalization.lib.errors import AppError


class Command(BaseCommand):
    """Imports a file; run it again after a kill and it goes on."""

    help = "Import events from a file. Run again after a kill, it goes on; nothing comes twice."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the command line."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", required=True, choices=sorted(FORMATS))
        parser.add_argument("--encoding", default="utf-8", help="of the file (default: utf-8)")
        parser.add_argument(
            "--shift",
            default="auto",
            help="move all times: auto (whole weeks, the newest into the last one), none, or days",
        )
        parser.add_argument(
            "--days", type=int, default=90, help="window for files without times (default: 90)"
        )
        parser.add_argument(
            "--map",
            type=_pair,
            action="append",
            default=[],
            metavar="COLUMN=FIELD",
            help="csv: a column and the field it fills: uid=userId, sku=properties.product_id",
        )
        parser.add_argument(
            "--set",
            type=_pair,
            action="append",
            default=[],
            metavar="FIELD=VALUE",
            help='csv: a field that is the same for every event, such as event="Product Viewed"',
        )
        parser.add_argument(
            "--event",
            type=_pair,
            action="append",
            default=[],
            metavar="WORD=NAME",
            help='csv: what a word in the event column means, such as view="Product Viewed"',
        )
        parser.add_argument("--no-products", action="store_true", help="leave the catalogue alone")
        parser.add_argument(
            "--no-process", action="store_true", help="leave the profiles to the running processor"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import, process, and say how it went."""
        order = _order(options)
        if not order.path.is_file():
            msg = f"{order.path} is not a file"
            raise CommandError(msg)
        try:
            with _Bar(order.path.stat().st_size) as bar:
                report = import_file(order, progress=bar.show)
            if not options["no_process"] and not report.known:
                self._process()
        except AppError as error:
            raise CommandError(error.message) from error
        self._tell(report)

    def _process(self) -> None:
        with tqdm(desc="profiles", unit=" customers", disable=None) as bar:

            def show(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            processing.run(show)

    def _tell(self, report: Report) -> None:
        if report.known:
            self.stdout.write("This file was imported before; nothing to do. It brought:")
        self.stdout.write(
            f"{report.written} events written, {report.duplicates} there already, "
            f"{report.withheld} withheld by consent, {report.products} products added."
        )
        if report.shifted_days:
            self.stdout.write(f"All times were moved {report.shifted_days} days ahead.")
        for problem, count in report.faults.most_common():
            lines = ", ".join(str(line) for line in report.lines[problem])
            more = ", …" if count > len(report.lines[problem]) else ""
            self.stdout.write(f"{count} lines not used, each {problem} (lines {lines}{more})")


class _Bar:
    """One bar a pass over the file, in bytes."""

    def __init__(self, size: int) -> None:
        self._doing = ""
        self._bar = tqdm(total=size, unit="B", unit_scale=True, disable=None)

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._bar.close()

    def show(self, doing: str, position: int, events: int) -> None:
        """Draw how far the pass is."""
        if self._doing != doing:
            self._doing = doing
            self._bar.reset()
            self._bar.set_description(doing, refresh=False)
        if events:
            self._bar.set_postfix(events=events, refresh=False)
        self._bar.update(position - self._bar.n)


def _pair(text: str) -> tuple[str, str]:
    left, found, right = text.partition("=")
    if not found or not left or not right:
        msg = f"{text!r} is not LEFT=RIGHT"
        raise ArgumentTypeError(msg)
    return left, right


def _order(options: dict[str, Any]) -> Order:
    mapping, constants = dict(options["map"]), dict(options["set"])
    if options["format"] == "csv":
        _check_mapping(mapping, constants)
    return Order(
        path=options["file"],
        format=options["format"],
        encoding=options["encoding"],
        shift=options["shift"],
        days=options["days"],
        products=not options["no_products"],
        mapping=mapping,
        constants=constants,
        names=dict(options["event"]),
    )


def _check_mapping(mapping: dict[str, str], constants: dict[str, str]) -> None:
    fields = {*mapping.values(), *constants}
    unknown = sorted(field for field in fields if not known_field(field))
    if unknown:
        msg = f"no event field is called {', '.join(unknown)}; see docs/api.md, Events in"
        raise CommandError(msg)
    missing = [word for word, there in _needed(fields) if not there]
    if missing:
        msg = f"the mapping says nothing of {', '.join(missing)}; add --map COLUMN=FIELD or --set"
        raise CommandError(msg)


def _needed(fields: set[str]) -> tuple[tuple[str, bool], ...]:
    return (
        ("event", bool(fields & {"event", "type"})),
        ("timestamp", "timestamp" in fields),
        ("userId or anonymousId", bool(fields & {"userId", "anonymousId"})),
    )
