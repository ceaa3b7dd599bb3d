"""How a supervisor ends: what it waits for is said at once, what is deaf is killed once."""

from pathlib import Path

from tests.lib import supervised

_SCRIPT = """
deaf = '''
import pathlib, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path(sys.argv[1]).touch()
time.sleep(60)
'''
up = local / "deaf is up"
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
    said = supervised.said(_SCRIPT, tmp_path)

    first = next(place for place, line in enumerate(said) if "stopp" in line)
    assert said[first] == "up stopping quick, deaf: 0 s at most"
    assert said.count("deaf does not stop: killed") == 1
    assert "deaf stopped (killed by SIGKILL)" in said
    assert "quick stopped (killed by SIGTERM)" in said
