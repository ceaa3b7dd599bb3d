"""The Celery application. Tasks live in each app's `tasks.py`; beat's schedule is `CELERY_BEAT_SCHEDULE`."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "personalization.settings")

from celery import Celery

app = Celery("personalization")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
