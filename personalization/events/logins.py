"""What a batch changes about who is who: ids seen for the first time, log-ins, alias calls."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from personalization.consent.selectors import resolved
from personalization.customers import services as customers
from personalization.customers.history import adopt_new_devices
from personalization.customers.models import Identity
from personalization.events.attribution import ANONYMOUS, USER, Key, Known
from personalization.events.rows import Candidate

# A pair that may not be joined (parted by staff, too many ids) is asked about again after a while.
_REFUSED_FOR = timedelta(minutes=1)
_MOST_REFUSED = 10_000

# (identity of the user, identity of the device) -> until when not to ask. Rows, not values: a new
# generation of a device is another row.
_refused: dict[tuple[int, int], datetime] = {}


@dataclass(frozen=True, slots=True)
class Due:
    """Ids without an identity, and (user, device) pairs that are two customers."""

    new: frozenset[Key]
    pairs: frozenset[tuple[str, str]]

    def __bool__(self) -> bool:
        return bool(self.new or self.pairs)


def due(kept: Sequence[Candidate], known: Known) -> Due:
    """Return what must change before the rows of these events can be written."""
    new: set[Key] = set()
    pairs: set[tuple[str, str]] = set()
    for person in {candidate.person for candidate in kept}:
        new.update(key for key in person.keys if key not in known)
        user, device = person.user, person.device
        if user is not None and device is not None and apart(user, device, known):
            pairs.add((user, device))
    return Due(frozenset(new), frozenset(pairs))


def apart(user: str, device: str, known: Known) -> bool:
    """Whether the two are two customers that a log-in may join."""
    owner, held = known.get((USER, user)), known.get((ANONYMOUS, device))
    if owner is None or held is None:
        return True
    if owner.customer_id == held.customer_id:
        return False
    return (owner.identity_id, held.identity_id) not in _refused


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
        frozenset(pair for pair in wanted.pairs if apart(*pair, known)),
    )
    return perform(rest, keys, now=now) if rest else known


def perform_aliases(
    kept: Sequence[Candidate], written: Collection[str], *, secret: bool, now: datetime
) -> None:
    """Join what alias calls name; once per message, so that a retry undoes no un-merge.

    A browser proves one user id, so for it the previous id can only be a device; a server may name
    another user.
    """
    for candidate in kept:
        draft, user = candidate.draft, candidate.person.user
        if draft.type != "alias" or user is None or draft.message_id not in written:
            continue
        previous = draft.item["previousId"]
        if secret:
            kind = USER if (USER, previous) in resolved([(USER, previous)]) else ANONYMOUS
            customers.alias(previous=(kind, previous), user=user, actor="alias call", now=now)
        elif Identity.objects.filter(kind=ANONYMOUS, value=previous, ended_at=None).exists():
            customers.log_in(user=user, device=previous, now=now)


def _remember_refusal(user: str, device: str, known: Known, now: datetime) -> None:
    if not apart(user, device, known):
        return
    if len(_refused) >= _MOST_REFUSED:
        _refused.clear()
    pair = (known[USER, user].identity_id, known[ANONYMOUS, device].identity_id)
    _refused[pair] = now + _REFUSED_FOR
    for old in [key for key, until in _refused.items() if until <= now]:
        del _refused[old]
