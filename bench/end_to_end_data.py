"""What `bench.end_to_end` imports of a public file, and what it keeps back to ask about."""

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, islice
from pathlib import Path

from bench.recommenders import DATA

# Of a file with clock times: the week or last fifth that training would measure its models on.
KEPT_BACK, KEPT_BACK_SHARE = timedelta(days=7), 0.2
# Of the published test, which has 15,132.
PREFIXES = 2_000


@dataclass(frozen=True, slots=True)
class Question:
    """What a visitor did, oldest first, and the product that came next."""

    products: tuple[str, ...]
    next: str

    @property
    def is_new(self) -> bool:
        """Whether the visitor had not met it before."""
        return self.next not in self.products


@dataclass(frozen=True, slots=True)
class Prepared:
    """The file to import, its lines, what is asked after it, and how that was kept back."""

    path: Path
    lines: int
    questions: list[Question]
    words: str


@dataclass(frozen=True, slots=True)
class DataSet:
    """One public set. `event` is what its test visitors send.

    `least` is the ratio of item-item's NDCG@20 to popularity's that is the goal, as
    `tests/flows/test_walk_real_data.py` asks it of a slice.
    """

    title: str
    paths: tuple[Path, ...]
    format: str
    event: str
    least: float
    prepare: Callable[[Path, float], Prepared]

    @property
    def missing(self) -> Path | None:
        """The first of its files that is not there."""
        return next((path for path in self.paths if not path.is_file()), None)


RETAIL = DATA / "online_retail" / "online_retail.csv.gz"
SESSIONS = DATA / "retailrocket_sessions" / "train.txt"
PUBLISHED = SESSIONS.with_name("test.txt")


def retail(folder: Path, share: float) -> Prepared:
    """Keep back the newest days of the first `share` of Online Retail."""
    return kept_back(_first(_lines(RETAIL), share), folder / "online_retail.csv")


def sessions(folder: Path, share: float) -> Prepared:
    """Take the first `share` of the training sessions and as much of the first test prefixes."""
    lines = _first(_lines(SESSIONS), share)
    path = folder / SESSIONS.name
    path.write_text("".join(lines), encoding="utf-8")
    asked = published(islice(_lines(PUBLISHED), round(PREFIXES * share)))
    words = (
        f"the first {len(asked)} prefixes of the published test, the clicks of each sent as those"
        " of a new visitor, who is asked for the next one"
    )
    return Prepared(path, len(lines), asked, words)


SETS: dict[str, DataSet] = {
    "online_retail": DataSet(
        "UCI Online Retail", (RETAIL,), "online-retail", "Product Added", 1.0, retail
    ),
    "retailrocket": DataSet(
        "RetailRocket sessions", (SESSIONS, PUBLISHED), "sessions", "Product Viewed", 5.0, sessions
    ),
}


def kept_back(lines: list[str], path: Path) -> Prepared:
    """Write all but the newest days of invoices to `path`; ask about the others."""
    head, *body = lines
    rows = list(csv.DictReader(lines))
    times = [datetime.strptime(row["InvoiceDate"], "%m/%d/%y %H:%M") for row in rows]  # noqa: DTZ007 -- the file names no zone
    cut = max(times) - min(KEPT_BACK, KEPT_BACK_SHARE * (max(times) - min(times)))
    known = [line for line, at in zip(body, times, strict=True) if at <= cut]
    path.write_text("".join([head, *known]), encoding="utf-8")
    asked = baskets(row for row, at in zip(rows, times, strict=True) if at > cut)
    words = (
        f"the invoices after {cut:%Y-%m-%d %H:%M} were not imported; of each that sells two"
        f" products or more ({len(asked)}) all but the last one were put into the cart of a new"
        " visitor, who is asked for it"
    )
    return Prepared(path, len(known), asked, words)


def baskets(rows: Iterable[dict[str, str]]) -> list[Question]:
    """Return the question that each invoice asks; one of fewer than two products asks none."""
    asked = []
    for _invoice, group in groupby(filter(_sells, rows), key=lambda row: row["InvoiceNo"]):
        *before, last = dict.fromkeys(row["StockCode"].strip() for row in group)
        if before:
            asked.append(Question(tuple(before), last))
    return asked


def _sells(row: dict[str, str]) -> bool:
    """Return whether a line sells a product: no refund, correction, postage or discount."""
    is_product = row["StockCode"].strip()[:5].isdigit() and float(row["UnitPrice"] or 0) > 0
    return is_product and int(row["Quantity"]) > 0


def published(lines: Iterable[str]) -> list[Question]:
    """Return the questions of lines `item item ...<TAB>next item`."""
    pairs = (line.rstrip("\n").split("\t") for line in lines)
    return [Question(tuple(items.split()), asked) for items, asked in pairs]


def _lines(path: Path) -> Iterator[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


def _first(lines: Iterator[str], share: float) -> list[str]:
    every = list(lines)
    return every[: max(round(len(every) * share), 1)]
