"""`manage.py import_feed FILE`: products from a CSV or JSON-lines feed, with progress."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from personalization.catalog.feed import FORMATS, import_feed
from personalization.lib import clock
from personalization.lib.errors import AppError


class Command(BaseCommand):
    """Create and change products by key. Running it again changes nothing."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the file and its format."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--format", choices=FORMATS, help="default: by the file's ending")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import; print counts, and each fault with its line."""
        path: Path = options["file"]
        kind = options["format"] or path.suffix.lstrip(".").replace("ndjson", "jsonl")
        console = Console(file=sys.stderr)
        try:
            with Progress(console=console) as bar:
                task = bar.add_task(path.name, total=path.stat().st_size)
                done = import_feed(
                    path,
                    format=kind,
                    actor="manage.py import_feed",
                    now=clock.now(),
                    progress=lambda read: bar.update(task, completed=read),
                )
        except OSError as error:
            msg = f"{path}: {error.strerror}"
            raise CommandError(msg) from error
        except AppError as error:
            msg = f"{path}: {error.message}"
            raise CommandError(msg) from error
        for line, fault in done.faults:
            where = f"{fault.path}: " if fault.path else ""
            self.stderr.write(f"{path.name}:{line}: {where}{fault.problem}")
        self.stdout.write(
            f"{done.created:,} created, {done.updated:,} updated, {done.unchanged:,} unchanged,"
            f" {done.rejected:,} rejected"
        )
