"""Environment variables of the settings; one that cannot be read is noted and told by a check.

A traceback while settings load names no variable and gives no hint. The default holds until the
check `ops.E017` stops the start.
"""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

_NUMBERS = {int: "a whole number", float: "a number"}


class NotingEnv(environ.FileAwareEnv):  # type: ignore[misc]  # environ ships no types
    """`unreadable`: (variable, what it must be) for each that was given and cannot be read."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: list[tuple[str, str]] = []

    def get_value(self, var: Any, cast: Any = None, default: Any = None, **kwargs: Any) -> Any:
        """Return the value; the default where a number was asked for and none is there."""
        try:
            return super().get_value(var, cast=cast, default=default, **kwargs)
        except ValueError:
            if cast not in _NUMBERS:
                raise
            self.unreadable.append((var, _NUMBERS[cast]))
            return default

    def database(self, url: str, default: dict[str, Any]) -> dict[str, Any]:
        """Return the database of DATABASE_URL; `default` without one that can be read."""
        if not url:
            return default
        try:
            found: dict[str, Any] = self.db_url_config(url)
        except (ValueError, KeyError, ImproperlyConfigured):
            found = {}
        if found.get("ENGINE") == "django.db.backends.postgresql":
            return found
        self.unreadable.append(("DATABASE_URL", "postgres://USER:PASSWORD@HOST:PORT/NAME"))
        return default
