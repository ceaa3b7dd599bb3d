"""A supervisor starts again what ends, each time a little later."""

from itertools import pairwise
from pathlib import Path

from tests.lib import supervised

_SCRIPT = """
started = local / "started"
broken = "import sys, time; print(time.monotonic(), file=open(sys.argv[1], 'a')); sys.exit(3)"

def four_starts():
    if started.exists() and len(started.read_text().splitlines()) == 4:
        supervisor.stop()

with supervisor.alone():
    command = [sys.executable, "-S", "-E", "-c", broken, str(started)]
    supervisor.run([Program("broken", command)], tick=four_starts)
"""


def test_run__program_ends_at_once__started_again_after_ever_longer_waits(tmp_path: Path) -> None:
    said = supervised.said(_SCRIPT, tmp_path)

    starts = [float(line) for line in (tmp_path / "started").read_text().splitlines()]
    gaps = [later - sooner for sooner, later in pairwise(starts)]
    told = [line.rpartition(" in ")[2] for line in said if "starts again" in line]
    assert told[:3] == ["0.2 s", "0.4 s", "0.8 s"]
    assert any("broken ended (exit code 3)" in line for line in said)
    assert all(gap >= least for gap, least in zip(gaps, (0.2, 0.4, 0.8), strict=True)), gaps
