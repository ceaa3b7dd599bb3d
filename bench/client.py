"""A small HTTP/1.1 load client: prebuilt requests, keep-alive sockets, one epoll loop, one process.

It shares the machine with the server, so it must cost little: about 20 microseconds a request.
Closed loop (`rate_per_s=None`: every connection always has a request under way) measures
throughput; open loop sends on a fixed schedule and counts latency from the *scheduled* time, so
that a stall is charged to every request it delays.
"""

import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

_HEAD_END = b"\r\n\r\n"


@dataclass(slots=True)
class Load:
    """What came back. `latencies_ms` is in order of completion; statuses count by HTTP code."""

    seconds: float
    latencies_ms: np.ndarray
    statuses: Counter[int]
    sample: bytes = b""

    @property
    def per_second(self) -> float:
        """Answers a second, errors included."""
        return len(self.latencies_ms) / self.seconds

    def percentile_ms(self, share: float) -> float:
        """Latency that `share` (0..1) of the answers did not exceed."""
        return (
            float(np.quantile(self.latencies_ms, share)) if len(self.latencies_ms) else float("nan")
        )


@dataclass(slots=True)
class _Connection:
    sock: socket.socket
    due_at: float = 0.0
    busy: bool = False
    buffer: bytearray = field(default_factory=bytearray)
    needed: int = -1


def request_bytes(
    method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return one HTTP/1.1 request, ready to send."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    if body:
        lines.append("Content-Type: application/json")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + _HEAD_END + body


def run(
    port: int,
    requests: Iterator[bytes],
    *,
    connections: int,
    seconds: float,
    rate_per_s: float | None = None,
) -> Load:
    """Send `requests` for `seconds` (or until they end) and return what came back."""
    selector = selectors.DefaultSelector()
    pool = [_Connection(socket.create_connection(("127.0.0.1", port))) for _ in range(connections)]
    for connection in pool:
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
    try:
        return _drive(selector, pool, requests, seconds, rate_per_s)
    finally:
        for connection in pool:
            connection.sock.close()
        selector.close()


def _drive(
    selector: selectors.BaseSelector,
    pool: list[_Connection],
    requests: Iterator[bytes],
    seconds: float,
    rate_per_s: float | None,
) -> Load:
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    idle = list(pool)
    started = time.perf_counter()
    sent = 0
    exhausted = False
    sample = b""
    while True:
        now = time.perf_counter()
        over = exhausted or now - started >= seconds
        while idle and not over:
            due = now if rate_per_s is None else started + sent / rate_per_s
            if due > now:
                break
            request = next(requests, None)
            if request is None:
                exhausted = over = True
                break
            connection = idle.pop(0)  # in turn: servers close what has been idle for long
            connection.due_at, connection.needed = due, -1
            connection.sock.sendall(request)
            sent += 1
        if over and len(idle) == len(pool):
            break
        wait = (
            0.5
            if rate_per_s is None or over or not idle
            else max(0.0, started + sent / rate_per_s - now)
        )
        for key, _events in selector.select(min(wait, 0.5)):
            connection = key.data
            status = _receive(connection)
            if status:
                latencies.append((time.perf_counter() - connection.due_at) * 1000)
                statuses[status] += 1
                sample = sample or bytes(connection.buffer)
                connection.buffer.clear()
                idle.append(connection)
    return Load(time.perf_counter() - started, np.asarray(latencies), statuses, sample)


def _receive(connection: _Connection) -> int:
    """Read what is there; return the status once the answer is whole, else 0."""
    data = connection.sock.recv(262_144)
    if not data:
        msg = "the server closed a connection; a benchmark needs keep-alive"
        raise ConnectionError(msg)
    connection.buffer += data
    if connection.needed < 0:
        end = connection.buffer.find(_HEAD_END)
        if end < 0:
            return 0
        connection.needed = end + 4 + _content_length(bytes(connection.buffer[:end]).lower())
    if len(connection.buffer) < connection.needed:
        return 0
    return int(connection.buffer[9:12])


def _content_length(head: bytes) -> int:
    at = head.find(b"content-length:")
    if at < 0:
        return 0
    return int(head[at + 15 : head.find(b"\r", at) if head.find(b"\r", at) > 0 else None])
