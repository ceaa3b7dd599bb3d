"""Faults of a rule for people who build it in a form; the API's own words name members and seconds.

Also finds what is no fault to the API but a slip in a form: a comparison with nothing.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from personalization.lib.errors import Problem

_EMPTY = "is empty: write a value, or ask whether it is known"
_TEXTS = frozenset({"eq", "neq"})
_LISTS = frozenset({"in", "not_in", "any_of", "all_of", "none_of"})
# The words of the API, the words of the form; the first that fits.
_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"send seconds since 1970-01-01", "choose a date"),
        (r"send seconds, more than 0 .*", "give a length of time above 0, and at most 3,660 days"),
        (r"must be more than inactive_seconds", "must be longer than the quiet time after it"),
        (r"must be at most periods", "must be at most the number of periods in all"),
        (r"must be less than to", "must be less than the upper end"),
        (r"send a number from 0 to 1", "give a share from 0 to 1"),
        (r"send a text, not empty", "write something"),
        (r"send the beginning of event names", "write how the names of the events begin"),
        (r"send a list with at least one value", "give at least one value"),
        (r"send \[low, high\]", "give both ends"),
        (r"send an ISO 8601 time.*", "choose a date"),
        (r"is a number (?:of 19 digits|that cannot be kept).*", "write a smaller number"),
        (r"is [a-z ]+; send a number, without quotes", "write a number"),
        (r"is empty; that would hold for every text", _EMPTY),
        (r"send (.*)", r"give \1"),
    )
)
# Members of a rule, where the builder calls them otherwise.
_MEMBERS = {"op": "comparison", "window": "when", "seconds": "time", "where": "filter"}
_STEP = re.compile(r"(?:^|\.)(?:and|or)\[(\d+)\]")


def in_words(problem: Problem) -> str:
    """Return what is wrong, for the field that it stands beside."""
    for pattern, words in _WORDS:
        found = pattern.fullmatch(problem.problem)
        if found:
            return found.expand(words)
    return problem.problem


def sentence(problem: Problem) -> str:
    """Return what is wrong and with which condition, as the rule builder numbers them."""
    places = ".".join(str(int(place) + 1) for place in _STEP.findall(problem.path))
    where = f"Condition {places}" if places else "The rule"
    member = "" if problem.path.endswith("]") else problem.path.rpartition(".")[2]
    named = f", {_MEMBERS.get(member, member.replace('_', ' '))}" if member else ""
    return f"{where}{named}: {in_words(problem)}."


def told_faults(problems: Iterable[Problem], *, for_people: bool) -> dict[str, Any]:
    """Return the answer to a rule that cannot be looked at; with `words` for people if asked."""
    found = [
        {"path": one.path, "problem": one.problem}
        | ({"words": in_words(one)} if for_people else {})
        for one in problems
    ]
    return {"valid": False, "problems": found}


def blanks(rule: Any) -> Iterator[Problem]:
    """Yield each comparison of a text with nothing, the outer ones first."""
    todo: deque[tuple[Any, str]] = deque([(rule, "")])
    while todo:
        one, path = todo.popleft()
        if isinstance(one, list):
            todo.extend((inner, f"{path}[{place}]") for place, inner in enumerate(one))
        if not isinstance(one, Mapping):
            continue
        if _is_blank(one.get("op"), one.get("value")):
            yield Problem(f"{path}.value".lstrip("."), _EMPTY)
        todo.extend(
            (inner, f"{path}.{name}".lstrip(".")) for name, inner in one.items() if name != "value"
        )


def _is_blank(op: Any, value: Any) -> bool:
    if not isinstance(op, str):
        return False
    return (op in _TEXTS and value == "") or (
        op in _LISTS and isinstance(value, list) and "" in value
    )
