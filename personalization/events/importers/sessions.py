"""Session files: one session a line, item ids in order, no clock: spread evenly over a window."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

from personalization.events.importers.lines import Fault, Line
from personalization.events.importers.parsed import Found, Setup, event

# Time between two clicks of one session: any value below the half hour that ends a session will do.
_BETWEEN_CLICKS = timedelta(seconds=30)


def parse(lines: Iterable[Line | Fault], setup: Setup) -> Iterator[Found | Fault]:
    """Yield one view a click; each session is an anonymous visitor of its own.

    A second column, after a tab, is the click that a test asks for: it belongs to no history.
    """
    for line in lines:
        if isinstance(line, Fault):
            yield line
            continue
        items = line.text.split("\t")[0].split()
        begin = setup.start_at + (line.number - 1) * setup.step
        for place, item in enumerate(items):
            yield Found(
                # A session is written whole or begun again.
                line.number if place == len(items) - 1 else line.number - 1,
                event(
                    setup,
                    line,
                    place,
                    name="Product Viewed",
                    occurred_at=begin + place * _BETWEEN_CLICKS,
                    anonymous_id=f"{setup.source}-{line.number}"[:255],
                    properties={"product_id": item},
                ),
            )


def products(line: Line) -> Iterator[dict[str, Any]]:
    """Yield the items that a line clicks."""
    for item in line.text.split("\t")[0].split():
        yield {"key": item, "title": f"Item {item}"}
