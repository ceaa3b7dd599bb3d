"""Servers that somebody else runs, given to a deployment by URL."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from personalization.lib.embedded import paths, servers


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A second set of servers, as an operator runs them; yields the directory they live in."""
    local = Path(tempfile.mkdtemp(prefix="p13n-u-"))
    local.chmod(0o711)
    try:
        servers.start(local)
        yield local
    finally:
        servers.remove(local)
        shutil.rmtree(local, ignore_errors=True)


def urls(local: Path) -> dict[str, str]:
    """Return the settings that name these servers."""
    return {
        "DATABASE_URL": f"postgres://postgres@/{paths.socket_dir(local)}/personalization",
        "REDIS_URL": paths.redis_url(local, "cache"),
        "BROKER_URL": paths.broker_url(local),
    }
