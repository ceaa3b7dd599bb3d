"""Who an event belongs to, and which purposes it may serve. No writes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from personalization.access import serve as access
from personalization.consent.selectors import Resolved
from personalization.consent.serve import Purposes
from personalization.customers.engine import ids
from personalization.events.engine.shards import shard_of
from personalization.events.sending import Sending

# Values of customers.Identity.Kind, which lives beside tables.
USER = 1
ANONYMOUS = 2

Key = tuple[int, str]
Known = Mapping[Key, Resolved]

_usable = lru_cache(maxsize=8192)(ids.usable)


@dataclass(slots=True, eq=False)
class Person:
    """The ids of an event that count; compared by identity, one object per distinct pair and call.

    `claimed` is a user id that was not proven. `key` is the identity that the event belongs to: the
    user's, else the device's, else nobody's; `keys` every identity that it names.
    """

    user: str | None
    device: str | None
    claimed: str | None
    shard: int
    key: Key | None
    keys: tuple[Key, ...]


NOBODY = Person(None, None, None, 0, None, ())


def person_with(user: str | None, device: str | None, *, claimed: str | None) -> Person:
    """Return whose an event with these ids is; ids that stand for nobody do not count."""
    user = user if user is not None and _usable(user) else None
    device = device if device is not None and _usable(device) else None
    held = (ANONYMOUS, device) if device is not None else None
    if user is not None:
        owner = (USER, user)
        keys = (owner,) if held is None else (owner, held)
        return Person(user, device, claimed, shard_of(*owner), owner, keys)
    if held is not None:
        return Person(None, device, claimed, shard_of(*held), held, (held,))
    return NOBODY if claimed is None else Person(None, None, claimed, 0, None, ())


class People:
    """The persons of one call; each distinct pair of ids is judged once."""

    __slots__ = ("_seen", "_sending")

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._seen: dict[tuple[object, ...], Person] = {}

    def of(self, user: str | None, device: str | None, token: str | None) -> Person:
        """Return whose the ids are."""
        asked = (user, device, token)
        person = self._seen.get(asked)
        if person is None:
            person = self._seen[asked] = self._judged(user, device, token)
        return person

    def keys(self) -> set[Key]:
        """Every identity that the call names."""
        return {key for person in self._seen.values() for key in person.keys}

    def _judged(self, user: str | None, device: str | None, token: str | None) -> Person:
        claimed = None
        if user is not None and not (_usable(user) and self._proven(user, token)):
            user, claimed = None, user
        return person_with(user, device, claimed=claimed)

    def _proven(self, user: str, token: str | None) -> bool:
        sending = self._sending
        if sending.proven is not None:
            return sending.proven
        presented = token or sending.user_token
        return access.proven(sending.caller, user, presented, now=sending.received_at)


class Gate:
    """Purposes in force for the events of one call."""

    __slots__ = ("_gpc", "_known", "_masks", "_purposes")

    def __init__(self, purposes: Purposes, known: Known, *, gpc: bool) -> None:
        self._purposes = purposes
        self._known = known
        self._gpc = gpc
        self._masks: dict[Person, int] = {}

    def mask(self, person: Person, context: Mapping[str, Any]) -> int:
        """Return the bitmask of purposes that hold for this event.

        While user and device are two customers, both must allow: which of them said the latest
        word is known once they are one.
        """
        restrict = _restriction(context)
        if restrict is None:
            mask = self._masks.get(person)
            if mask is None:
                mask = self._masks[person] = self._in_force(person, None)
            return mask
        return self._in_force(person, restrict)

    def _in_force(self, person: Person, restrict: Mapping[str, Any] | None) -> int:
        known = [self._known[key] for key in person.keys if key in self._known]
        said: Iterable[tuple[int, int]] = {(one.granted, one.denied) for one in known} or {(0, 0)}
        mask = -1
        for granted, denied in said:
            mask &= self._purposes.in_force(granted, denied, gpc=self._gpc, restrict=restrict)
        return mask


def _restriction(context: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`context.consent.categoryPreferences`; anything but an object there is taken as silence."""
    consent = context.get("consent")
    if type(consent) is not dict:
        return None
    preferences = consent.get("categoryPreferences")
    return preferences if type(preferences) is dict and preferences else None
