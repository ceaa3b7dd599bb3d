"""`manage.py doctor`: what is wrong and what mends it; exit code 1 when something is."""

import json
import sys
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from personalization.monitoring import doctor


class Command(BaseCommand):
    """It starts nothing, so that it shows what is."""

    help = "Look at every part of this deployment; name each fault and its fix."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Offer a form for machines."""
        parser.add_argument("--json", action="store_true", help="One JSON list of findings.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the table; leave with 1 on faults."""
        found = list(doctor.findings())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(row) for row in found], indent=2))
        else:
            for row in found:
                mark = "FAULT" if row.is_fault else "warn" if row.fix else "ok"
                fix = f"  ->  {row.fix}" if row.fix else ""
                self.stdout.write(f"{mark:6}{row.check:15}{row.state}{fix}")
        if any(row.is_fault for row in found):
            sys.exit(1)
