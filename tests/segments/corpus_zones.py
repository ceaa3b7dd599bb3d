"""Cases of local days where the clocks change, with a person's word on the members."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import (
    DAY,
    HOUR,
    HOUR_BACK,
    T0,
    US,
    Sent,
    around,
    counted,
    last,
    worked,
)


def local_s(zone: str, *wall: int) -> int:
    return int(datetime(*wall, tzinfo=ZoneInfo(zone)).timestamp())  # type: ignore[arg-type,misc]  # year to minute


# A day on which the clocks change, its hours, and what is odd about it.
CHANGES: Sequence[tuple[str, str, tuple[int, int, int], float]] = (
    ("berlin-spring", "Europe/Berlin", (2026, 3, 29), 23),
    ("berlin-autumn", "Europe/Berlin", (2026, 10, 25), 25),
    ("new-york-spring", "America/New_York", (2026, 3, 8), 23),
    ("new-york-autumn", "America/New_York", (2026, 11, 1), 25),
    ("kolkata-never", "Asia/Kolkata", (2026, 10, 25), 24),
    ("lord-howe-autumn", "Australia/Lord_Howe", (2026, 4, 5), 24.5),
    ("lord-howe-spring", "Australia/Lord_Howe", (2026, 10, 4), 23.5),
    ("havana-midnight-twice", "America/Havana", (2026, 11, 1), 25),
    ("beirut-no-midnight", "Asia/Beirut", (2026, 3, 29), 23),
    ("troll-two-hours", "Antarctica/Troll", (2026, 10, 25), 26),
    ("apia-no-friday", "Pacific/Apia", (2011, 12, 31), 24),
)


def time_zones() -> Iterator[Case]:
    for name, zone, day, hours in CHANGES:
        start = local_s(zone, *day)
        end = start + int(hours * HOUR)
        # Apia went from Thursday to Saturday: the day before Saturday has no moment.
        early = "" if zone == "Pacific/Apia" else "before "
        yield worked(
            f"{name}-day",
            counted({"type": "calendar_days", "days": 1}),
            {
                start - 1: "before",
                start: "first",
                end - 1: "first last",
                end - US: "first last",
                end: "",
            },
            sent=[Sent("before", start - 1), Sent("first", start), Sent("last", end - 1)],
            timezone=zone,
        )
        yield worked(
            f"{name}-two-days",
            counted({"type": "calendar_days", "days": 2}, "between", [1, 2]),
            {end - 1: f"{early}u", end: "u", end + DAY - 1: "u", end + DAY: ""},
            sent=[Sent("before", start - 1), Sent("u", start), Sent("u", end - 1)],
            clock=around(start, end),
            timezone=zone,
        )
        yield worked(
            f"{name}-distinct-days",
            counted(last(3 * DAY), "eq", 2, kind="distinct_days"),
            {start: "late u", end - 1: "late u", end: ""},
            sent=[
                Sent("u", start - 1),
                Sent("u", start),
                Sent("u", end - 1),
                Sent("u", end),
                Sent("late", start - 1),
                Sent("late", start, late=0),
                Sent("late", end),
            ],
            clock=around(start - 1 + 3 * DAY, start + 3 * DAY, end + 3 * DAY - 1),
            timezone=zone,
        )
    yield from _weekdays()


def _weekdays() -> Iterator[Case]:
    for zone in ("UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"):
        monday = local_s(zone, 2026, 9, 21)
        where = [{"key": "at", "op": "weekday", "value": [1]}]
        sent = [
            Sent(user, T0 + 1, "view", {"at": at})
            for user, at in (
                ("sunday", monday - US),
                ("monday", monday),
                ("night", monday + DAY - US),
                ("tuesday", monday + DAY),
            )
        ]
        yield worked(
            f"weekday-{zone.replace('/', '-').lower()}",
            counted(HOUR_BACK, where=where),
            {T0: "", T0 + 1: "monday night", T0 + 1 + HOUR: ""},
            sent=sent,
            timezone=zone,
        )
