"""A backup restored into another cluster goes on: transaction ids begin anew, nothing is skipped.

Backed up and restored by the commands that docs/guides/operating.md prints.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.accounting import assert_all_once
from tests.faults.deployment import ROOT, Deployment, deployed
from tests.faults.traffic import Traffic

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]
_LIMITS = {"RATE_SECRET_KEY_PER_S": "1000000", "RATE_ADDRESS_PER_S": "1000000"}
BEFORE, UNREAD, AFTER = 2_000, 1_000, 1_000


def test_restore__dump_with_unread_events__all_once_in_the_new_cluster(tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    kept = ("secret_key", "identity_secret", "models/a/manifest.json")
    with deployed(**_LIMITS) as old:
        made = old.manage("create_key", "--kind", "secret", "--name", "restore")
        key = made.strip().splitlines()[-1]
        read = _sent(old, key, BEFORE, "r")
        assert_all_once(old, read.told, prefix="r")
        # What comes now is in the log and in no profile.
        os.kill(old.program("processor"), signal.SIGSTOP)
        unread = _sent(old, key, UNREAD, "s")
        manifest = old.local / kept[-1]
        manifest.parent.mkdir(parents=True)
        manifest.write_text("{}")
        files = [(old.local / name).read_bytes() for name in kept]
        _follow("Back up", old, backup)

    new = Deployment(**_LIMITS)
    try:
        _follow("Restore", new, backup)
        assert [(new.local / name).read_bytes() for name in kept] == files
        new.start()
        assert_all_once(new, unread.told, prefix="s")
        # Clients that were not answered send again: known ids are no new events.
        again = _sent(new, key, UNREAD, "s")
        later = _sent(new, key, AFTER, "t")

        assert (again.told.accepted, again.told.duplicates) == (0, UNREAD)
        for prefix, traffic in (("r", read), ("s", unread), ("t", later)):
            assert_all_once(new, traffic.told, prefix=prefix)
    finally:
        new.remove()


def _sent(deployment: Deployment, key: str, events: int, prefix: str) -> Traffic:
    # Ids repeat with the moment that they say: a retry is the same event.
    traffic = Traffic(port=deployment.port, key=key, total=events, per_s=2000, prefix=prefix)
    traffic.start()
    assert traffic.finish().faults == []
    return traffic


def _follow(heading: str, deployment: Deployment, backup: Path) -> None:
    """Run the commands printed below `heading`, on this deployment and this backup."""
    guide = (ROOT / "docs" / "guides" / "operating.md").read_text(encoding="utf-8")
    printed = re.search(rf"^### {heading}\n.*?^```sh\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    assert printed is not None
    commands = printed.group(1)
    for meant, here in (
        ("/var/backups/personalization", backup),
        (".local", deployment.local),
        (".venv", sys.prefix),
    ):
        assert meant in commands
        commands = commands.replace(meant, str(here))
    subprocess.run(
        ["sh", "-eu"], input=commands, cwd=ROOT, env=deployment.environment, text=True, check=True
    )
