"""The WSGI door: granian or gunicorn load `application` from here, once in each worker process."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("P13N_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")

import structlog
from django.core.wsgi import get_wsgi_application

from personalization.lib import background, collector
from personalization.lib.embedded import servers

try:
    servers.ensure()
except servers.EmbeddedServerError as error:
    # Decisions are answered without any server; readiness says what is missing.
    structlog.get_logger("lib").warning("servers.unavailable", error=str(error))

application = get_wsgi_application()
collector.calm()
background.start("web")
