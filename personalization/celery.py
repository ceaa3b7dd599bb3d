"""The Celery application. Tasks live in each app's `tasks.py`; beat's plan is in the settings."""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "worker" in sys.argv[1:]:
    # `celery --app ... worker` counts for /metrics, under a supervisor of others too.
    os.environ.setdefault("P13N_PROCESS", "worker")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")

import warnings
from pathlib import Path
from typing import Any

from celery import Celery, signals

from personalization.lib import background
from personalization.lib.embedded import servers

# Root is usual in a container; what makes it dangerous, messages as pickle, is never accepted.
warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")

_path = sys.path[:]
app = Celery("personalization")
# It has put the folder where the process was started before all others, which may be anybody's.
sys.path[:] = [str(Path(__file__).resolve().parent.parent), *_path]
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
def _ensure_servers(**_: Any) -> None:
    """Have the broker and the database up before the worker looks for them."""
    servers.ensure()


@signals.worker_ready.connect
def _start_background(**_: Any) -> None:
    """Start the worker's periodic jobs in its main process; the pool was forked before."""
    background.start("worker", queues=sorted(app.amqp.queues.consume_from))
