"""A supervisor in a process of its own: it reaps every child of its process."""

import subprocess
import sys
from pathlib import Path

_BEGIN = """
import sys
from pathlib import Path
from personalization.lib.supervisor.plan import Program
from personalization.lib.supervisor.supervisor import Supervisor

local = Path(sys.argv[1])
supervisor = Supervisor(local, lambda name, state: print(name, state, flush=True))
"""


def said(script: str, local: Path) -> list[str]:
    """Return the lines that a script prints; it finds `supervisor`, `local` and `Program`."""
    return subprocess.run(
        [sys.executable, "-c", _BEGIN + script, str(local)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout.splitlines()
