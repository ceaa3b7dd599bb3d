"""`manage.py up` and `manage.py demo` where somebody else listens on their port."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from personalization.lib.embedded import servers
from tests.faults.deployment import ROOT, Deployment
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="elsewhere a listener is not always noticed"
)


SERVERS = ("postgres", "cache", "broker")


@pytest.fixture(name="other")
def _other() -> Iterator[socket.socket]:
    """A socket that shares its port with whoever shares it too, as granian's do."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        yield made


@pytest.fixture(name="deployment")
def _deployment() -> Iterator[Deployment]:
    made = Deployment()
    yield made
    made.remove()


@pytest.mark.parametrize("command", ["up", "demo"])
def test_start__port_taken__refused_in_a_sentence_before_anything_starts(
    deployment: Deployment, other: socket.socket, command: str
) -> None:
    other.bind(("127.0.0.1", deployment.port))
    other.listen()

    done = subprocess.run(
        [sys.executable, "manage.py", command],
        cwd=ROOT,
        env=deployment.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    told = f"port {deployment.port} is taken: stop what listens there or set PORT"
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"CommandError: {told}"]
    assert not any(servers.answers(deployment.local, name) for name in SERVERS)


# It makes a whole database first.
@pytest.mark.deep
def test_start__port_taken_while_it_prepares__refused_and_its_servers_stopped(
    deployment: Deployment, other: socket.socket
) -> None:
    deployment.launch()
    wait_for("preparation", lambda: deployment.program("prepare"), 60, deployment.told)
    other.bind(("127.0.0.1", deployment.port))
    other.listen()

    code = deployment.wait()

    told = deployment.told()
    assert code == 1, told
    assert f"port {deployment.port} is taken" in told
    assert f"{'web':10}started" not in told
    assert not any(servers.answers(deployment.local, name) for name in SERVERS)
