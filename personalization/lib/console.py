"""What commands write for people: a bar of progress beside the output, tables that are not cut."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from personalization.lib.progress import Report

# In a pipe or a log there is no width to respect.
_WIDE = 160


@contextmanager
def progress() -> Iterator[Report]:
    """Draw a bar on stderr while the block works; what it yields takes each stage."""
    drawn = Progress(
        TextColumn("{task.description:32}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(file=sys.stderr),
    )
    with drawn:
        task = drawn.add_task("starting", total=None)

        def report(stage: str, done: int, total: int) -> None:
            drawn.update(task, description=stage, completed=done, total=total or None)

        yield report


def console() -> Console:
    """Return stdout for tables."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)
