"""What a batch changes about who is who: ids seen for the first time, log-ins, alias calls."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from personalization.consent.selectors import resolved
from personalization.customers import services as customers
from personalization.customers.errors import MergeConflict, MergeRefused
from personalization.customers.history import adopt_new_devices
from personalization.customers.models import Identity
from personalization.events.attribution import ANONYMOUS, USER, Key, Known
from personalization.events.rows import Candidate

log = structlog.get_logger("events")

# A pair that may not be joined (parted by staff, too many ids) is asked about again after a while.
_REFUSED_FOR = timedelta(minutes=1)
_MOST_REFUSED = 10_000

# (identity of the user, identity of the device) -> until when not to ask, the oldest first. Rows,
# not values: a new generation of a device is another row. Threads write it under the lock alone.
_refused: dict[tuple[int, int], datetime] = {}
_remembering = threading.Lock()


@dataclass(frozen=True, slots=True)
class Due:
    """Ids without an identity, and (user, device) pairs that are two customers."""

    new: frozenset[Key]
    pairs: frozenset[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.new or self.pairs)


def due(kept: Sequence[Candidate], known: Known, *, now: datetime) -> Due:
    """Return what must change before the rows of these events can be written."""
    new: set[Key] = set()
    pairs: set[tuple[str, str]] = set()
    for person in {candidate.person for candidate in kept}:
        new.update(key for key in person.keys if key not in known)
        user, device = person.user, person.device
        if user is not None and device is not None and apart(user, device, known, now):
            pairs.add((user, device))
    return Due(frozenset(new), frozenset(pairs))


def apart(user: str, device: str, known: Known, now: datetime) -> bool:
    """Whether the two are two customers that a log-in may join."""
    owner, held = known.get((USER, user)), known.get((ANONYMOUS, device))
    if owner is None or held is None:
        return True
    if owner.customer_id == held.customer_id:
        return False
    until = _refused.get((owner.identity_id, held.identity_id))
    return until is None or until <= now


def perform(wanted: Due, keys: Collection[Key], *, now: datetime) -> Known:
    """Create the identities, log the pairs in, and return what stands behind the ids now.

    Joins the caller's transaction.
    """
    if wanted.new:
        customers.create_identities(sorted(wanted.new), now=now)
    for user, device in sorted(wanted.pairs):
        customers.log_in(user=user, device=device, now=now)
    known = resolved(keys)
    for user, device in wanted.pairs:
        _remember_refusal(user, device, known, now)
    return known


def perform_in_bulk(wanted: Due, keys: Collection[Key], *, now: datetime) -> Known:
    """Do as `perform`, with devices that nobody has seen yet in one statement."""
    fresh = [pair for pair in wanted.pairs if (ANONYMOUS, pair[1]) in wanted.new]
    if not fresh:
        return perform(wanted, keys, now=now)
    users = sorted({(USER, user) for user, _ in fresh} & wanted.new)
    customers.create_identities(users, now=now)
    adopt_new_devices(fresh, now=now)
    known = resolved(keys)
    rest = Due(
        frozenset(wanted.new - known.keys()),
        frozenset(pair for pair in wanted.pairs if apart(*pair, known, now)),
    )
    return perform(rest, keys, now=now) if rest else known


def aliases(kept: Sequence[Candidate]) -> list[Candidate]:
    """Return the alias calls that may join something."""
    return [
        candidate
        for candidate in kept
        if candidate.draft.type == "alias" and candidate.person.user is not None
    ]


def perform_aliases(
    calls: Sequence[Candidate], written: Collection[str], *, secret: bool, now: datetime
) -> None:
    """Join what alias calls name; once per message, so that a retry undoes no un-merge.

    Joins the caller's transaction, in which the events were written: a crash loses both or none.
    One that is refused stays an event and joins nothing; the others go on.
    """
    for candidate in calls:
        user = candidate.person.user
        if user is None or candidate.draft.message_id not in written:
            continue
        previous = candidate.draft.item["previousId"]
        try:
            with transaction.atomic():
                _join(previous, user, secret=secret, now=now)
        except (MergeConflict, MergeRefused) as refusal:
            rows = resolved([(USER, user), (USER, previous), (ANONYMOUS, previous)]).values()
            identities = sorted(row.identity_id for row in rows)
            log.warning("alias.refused", code=refusal.code, identities=identities)


def _join(previous: str, user: str, *, secret: bool, now: datetime) -> None:
    """Make `previous` the user's.

    A browser proves one user id, so for it the previous id can only be a device; a server may name
    another user.
    """
    if secret:
        kind = USER if (USER, previous) in resolved([(USER, previous)]) else ANONYMOUS
        customers.alias(previous=(kind, previous), user=user, actor="alias call", now=now)
    elif Identity.objects.filter(kind=ANONYMOUS, value=previous, ended_at=None).exists():
        customers.log_in(user=user, device=previous, now=now)


def _remember_refusal(user: str, device: str, known: Known, now: datetime) -> None:
    if not apart(user, device, known, now):
        return
    pair = (known[USER, user].identity_id, known[ANONYMOUS, device].identity_id)
    with _remembering:
        _refused.pop(pair, None)
        _refused[pair] = now + _REFUSED_FOR
        # ends at this one at the latest
        while len(_refused) > _MOST_REFUSED or next(iter(_refused.values())) <= now:
            del _refused[next(iter(_refused))]
