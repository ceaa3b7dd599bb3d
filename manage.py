#!/usr/bin/env python
"""Django's command line for this project."""

import os
import sys


def main() -> None:
    """Run one management command."""
    # implicit and scikit-learn read it when NumPy loads its BLAS (DESIGN section 6, Forks).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 -- after the environment is set

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
