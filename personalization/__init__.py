"""The personalization server: the Django project and its core apps."""

from personalization.celery import app as celery_app

__all__ = ["celery_app"]
