"""Errors that a caller can act on. `lib/http.py` alone turns their kind into an HTTP status."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: where it is (`batch[3].event`) and what to do about it."""

    path: str
    problem: str


class AppError(Exception):
    """Base of all errors raised on purpose: a stable code, words for people, faults with paths."""

    code = "error"

    def __init__(
        self, message: str, *, details: Sequence[Problem] = (), code: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = tuple(details)
        if code is not None:
            self.code = code


class Malformed(AppError):
    """The input cannot be read: bad JSON, wrong type, missing field."""

    code = "malformed"


class Unauthorized(AppError):
    """No key, or one that we do not know."""

    code = "unauthorized"


class Forbidden(AppError):
    """The key is known but may not do this."""

    code = "forbidden"


class NotFound(AppError):
    """The named thing does not exist."""

    code = "not_found"


class Conflict(AppError):
    """The state has moved on, or the key is taken."""

    code = "conflict"


class TooLarge(AppError):
    """The input passes a size limit."""

    code = "too_large"


class Unprocessable(AppError):
    """The input can be read but makes no sense."""

    code = "unprocessable"


class TooManyRequests(AppError):
    """A bucket is empty; try again after `retry_after_s` seconds."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(AppError):
    """The truth store is away; nothing was accepted; send it again."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
