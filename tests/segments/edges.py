"""The moments at which a rule may change by the clock alone: where boundary steps belong."""

from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from tests.segments.casefiles import leaves, wheres
from tests.segments.oracle_operators import local, midnight_us, seconds_us

DAY_US = 86_400_000_000


def edges_us(
    rules: Iterable[Mapping[str, Any]],
    times_us: Iterable[int],
    *,
    zone: str,
    retention_days: float | None = None,
) -> list[int]:
    """Return every moment at which an event at one of these times enters or leaves something."""
    every_leaf = [leaf for rule in rules for leaf in leaves(rule)]
    times = set(times_us)
    found = {at + after for at in times for leaf in every_leaf for after in _constants_us(leaf)}
    if retention_days is not None:
        found |= {at + seconds_us(retention_days * 86_400) for at in times}
    for window in filter(None, (leaf.get("window") for leaf in every_leaf)):
        found |= _of_window(window, times, ZoneInfo(zone))
    return sorted(found)


def _constants_us(leaf: Mapping[str, Any]) -> set[int]:
    window = leaf.get("window", {})
    seconds = [window.get(key) for key in ("seconds", "from_seconds", "to_seconds")]
    seconds += [leaf.get(key) for key in ("after", "before_seconds", "inactive_seconds")]
    seconds += [step.get("within") for step in leaf.get("steps", ())]
    seconds += [c["value"] for c in wheres(leaf) if c["op"] == "within_last"]
    seconds += [leaf["value"]] if leaf.get("op") == "within_last" else []
    seconds += [leaf["period"] * (i + 1) for i in range(leaf.get("periods", 0))]
    return {seconds_us(value) for value in seconds if value is not None}


def _of_window(window: Mapping[str, Any], times: Iterable[int], zone: ZoneInfo) -> set[int]:
    if window["type"] == "absolute":
        return {seconds_us(window[key]) for key in ("from", "to")}
    if window["type"] != "calendar_days":
        return set()
    days = {local(at, zone).date().toordinal() + window["days"] for at in times}
    return {midnight_us(local(0, zone).date().fromordinal(day), zone) for day in days}
