"""A pytest plugin that starts the tests' own PostgreSQL and Redis before Django reads its settings.

Each run has its own LOCAL_DIR, so runs side by side do not meet. Loaded by `-p tests.servers`
(pyproject.toml).
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "DATABASE_URL" not in os.environ and os.environ.get("P13N_TEST_SERVERS") != "off":
    _local = Path(tempfile.mkdtemp(prefix="p13n-"))
    _local.chmod(0o711)  # PostgreSQL refuses root, so its user must be able to walk in
    os.environ["LOCAL_DIR"] = str(_local)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from personalization.lib.embedded import servers

    def _stop() -> None:
        servers.remove(_local)
        shutil.rmtree(_local, ignore_errors=True)

    atexit.register(_stop)
    servers.start(_local)
