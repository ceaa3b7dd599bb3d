#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    """Run one management command, with the project's own servers up when it needs any."""
    # implicit and scikit-learn read it when NumPy loads its BLAS (docs/architecture.md).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")
    if "process" in sys.argv[1:2]:
        # It counts for /metrics, under a supervisor of others too.
        os.environ.setdefault("P13N_PROCESS", "processor")
    # After the environment is set.
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    from personalization.lib.embedded import servers  # noqa: PLC0415

    if servers.needed_by(sys.argv):
        try:
            servers.ensure()
        except servers.EmbeddedServerError as error:
            sys.exit(f"{error}\n`manage.py doctor` looks at everything else.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
