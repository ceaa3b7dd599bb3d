"""Who stands in the way of a server, and who does not."""

import socket
from collections.abc import Iterator
from unittest import mock

import pytest

from personalization.lib import ports

TAKEN = "stop what listens there or set PORT"


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_PATIENCE_S", 0.0)


@pytest.fixture(name="server")
def _server() -> Iterator[socket.socket]:
    """A socket of a server that is not bound yet, with the flag that all servers set."""
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield made


def listen(server: socket.socket, host: str = "127.0.0.1") -> int:
    server.bind((host, 0))
    server.listen()
    return int(server.getsockname()[1])


def test_require_free__free_port__passes_and_leaves_it_free(server: socket.socket) -> None:
    port = listen(server)
    server.close()

    ports.require_free("127.0.0.1", port)

    assert ports.fault_of("127.0.0.1", port) is None


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0"), ("0.0.0.0", "127.0.0.1")],  # noqa: S104 -- as in a container
)
def test_require_free__somebody_listens__one_sentence(
    server: socket.socket, theirs: str, ours: str
) -> None:
    port = listen(server, theirs)

    with pytest.raises(ports.PortError) as refused:
        ports.require_free(ours, port)

    assert str(refused.value) == f"port {port} is taken: {TAKEN}"


def test_require_free__listener_that_shares_as_granian_does__is_noticed(
    server: socket.socket,
) -> None:
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    port = listen(server)

    with pytest.raises(ports.PortError, match="is taken"):
        ports.require_free("127.0.0.1", port)


def test_require_free__ended_connections_only__passes(server: socket.socket) -> None:
    port = listen(server)
    with socket.create_connection(("127.0.0.1", port)) as client:
        served, _ = server.accept()
        served.close()  # the first to close waits for the end of the connection
        assert client.recv(1) == b""
    server.close()

    ports.require_free("127.0.0.1", port)


def test_require_free__address_of_no_machine_here__says_what_to_set() -> None:
    with pytest.raises(ports.PortError, match=r"192\.0\.2\.1:8000 .*: set HOST or PORT"):
        ports.require_free("192.0.2.1", 8000)


def test_name__known__address_that_a_server_takes() -> None:
    assert ports.address_of("localhost") in {"127.0.0.1", "::1"}
    assert ports.address_of("127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "", "..", "a" * 64 + ".de", "127.0.0.1:80", "http://localhost"]
)
def test_name__unknown__told_with_the_setting(host: str) -> None:
    assert ports.fault_of(host, 8000) == ports.Fault(mock.ANY, "set HOST")
