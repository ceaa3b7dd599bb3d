"""The clock of a message: its day (part of its key) and when it happened by the server's clock."""

from datetime import UTC, date, datetime, timedelta

# A device that names a day outside this range has no clock worth believing.
FIRST_DAY = datetime(2015, 1, 1, tzinfo=UTC)
END_DAY = datetime(2040, 1, 1, tzinfo=UTC)
# Day of messages that name none; lies in the DEFAULT partition for ever.
SENTINEL = date(1970, 1, 1)
# How far ahead of the server an event may lie: what is left of the skew after correction.
AHEAD = timedelta(minutes=5)
# The longest ISO 8601 form that anybody writes.
_MAX_TEXT = 40


def parsed(text: object) -> datetime | None:
    """Return the aware time that an ISO 8601 text names (UTC when it names no zone), else None."""
    if type(text) is not str or len(text) > _MAX_TEXT:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def day_of(original: datetime | None) -> date:
    """Return the UTC day of the message's own raw time; SENTINEL without one or out of range.

    A function of the message alone: never of receipt, of `sentAt` or of corrected time, which
    differ between retries of one message.
    """
    if original is None or not FIRST_DAY <= original < END_DAY:
        return SENTINEL
    # most texts end in Z: nothing to convert
    return original.date() if original.tzinfo is UTC else original.astimezone(UTC).date()


def occurred(
    original: datetime | None,
    *,
    sent_at: datetime | None,
    received_at: datetime,
    retention: timedelta,
) -> datetime:
    """Return when it happened by the server's clock: received_at - (sent_at - original).

    The device's own skew cancels out, since both of its times have it. Without `sent_at` the raw
    time counts; without a raw time, receipt. Clamped to [received_at - retention, received_at + 5
    min].
    """
    if original is None:
        return received_at
    oldest = received_at - retention
    try:
        at = original if sent_at is None else received_at - (sent_at - original)
    except OverflowError:  # the year 1 or 9999 on one side
        return oldest if sent_at is not None and sent_at > original else received_at + AHEAD
    if at < oldest:
        return oldest
    return min(at, received_at + AHEAD)
