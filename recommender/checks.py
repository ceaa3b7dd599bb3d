"""Bad settings of the recommender as system checks, so that they show at boot."""

from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from recommender import weighing


def register_all() -> None:
    """Have Django run these checks."""
    register(weights_are_sound, Tags.compatibility)


def weights_are_sound(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the settings of how events count."""
    return [Error(words, hint=hint, id=code) for code, words, hint in weighing.faults()]
