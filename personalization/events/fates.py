"""What became of events that left no row: duplicates, withheld ones. For the debugger.

Noted in memory on the hot path, written by a background job about twice a second, kept for
minutes. A lost note loses nothing: counters and answers have already told. Of a withheld event
only its name is kept.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta

from personalization.events.models import Fate
from personalization.lib import clock

# A storm of duplicates must not become a storm of writes: what does not fit here is not shown.
_MOST = 200
_KEPT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Note:
    """One event and its fate."""

    at: datetime
    fate: str
    name: str
    message_id: str
    reason: str


_notes: deque[Note] = deque(maxlen=_MOST)


def note(fate: str, *, at: datetime, name: str, message_id: str = "", reason: str = "") -> None:
    """Remember one fate until the next flush."""
    _notes.append(Note(at, fate, name, message_id, reason))


def flush() -> int:
    """Write what was noted and forget what is old; return how many were written."""
    taken = [_notes.popleft() for _ in range(len(_notes))]
    if not taken:
        return 0
    Fate.objects.bulk_create(
        Fate(at=n.at, fate=n.fate, name=n.name, message_id=n.message_id, reason=n.reason)
        for n in taken
    )
    Fate.objects.filter(at__lt=clock.now() - _KEPT).delete()
    return len(taken)
