"""Events as rules see them, the paths into them, and whether a matcher takes one.

`$context`, `$session` and `$product` lie beside the properties under those names: a context as the
log keeps it, `{"id": ...}`, and a list with one object a product of the event.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from segments.engine.language import Condition, Matcher
from segments.engine.values import condition

Properties = Mapping[str, Any]
Get = Callable[[Properties], Any]
Takes = Callable[[Properties, int], bool]


class Event(NamedTuple):
    """One event of a customer: time in microseconds, place in the log, name, properties."""

    at: int
    seq: int
    name: str
    props: Properties


def steps_of(path: str) -> tuple[str, ...]:
    """Return the steps of a path; a step that ends in `[]` goes through a list's elements."""
    if path.startswith("$product."):
        path = "$product[]" + path.removeprefix("$product")
    return tuple(path.split("."))


def is_many(path: str) -> bool:
    """Whether a path may find several values."""
    return any(step.endswith("[]") for step in steps_of(path))


def values_at(props: Any, steps: tuple[str, ...]) -> list[Any]:
    """Return every value that the path finds, nulls left out."""
    found = [props]
    for step in steps:
        name = step.removesuffix("[]")
        found = [one[name] for one in found if isinstance(one, Mapping) and name in one]
        if step.endswith("[]"):
            found = [inner for one in found if isinstance(one, list) for inner in one]
    return [one for one in found if one is not None]


def getter(path: str) -> Get:
    """Return the function that reads a path of one value; None where it finds nothing."""
    steps = steps_of(path)
    if len(steps) == 1:
        return lambda props, name=path: props.get(name)  # type: ignore[misc]  # the name is bound

    def read(props: Properties) -> Any:
        at: Any = props
        for step in steps:
            if not isinstance(at, Mapping):
                return None
            at = at.get(step)
        return at

    return read


def takes(where: tuple[Condition, ...], zone: ZoneInfo) -> Takes | None:
    """Return the test of all conditions on (properties, time of the event); None without any."""
    tests = [_test(one, zone) for one in where]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda props, at: all(test(props, at) for test in tests)


def names(matcher: Matcher, name: str) -> bool:
    """Whether a matcher means events of that name."""
    return name.startswith(matcher.event) if matcher.prefix else name == matcher.event


def _test(one: Condition, zone: ZoneInfo) -> Takes:
    test = condition(one.op, one.value, zone)
    if not is_many(one.key):
        get = getter(one.key)
        return lambda props, at: test(get(props), at)
    steps = steps_of(one.key)
    if one.op == "not_exists":
        return lambda props, _at: not values_at(props, steps)
    return lambda props, at: any(test(value, at) for value in values_at(props, steps))
