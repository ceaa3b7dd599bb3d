"""The WSGI door: granian or gunicorn load `application` from here."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("P13N_PROCESS", "web")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
