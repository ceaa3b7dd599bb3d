"""A dump restored into another cluster goes on: transaction ids begin anew, nothing is skipped."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from personalization.lib.embedded import paths, place, postgres, servers
from tests.faults.accounting import assert_all_once
from tests.faults.deployment import Deployment, deployed
from tests.faults.traffic import Traffic

pytestmark = [
    pytest.mark.deep,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc"),
]
_LIMITS = {"RATE_SECRET_KEY_PER_S": "1000000", "RATE_ADDRESS_PER_S": "1000000"}
BEFORE, UNREAD, AFTER = 2_000, 1_000, 1_000


def test_restore__dump_with_unread_events__all_once_in_the_new_cluster(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    with deployed(**_LIMITS) as old:
        made = old.manage("create_key", "--kind", "secret", "--name", "restore")
        key = made.strip().splitlines()[-1]
        read = _sent(old, key, BEFORE, "r")
        assert_all_once(old, read.told, prefix="r")
        # What comes now is in the log and in no profile.
        os.kill(old.program("processor"), signal.SIGSTOP)
        unread = _sent(old, key, UNREAD, "s")
        _run(old, "pg_dump", "--format=custom", f"--file={dump}")

    new = Deployment(**_LIMITS)
    try:
        servers.start(new.local)
        _run(new, "pg_restore", "--exit-on-error", str(dump))
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


def _run(deployment: Deployment, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the deployment's database."""
    with place.locked(deployment.local):
        binary = postgres._binary(place.settle(deployment.local), program)
    where = ["-h", str(paths.socket_dir(deployment.local)), "-U", "postgres", "-d"]
    subprocess.run([str(binary), *where, "personalization", *arguments], check=True)
