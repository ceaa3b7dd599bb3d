"""Files of public data sets as interaction logs: lines in, arrays out.

Knows what a line means and which lines are wrong; what is held out of a log says `protocols`.
"""

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from recommender.engine.logs import Asked, Given, Log, Table, are_ratings, in_order, merged_log


class FormatError(ValueError):
    """A line that does not say what its format asks for; the message names it and the fix."""


@dataclass(slots=True)
class _Columns:
    """Interactions as they are read."""

    users: list[int] = field(default_factory=list)
    items: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def add(self, user: int, item: int, weight: float, at_s: float) -> None:
        self.users.append(user)
        self.items.append(item)
        self.weights.append(weight)
        self.at_s.append(at_s)

    def add_line(self, user: int, items: Iterable[int], first: int = 0) -> None:
        for place, item in enumerate(items, first):
            self.add(user, item, 1.0, float(place))

    def log(self, *, timed: bool, ordered: bool) -> Log:
        at_s = _seconds(np.array(self.at_s, np.float64)) if timed else np.array(self.at_s)
        weights = np.array(self.weights, np.float32)
        spans = timed and len(at_s) > 0 and bool(at_s.max() > at_s.min())
        made = Log(
            np.array(self.users, np.int32),
            np.array(self.items, np.int32),
            weights,
            at_s.astype(np.float64),
            spans,
            ordered and (spans or not timed),
            are_ratings(weights),
            dict(self.left_out),
        )
        return in_order(made)


def tsv(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return `user<TAB>item[<TAB>weight[<TAB>unix time]]`; a header is skipped.

    Without a tab in its first line a file is split at commas, else at spaces. Times may be in
    seconds, milliseconds, microseconds or ISO 8601. The csv of UCI Online Retail is taken too.

    Raises
    ------
    FormatError
        A line has fewer than two fields, an empty id, or a weight or time that is no number.
    """
    users, items = Table(), Table()
    log = _tsv(train, users, items, "train")
    later = None if test is None else _tsv(test, users, items, "test")
    return Given(log, users, items, later)


def temporal(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return purchases with times, as `tsv`; a file without times is refused."""
    given = tsv(train, test)
    if len(given.log) and not given.log.timed:
        msg = (
            "--format temporal needs a time on each line:"
            " give user<TAB>item<TAB>weight<TAB>unix time, or use --format tsv"
        )
        raise FormatError(msg)
    return given


def lightgcn(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return `user item item ...` a line; the order of a line means nothing.

    Raises
    ------
    FormatError
        A line is no text, or the file is one of `tsv`.
    """
    return _lists(train, test, ordered=False)


def leave_one_out(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return `user item item ...` a line, oldest first. Raises as `lightgcn`."""
    return _lists(train, test, ordered=True)


def sessions(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return one session a line, oldest item first; `test` holds `prefix items<TAB>next item`.

    Raises
    ------
    FormatError
        A line is no text, the file is one of `tsv`, or a line of `test` is no prefix, tab, item.
    """
    users, items = Table(), Table()
    columns = _Columns()
    for number, line in enumerate(_texts(train, "train")):
        keys = line.split()
        # a session later in the file is the newer one; its steps lie between it and the next
        for place, key in enumerate(keys):
            at = number + place / len(keys)
            columns.add(users[str(number)], items[key], 1.0, at)
    log = columns.log(timed=False, ordered=True)
    return Given(
        log, users, items, asked=None if test is None else _asked(test, items), baskets=True
    )


def baskets(train: Iterable[str], test: Iterable[str] | None) -> Given:
    """Return one basket a line, in the order of time; the csv of UCI Online Retail by invoice.

    Items are separated by tabs, else commas, else spaces (by what the first line has).

    Raises
    ------
    FormatError
        A line is no text, the file is one of `tsv`, or a column of an invoice line is wrong.
    """
    users, items = Table(), Table()
    log = _baskets(train, users, items, "train")
    later = None if test is None else _baskets(test, users, items, "test")
    return Given(log, users, items, later, baskets=True)


READERS: dict[str, Callable[[Iterable[str], Iterable[str] | None], Given]] = {
    "tsv": tsv,
    "lightgcn": lightgcn,
    "sessions": sessions,
    "leave-one-out": leave_one_out,
    "baskets": baskets,
    "temporal": temporal,
}


def _tsv(lines: Iterable[str], users: Table, items: Table, name: str) -> Log:
    first, stream = _first(lines)
    if "InvoiceNo" in first:
        return _online_retail(stream, users, items, name)
    separator = _separator(first)
    columns, timed = _Columns(), False
    for number, line in enumerate(stream, 1):
        if not line.strip() or (number == 1 and _is_header(line, separator)):
            continue
        fields = [one.strip() for one in line.rstrip("\r\n").split(separator)]
        where = f"{name} line {number}"
        if len(fields) < 2 or not fields[0] or not fields[1]:  # noqa: PLR2004 -- user and item
            msg = f"{where}: expected user<TAB>item[<TAB>weight[<TAB>unix time]], got {line[:60]!r}"
            raise FormatError(msg)
        weight = _number(fields, 2, "weight", where) if len(fields) > 2 else 1.0  # noqa: PLR2004 -- third
        at_s = _moment(fields, 3, where) if len(fields) > 3 else None  # noqa: PLR2004 -- fourth
        timed = timed or at_s is not None
        # a first sight of the id gives it its row, counted or not
        user, item = users[fields[0]], items[fields[1]]
        if weight <= 0:
            columns.left_out["weight not above 0"] += 1
            continue
        columns.add(user, item, weight, at_s or 0.0)
    return merged_log(columns.log(timed=timed, ordered=timed))


def _online_retail(lines: Iterable[str], users: Table, items: Table, name: str) -> Log:
    """Return purchases by customer; returns, cancellations and guests are left out."""
    columns = _Columns()
    for row in _invoice_lines(lines, name, columns.left_out):
        if not row.customer:
            columns.left_out["guest"] += 1
            continue
        columns.add(users[row.customer], items[row.product], 1.0, row.at_s)
    return merged_log(columns.log(timed=True, ordered=True))


def _baskets(lines: Iterable[str], users: Table, items: Table, name: str) -> Log:
    first, stream = _first(lines)
    columns = _Columns()
    if "InvoiceNo" in first:
        rows = sorted(_invoice_lines(stream, name, columns.left_out), key=lambda row: row.at_s)
        for row in rows:
            columns.add(users[f"{name} {row.invoice}"], items[row.product], 1.0, row.at_s)
        return merged_log(columns.log(timed=True, ordered=False))
    separator = _separator(first)
    for number, line in enumerate(_texts(stream, name)):
        keys = [key.strip() for key in line.strip("\r\n").split(separator)]
        kept = dict.fromkeys(key for key in keys if key)
        if kept:
            user = users[f"{name} {number}"]
            for key in kept:
                columns.add(user, items[key], 1.0, float(number))
    return columns.log(timed=False, ordered=False)


@dataclass(frozen=True, slots=True)
class _InvoiceLine:
    invoice: str
    customer: str
    product: str
    at_s: float


_WANTED = ("InvoiceNo", "StockCode", "Quantity", "InvoiceDate", "CustomerID")
_DATES = ("%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S", "%d/%m/%Y %H:%M")


def _invoice_lines(
    lines: Iterable[str], name: str, left_out: Counter[str]
) -> Iterator[_InvoiceLine]:
    reader = csv.DictReader(lines)
    missing = [column for column in _WANTED if column not in (reader.fieldnames or ())]
    if missing:
        msg = f"{name} line 1: the header lacks {', '.join(missing)}"
        raise FormatError(msg)
    dates: dict[str, float] = {}
    for row in reader:
        where = f"{name} line {reader.line_num}"
        text = row["InvoiceDate"]
        if None in row.values() or not row["InvoiceNo"] or not row["StockCode"]:
            msg = f"{where}: a column is empty or missing; each line needs {', '.join(_WANTED)}"
            raise FormatError(msg)
        if text not in dates:
            dates[text] = _date(text, where)
        try:
            quantity = float(row["Quantity"])
        except ValueError:
            msg = f"{where}: Quantity {row['Quantity']!r} is no number"
            raise FormatError(msg) from None
        if row["InvoiceNo"].startswith("C"):
            left_out["cancellation"] += 1
        elif quantity <= 0:
            left_out["quantity not above 0"] += 1
        else:
            yield _InvoiceLine(row["InvoiceNo"], row["CustomerID"], row["StockCode"], dates[text])


def _lists(train: Iterable[str], test: Iterable[str] | None, *, ordered: bool) -> Given:
    users, items = Table(), Table()

    def read(lines: Iterable[str], name: str) -> Log:
        columns, lengths = _Columns(), Counter[int]()
        for line in _texts(lines, name):
            keys = line.split()
            if not keys:
                continue
            user = users[keys[0]]
            columns.add_line(user, (items[key] for key in keys[1:]), lengths[user])
            lengths[user] += len(keys) - 1
        log = columns.log(timed=False, ordered=ordered)
        return log if ordered else merged_log(log)

    log = read(train, "train")
    return Given(log, users, items, None if test is None else read(test, "test"))


def _asked(lines: Iterable[str], items: Table) -> Asked:
    before, after = [], []
    for number, line in enumerate(_texts(lines, "test"), 1):
        if not line.strip():
            continue
        prefix, tab, target = line.strip("\r\n").partition("\t")
        if not (tab and prefix.split() and len(target.split()) == 1):
            msg = f"test line {number}: expected prefix items<TAB>next item, got {line[:60]!r}"
            raise FormatError(msg)
        before.append(tuple(items[key] for key in prefix.split()))
        after.append(items[target.strip()])
    return Asked(tuple(before), tuple(after))


_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Of a line of `tsv`: more is no weight; less is no time in seconds since 1973.
_WEIGHT, _TIME_S = 1e5, 1e8


def _texts(lines: Iterable[str], name: str) -> Iterator[str]:
    """Yield the lines of a file of ids; one that cannot be ids is refused."""
    for number, line in enumerate(lines, 1):
        plain = line.rstrip("\r\n").replace("\t", " ")
        if not plain.isprintable() and _CONTROL.search(plain):
            msg = (
                f"{name} line {number}: holds bytes that are no text;"
                " give lines of ids, and a packed file the name .gz"
            )
            raise FormatError(msg)
        if number == 1 and _is_of_tsv(line):
            msg = f"{name} line 1: user, item, weight and time between tabs are --format tsv"
            raise FormatError(msg)
        yield line


def _is_of_tsv(line: str) -> bool:
    """Whether a line is surely no list of ids but user, item, weight, time."""
    match line.split("\t"):
        case [_, _, weight, time] if _is_number(weight) and _is_number(time):
            return float(weight) <= _WEIGHT and float(time) >= _TIME_S
    return False


def _first(lines: Iterable[str]) -> tuple[str, Iterable[str]]:
    """Return the first line without a byte order mark, and all lines."""
    stream = iter(lines)
    first = next(stream, "").removeprefix("\ufeff")
    return first, chain([first], stream)


def _separator(first: str) -> str | None:
    """Return what separates the fields of a file; None for white space."""
    return next((one for one in ("\t", "::", ",", ";") if one in first), None)


_HEADERS = ("user", "customer", "visitor", "member", "uid", "reviewer")


def _is_header(line: str, separator: str | None) -> bool:
    """Whether the first line names columns: words for a user and no number anywhere."""
    fields = [one.strip().strip('"').lower() for one in line.rstrip("\r\n").split(separator)]
    named = fields[0].split(":")[0].startswith(_HEADERS)
    wordy = [one for one in fields[2:4] if one and not _is_number(one)]
    return (named and not any(_is_number(one) for one in fields)) or (
        len(fields) > 2 and len(wordy) == len(fields[2:4]) and named  # noqa: PLR2004 -- columns
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(fields: list[str], place: int, what: str, where: str) -> float:
    try:
        value = float(fields[place] or "1")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{where}: the {what} {fields[place]!r} is no number; give one or leave it out"
        raise FormatError(msg)
    return value


def _moment(fields: list[str], place: int, where: str) -> float | None:
    text = fields[place]
    if not text:
        return None
    if _is_number(text):
        return _number(fields, place, "time", where)
    return _date(text, where)


def _date(text: str, where: str) -> float:
    for reader in (
        datetime.fromisoformat,
        *(lambda value, form=form: datetime.strptime(value, form) for form in _DATES),  # noqa: DTZ007 -- below
    ):
        try:
            at = reader(text)
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    msg = f"{where}: the time {text!r} is neither a unix time nor a date (2011-05-27 09:30)"
    raise FormatError(msg)


# A clock time beyond these is in finer units: 1e11 s is the year 5138, 1e11 ms is 1973.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))


def _seconds(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return clock times in seconds, whatever unit the file counts in."""
    middle = float(np.median(at)) if len(at) else 0.0
    return at / next((unit for limit, unit in _UNITS if middle > limit), 1.0)
