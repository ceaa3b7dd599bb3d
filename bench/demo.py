"""`make demo` on a machine whose packages are there: when people can look, when all is in."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench import harness
from bench.harness import Figure
from personalization.lib.embedded import servers

PROTOCOL = (
    "`manage.py demo`, as `make demo` runs it, in an empty LOCAL_DIR: servers, migrations, shop, "
    "models, workers and all. first_page: the shop answers and its addresses are told. "
    "in_the_log, in_profiles: all 500,000 events are, customers' segments with them. whole: models "
    "are trained on all of it. Then both calls that the demo prints are made as printed."
)
# Stage -> which time it is told that something else has ended, and what.
_ENDS = {("profiles", 2): "in_the_log", ("models", 2): "in_profiles"}
_LAST = "all events are in"
_GOALS = {"first_page": 60.0, "in_the_log": None, "in_profiles": 120.0, "whole": None}
_PATIENCE_S = 600.0


def main() -> None:
    """Measure and write the result."""
    local = Path(tempfile.mkdtemp(prefix="p13n-demo-"))
    local.chmod(0o711)
    port = harness.free_port()
    began = time.monotonic()
    demo = subprocess.Popen(
        [sys.executable, "manage.py", "demo"],
        cwd=harness.ROOT,
        env=os.environ | {"LOCAL_DIR": str(local), "PORT": str(port), "LOG_LEVEL": "WARNING"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        seen, told = _watched(demo, port, began)
        _call_as_printed(told)
    finally:
        demo.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            demo.wait(60)
        demo.kill()
        servers.remove(local)
        shutil.rmtree(local, ignore_errors=True)
    figures = {
        name: Figure(
            seen[name],
            "s",
            goal="" if most is None else f"<= {most:g} s",
            holds=None if most is None else seen[name] <= most,
        )
        for name, most in _GOALS.items()
    }
    harness.write("demo", figures, PROTOCOL)


def _watched(
    demo: "subprocess.Popen[str]", port: int, began: float
) -> tuple[dict[str, float], str]:
    """Return when what was reached, and what the demo told, once all of it is in."""
    seen: dict[str, float] = {}
    times: dict[str, int] = {}
    told, before = "", ""
    for line in _lines(demo, began):
        told += line
        passed = time.monotonic() - began
        if "is open." in line and "first_page" not in seen:
            _page(port)
            seen["first_page"] = time.monotonic() - began
        if _LAST in line:
            seen["whole"] = passed
            return seen, told
        match = re.search(r"\bdemo\b\W+(profiles|models|events)\b", line)
        stage = match[1] if match else before
        if stage != before:
            times[stage] = times.get(stage, 0) + 1
            if name := _ENDS.get((stage, times[stage])):
                seen[name] = passed
        before = stage
    sys.exit(f"the demo ended before it was whole:\n{told[-2000:]}")


def _lines(demo: "subprocess.Popen[str]", began: float) -> Iterator[str]:
    assert demo.stdout is not None  # noqa: S101 -- narrows the type
    for line in demo.stdout:
        print(f"{time.monotonic() - began:6.1f} {line}", end="", flush=True)
        yield line
        if time.monotonic() - began > _PATIENCE_S:
            return


def _page(port: int) -> None:
    """Read the shop's first page; anything but a success raises."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/shop/", timeout=30) as answer:
        answer.read()


def _call_as_printed(told: str) -> None:
    """Make the calls that stand in what the demo told; each must be answered with what it asks."""
    calls = re.findall(r"^  (curl .*?)(?=^\S|^$)", told, re.DOTALL | re.MULTILINE)[:2]
    for call, wanted in zip(calls, ('"success":true', '"items":[{'), strict=True):
        answer = subprocess.run(["bash", "-c", call], capture_output=True, text=True, check=True)
        if wanted not in answer.stdout:
            sys.exit(f"{call}\nanswered {answer.stdout[:500]}")


if __name__ == "__main__":
    main()
