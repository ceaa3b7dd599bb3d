"""`manage.py partitions`: make the log's partitions ahead, drop what is past retention."""

from typing import Any

from django.core.management.base import BaseCommand

from personalization.events import partitions
from personalization.lib import clock


class Command(BaseCommand):
    """Beat runs the same once a day; run it by hand after changing EVENT_RETENTION_DAYS."""

    help = "Create the event log's partitions ahead and drop those past EVENT_RETENTION_DAYS."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Do it and say what was done."""
        report = partitions.maintain(now=clock.now())
        for word, months in (
            ("created", report.created),
            ("dropped", report.dropped),
            ("postponed", report.postponed),
        ):
            self.stdout.write(
                f"{word}: {', '.join(f'{month:%Y-%m}' for month in months) or 'none'}"
            )
        self.stdout.write(f"deleted from the default partition: {report.deleted_from_default}")
