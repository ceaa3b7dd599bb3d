"""Importing one file: survey, products, events in chunks with a checkpoint each, faults counted."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings

from personalization.catalog.models import Product
from personalization.catalog.services import upsert_products
from personalization.events import bulk, serve
from personalization.events.bulk import BulkEvent
from personalization.events.importers.formats import FORMATS, Format
from personalization.events.importers.lines import Fault, Line, opened
from personalization.events.importers.parsed import Found, Setup, UnusableError
from personalization.lib import clock
from personalization.lib.errors import Unprocessable
from personalization.ops import services
from personalization.ops.claims import claimed
from personalization.ops.models import JobRun

KIND = "import_events"
# What is shown of each kind of fault: enough to find it, not to drown in.
_SHOWN_LINES = 5
_PRODUCTS_AT_ONCE = 2_000
# History is moved by whole weeks, so that weekdays and hours stay what they were.
_WEEK = timedelta(days=7)
# A session that begins last must still end before the window does.
_LONGEST_SESSION = timedelta(hours=6)

# Progress(what is being done, bytes of the file read in this pass, events so far)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks to import.

    `shift` moves all times: `auto` (by whole weeks, so that the newest lies in the last week),
    `none`, or a number of days. `days` is the window over which a file without times is spread.
    """

    path: Path
    format: str
    encoding: str = "utf-8"
    shift: str = "auto"
    days: int = 90
    products: bool = True
    mapping: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """How an import went; `faults` counts lines by problem, `lines` names the first of each."""

    events: int = 0
    written: int = 0
    duplicates: int = 0
    withheld: int = 0
    products: int = 0
    shifted_days: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    # The same file was imported before: nothing was done.
    known: bool = False

    def as_json(self) -> dict[str, Any]:
        """Plain data for the run's row."""
        plain = ("events", "written", "duplicates", "withheld", "products", "shifted_days")
        return {key: getattr(self, key) for key in plain} | {
            "faults": dict(self.faults),
            "lines": {key: list(value) for key, value in self.lines.items()},
        }


def import_file(order: Order, *, progress: Progress) -> Report:
    """Import a file's events, and the products that the catalogue lacks; return how it went.

    Resumable: a run that was killed goes on behind its last chunk. Idempotent: message ids follow
    from the file's name, the line and its number; a file imported whole is not read again.

    Raises
    ------
    Unprocessable
        The file is not of this format, or a mapping makes no sense.
    Conflict
        Another process imports this file.
    Cancelled
        Somebody stopped the run; it can go on from there.
    """
    digest = _digest(order.path, progress)
    params = {"source": order.path.name, "format": order.format, "shift": order.shift}
    slot = f"{order.format}:{digest}"
    with claimed(kind=KIND, slot=slot, params=params) as run:
        if run is None:
            done = JobRun.objects.get(kind=KIND, slot=slot)
            return _report(done.result, known=True)
        report = _report(run.checkpoint.get("report", {}))
        setup, shift = _prepared(order, run, report, progress)
        _load(order, run, setup, shift, report, progress)
        services.succeed(run.pk, result=report.as_json())
    return report


def _digest(path: Path, progress: Progress) -> str:
    hasher = hashlib.blake2b(path.name.encode(), digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
            progress("checking", file.tell(), 0)
    return hasher.hexdigest()


def _prepared(
    order: Order, run: JobRun, report: Report, progress: Progress
) -> tuple[Setup, timedelta]:
    """Survey the file; keep the times of the checkpoint, or of an earlier import of this source."""
    form = FORMATS[order.format]
    baskets, products, last = _survey(order, form, progress)
    kept = run.checkpoint.get("times") or _earlier_times(order)
    end = datetime.fromisoformat(kept["end"]) if kept else clock.now().replace(microsecond=0)
    window = timedelta(days=order.days)
    setup = Setup(
        source=order.path.name,
        schema=serve.schema(),
        start_at=end - window,
        step=max(window - _LONGEST_SESSION, window / 2) / max(last, 1),
        baskets=baskets,
        mapping=order.mapping,
        constants=order.constants,
        names=order.names,
    )
    days = int(kept["days"]) if kept else _shift_days(order, form, setup, end, progress)
    report.shifted_days = days
    if order.products:
        report.products += _add_products(products.values())
    _note(run, run.done, {"times": {"end": end.isoformat(), "days": days}}, report)
    return setup, timedelta(days=days)


def _survey(
    order: Order, form: Format, progress: Progress
) -> tuple[dict[str, list[Line]], dict[str, dict[str, Any]], int]:
    """Read the file once: orders of several lines, products (the last word wins), last line."""
    baskets: dict[str, list[Line]] = defaultdict(list)
    products: dict[str, dict[str, Any]] = {}
    last = 0
    for line in _lines(order, form, "surveying", progress):
        if isinstance(line, Fault):
            continue
        last = line.number
        basket = form.basket(line) if form.basket else None
        if basket:
            baskets[basket].append(line)
        if form.products and order.products:
            try:
                products.update((item["key"], item) for item in form.products(line))
            except (UnusableError, KeyError):
                continue  # the parser says what is wrong with the line
    return dict(baskets), products, last


def _earlier_times(order: Order) -> dict[str, Any] | None:
    """Return the times of this source's last import; other ones would bring old events twice."""
    earlier = JobRun.objects.filter(
        kind=KIND, params__source=order.path.name, params__format=order.format
    ).exclude(checkpoint={})
    newest = earlier.order_by("-created_at").first()
    return newest.checkpoint.get("times") if newest else None


def _shift_days(order: Order, form: Format, setup: Setup, end: datetime, progress: Progress) -> int:
    if order.shift not in {"auto", "none"}:
        try:
            return int(order.shift)
        except ValueError as error:
            msg = f"--shift takes auto, none or a number of days, not {order.shift}"
            raise Unprocessable(msg) from error
    if order.shift == "none" or form.clockless:
        return 0
    lines = _lines(order, form, "reading times", progress)
    newest = max(
        (found.event.occurred_at for found in form.parse(lines, setup) if isinstance(found, Found)),
        default=end,
    )
    return max(0, (end - newest) // _WEEK * 7)


def _add_products(products: Iterable[dict[str, Any]]) -> int:
    """Add what the catalogue does not know; what it knows it knows better than the file."""
    created = 0
    rest = iter(products)
    while chunk := list(islice(rest, _PRODUCTS_AT_ONCE)):
        keys = [item["key"] for item in chunk]
        known = set(Product.objects.filter(key__in=keys).values_list("key", flat=True))
        new = [item for item in chunk if item["key"] not in known]
        if new:
            created += upsert_products(new, actor="import_events", now=clock.now())["created"]
    return created


def _load(
    order: Order, run: JobRun, setup: Setup, shift: timedelta, report: Report, progress: Progress
) -> None:
    after = int(run.checkpoint.get("after", 0))
    times = {"end": (setup.start_at + timedelta(days=order.days)).isoformat(), "days": shift.days}
    before = Report(**{k: getattr(report, k) for k in ("written", "duplicates", "withheld")})
    stream = _Stream(order, setup, shift, after, report, progress)

    def keep(counts: bulk.Counts) -> None:
        report.written = before.written + counts.written
        report.duplicates = before.duplicates + counts.duplicates
        report.withheld = before.withheld + counts.withheld
        _note(run, report.events, {"times": times, "after": stream.after}, report)

    bulk.copy_events(stream.events(), progress=keep)


class _Stream:
    """The events of a file behind a line; knows how far it is, and counts faults on the way."""

    def __init__(
        self,
        order: Order,
        setup: Setup,
        shift: timedelta,
        after: int,
        report: Report,
        progress: Progress,
    ) -> None:
        self._order, self._setup, self._shift = order, setup, shift
        self._report, self._progress = report, progress
        self.after = after

    def events(self) -> Iterator[BulkEvent]:
        form, after = FORMATS[self._order.format], self.after
        lines = _lines(self._order, form, "importing", self._progress, self._report)
        rest = (line for line in lines if _number(line) > after)
        oldest = clock.now() - timedelta(days=settings.EVENT_RETENTION_DAYS)
        latest = clock.now() + timedelta(minutes=5)
        for found in form.parse(rest, self._setup):
            if isinstance(found, Fault):
                self._fault(found.line, found.problem)
                continue
            event = _moved(found.event, self._shift)
            self.after = found.resume_after
            if event.occurred_at <= oldest:
                self._fault(found.resume_after, "is older than the retention; --shift moves times")
            elif event.occurred_at > latest:
                self._fault(found.resume_after, "lies in the future")
            else:
                self._report.events += 1
                yield event

    def _fault(self, line: int, problem: str) -> None:
        self._report.faults[problem] += 1
        if len(self._report.lines[problem]) < _SHOWN_LINES:
            self._report.lines[problem].append(line)


def _moved(event: BulkEvent, shift: timedelta) -> BulkEvent:
    if not shift:
        return event
    return BulkEvent(
        event.message_id,
        event.name,
        event.occurred_at + shift,
        event.user_id,
        event.anonymous_id,
        event.type,
        event.properties,
        event.traits,
        event.context,
    )


def _lines(
    order: Order, form: Format, doing: str, progress: Progress, report: Report | None = None
) -> Iterator[Line | Fault]:
    with opened(order.path, order.encoding) as file:
        for count, line in enumerate(form.read(file.text, order.encoding)):
            if count % 1000 == 0:
                progress(doing, file.bytes_read(), report.events if report else 0)
            yield line
        progress(doing, file.bytes_read(), report.events if report else 0)


def _number(line: Line | Fault) -> int:
    return line.line if isinstance(line, Fault) else line.number


def _note(run: JobRun, done: int, place: dict[str, Any], report: Report) -> None:
    services.advance(run.pk, done=done, checkpoint=place | {"report": report.as_json()})


def _report(data: Mapping[str, Any], *, known: bool = False) -> Report:
    plain = {key: value for key, value in data.items() if key not in {"faults", "lines"}}
    lines: dict[str, list[int]] = defaultdict(list, data.get("lines", {}))
    return Report(**plain, faults=Counter(data.get("faults", {})), lines=lines, known=known)
