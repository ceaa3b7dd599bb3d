"""How a supervisor ends: what it waits for is said at once, what is deaf is killed once."""

import subprocess
import sys
from pathlib import Path

# In a process of its own: a supervisor reaps every child of its process.
_SCRIPT = """
import sys
from pathlib import Path
from personalization.lib.supervisor.plan import Program
from personalization.lib.supervisor.supervisor import Supervisor

local = Path(sys.argv[1])
deaf = '''
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
'''
up = local / "deaf is up"
supervisor = Supervisor(local, lambda name, state: print(name, state, flush=True))
with supervisor.alone():
    supervisor.run(
        [
            Program("deaf", [sys.executable, "-c", deaf, str(up)], stop_timeout_s=0.3),
            Program("quick", ["sleep", "60"], stop_timeout_s=0.3),
        ],
        tick=lambda: supervisor.stop() if up.exists() else None,
    )
"""


def test_end__one_program_is_deaf__said_at_once_and_killed_once(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()

    first = next(place for place, line in enumerate(said) if "stopp" in line)
    assert said[first] == "up stopping quick, deaf: 0 s at most"
    assert said.count("deaf does not stop: killed") == 1
    assert "deaf stopped (killed by SIGKILL)" in said
    assert "quick stopped (killed by SIGTERM)" in said
