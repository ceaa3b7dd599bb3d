"""What `/v1/consent` accepts, as plain values: every fault at once, with its path."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from personalization.lib.errors import Malformed, Problem

# Lengths of the columns that hold them.
_ID_LENGTH = 255
_WORD_LENGTH = 40


@dataclass(frozen=True, slots=True)
class Ids:
    """Who the caller says that it is; "" where nothing was said."""

    user_id: str
    user_token: str
    anonymous_id: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One call's words about purposes."""

    ids: Ids
    purposes: Mapping[str, bool]
    source: str
    policy_version: str


def parse_ids(data: Mapping[str, Any]) -> Ids:
    """Read userId, userToken and anonymousId of a body or a query string."""
    problems: list[Problem] = []
    ids = _ids(data, problems)
    _refuse(problems)
    return ids


def parse_statement(data: Any) -> Statement:
    """Read a body of `POST /v1/consent`."""
    if not isinstance(data, dict):
        msg = "the body must be a JSON object"
        raise Malformed(msg)
    problems: list[Problem] = []
    statement = Statement(
        ids=_ids(data, problems),
        purposes=_purposes(data.get("purposes"), problems),
        source=_text(data, "source", _WORD_LENGTH, problems) or "api",
        policy_version=_text(data, "policyVersion", _WORD_LENGTH, problems),
    )
    _refuse(problems)
    return statement


def _ids(data: Mapping[str, Any], problems: list[Problem]) -> Ids:
    return Ids(
        user_id=_text(data, "userId", _ID_LENGTH, problems),
        user_token=_text(data, "userToken", _ID_LENGTH, problems),
        anonymous_id=_text(data, "anonymousId", _ID_LENGTH, problems),
    )


def _text(data: Mapping[str, Any], name: str, length: int, problems: list[Problem]) -> str:
    value = data.get(name)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # shops number their users and their policies
    if not isinstance(value, str) or len(value) > length or "\x00" in value:
        problems.append(Problem(name, f"is a text of at most {length} characters without NUL"))
        return ""
    return value


def _purposes(value: Any, problems: list[Problem]) -> Mapping[str, bool]:
    if not isinstance(value, dict) or not value:
        problems.append(Problem("purposes", 'is an object such as {"personalization": true}'))
        return {}
    problems += [
        Problem(f"purposes.{key[:_WORD_LENGTH]}", "is true or false")
        for key, granted in value.items()
        if not isinstance(granted, bool)
    ]
    return value


def _refuse(problems: list[Problem]) -> None:
    if problems:
        msg = "the call cannot be read"
        raise Malformed(msg, details=problems)
