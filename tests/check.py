"""`python -m tests.check PATH ...`: every static check, two at a time, one line each.

None needs a database. The exit code is the number of checks that failed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "openapi.yaml"

# What a deployment behind TLS sets; `check --deploy` must be silent with it.
DEPLOYED = {
    "HTTPS": "true",
    "ALLOWED_HOSTS": "shop.example",
    "SECRET_KEY": "check-only-Zq8vN2xL5tR7wY1uB4mC6kD9fG3hJ0pS-aXeQ7KzWbT",
    "IDENTITY_SECRET": "check-only-Hn4jK8mP2qR6sT0vW3xY7zA1bC5dE9fG-LmNoPqRsT",
}

Step = tuple[str, Sequence[str], Mapping[str, str]]


def steps(paths: Sequence[str], drawn: Path) -> list[Step]:
    """Return (name, command, extra environment) of each check; `drawn` takes the schema."""
    manage = [sys.executable, "manage.py"]
    write_schema = ["spectacular", "--validate", "--fail-on-warn", "--file", str(drawn)]
    return [
        ("types (mypy)", ["mypy", *paths], {}),
        ("lint (ruff)", ["ruff", "check", *paths], {}),
        ("format (ruff)", ["ruff", "format", "--check", *paths], {}),
        ("floors (import-linter)", ["lint-imports"], {}),
        ("migrations", [*manage, "makemigrations", "--check", "--dry-run"], {}),
        (
            "deployment settings",
            [*manage, "check", "--deploy", "--fail-level", "WARNING"],
            DEPLOYED,
        ),
        ("schema (spectacular)", [*manage, *write_schema], {}),
        ("packages (pip check)", [sys.executable, "-m", "pip", "check"], {}),
    ]


def run(step: Step, base: Mapping[str, str]) -> bool:
    """Run one check from the root of the project and say how it ended."""
    name, command, extra = step
    begun = monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env={**base, **extra}, capture_output=True, text=True, check=False
    )
    state = "ok" if done.returncode == 0 else "FAILED"
    said = "" if done.returncode == 0 else f"\n{done.stdout}{done.stderr}"
    sys.stdout.write(f"{state:7}{name} ({monotonic() - begun:.1f} s){said}\n")
    sys.stdout.flush()
    return done.returncode == 0


def schema_is_committed(drawn: Path) -> bool:
    """Tell whether docs/openapi.yaml is what the code gives now."""
    if not drawn.exists():
        return False
    same = SCHEMA.exists() and SCHEMA.read_bytes() == drawn.read_bytes()
    sys.stdout.write("ok     " if same else "FAILED ")
    sys.stdout.write(
        "docs/openapi.yaml is up to date\n"
        if same
        else "docs/openapi.yaml is stale: make openapi\n"
    )
    return same


def main(paths: Sequence[str]) -> int:
    """Run all checks; return how many failed."""
    with tempfile.TemporaryDirectory(prefix="p13n-check-") as scratch:
        drawn = Path(scratch) / "openapi.yaml"
        base = {
            **os.environ,
            "LOCAL_DIR": scratch,
            "DJANGO_SETTINGS_MODULE": "personalization.settings",
        }
        with ThreadPoolExecutor(2) as pool:
            held = list(pool.map(lambda step: run(step, base), steps(paths, drawn)))
        held.append(schema_is_committed(drawn))
    return held.count(False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
