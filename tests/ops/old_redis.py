"""A server that speaks just enough of Redis's protocol to tell an old version."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INFO = b"# Server\r\nredis_version:6.0.16\r\n"


class _Old(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while header := self.rfile.readline():
            parts = []
            for _ in range(int(header[1:])):
                self.rfile.readline()
                parts.append(self.rfile.readline().strip())
            told = b"$%d\r\n%s\r\n" % (len(_INFO), _INFO)
            self.wfile.write(told if parts[0].upper() == b"INFO" else b"+OK\r\n")


@contextmanager
def old_redis(folder: Path) -> Iterator[str]:
    """Yield the URL of a Redis 6.0.16."""
    path = folder / "old.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Old) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"unix://{path}"
        server.shutdown()
