"""Bad settings of the recommender as system checks, so that they show at boot."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from recommender import searching, weighing


def register_all() -> None:
    """Have Django run these checks."""
    register(weights_are_sound, Tags.compatibility)
    register(search_ends_in_its_evening, Tags.compatibility)


def weights_are_sound(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the settings of how events count."""
    return [Error(words, hint=hint, id=code) for code, words, hint in weighing.faults()]


def search_ends_in_its_evening(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Return what is wrong with the minutes of the weekly search."""
    if 0 <= settings.RECOMMENDER_SEARCH_MINUTES <= searching.MOST_MINUTES:
        return []
    words = f"RECOMMENDER_SEARCH_MINUTES cannot be {settings.RECOMMENDER_SEARCH_MINUTES:g}"
    hint = (
        f"set it to 0 (no search) up to {searching.MOST_MINUTES}; manage.py train --search takes"
        " longer ones"
    )
    return [Error(words, hint=hint, id="recommender.E004")]
