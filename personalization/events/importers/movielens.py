"""MovieLens: ratings -> views that carry the rating. Who rated a film has seen it."""

from collections.abc import Iterable, Iterator
from typing import Any

from personalization.events.bulk import BulkEvent
from personalization.events.importers.lines import Fault, Line
from personalization.events.importers.parsed import (
    Found,
    Setup,
    at_seconds,
    cell,
    each,
    event,
    number,
)

# Names of the same columns: typed header (user_id:token), ratings.csv of the larger sets, u.data.
_USER, _ITEM = ("user_id", "userId"), ("item_id", "movieId")
UNTITLED = ("user_id", "item_id", "rating", "timestamp")


def parse(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield one view a rating."""

    def make(line: Line) -> BulkEvent:
        user, item = _one_of(line, _USER), _one_of(line, _ITEM)
        return event(
            setup,
            line,
            name="Product Viewed",
            occurred_at=at_seconds(number(cell(line, "timestamp"), "timestamp")),
            user_id=user,
            properties={"product_id": item, "rating": number(cell(line, "rating"), "rating")},
        )

    return each(lines, make)


def product(line: Line) -> dict[str, Any]:
    """Return the film that a line rates; its title is not in the file."""
    item = _one_of(line, _ITEM)
    return {"key": item, "title": f"Film {item}"}


def _one_of(line: Line, columns: tuple[str, str]) -> str:
    return cell(line, columns[0] if columns[0] in line.cells else columns[1])
