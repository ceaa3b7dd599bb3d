"""Why a customer is in a segment, or not: each condition with the value that decided, and its age.

Decided from the facts and the profile as they are now, by the engine: not from what the processor
remembers, so that it also says where that lags behind.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import connection

from personalization.consent.panels import customer_detail as consent_of
from personalization.consent.serve import PERSONALIZATION
from personalization.customers import profiles
from personalization.customers.engine import profile
from personalization.customers.models import Customer, Identity
from personalization.events import facttable
from personalization.lib import clock
from personalization.lib.storable import BIGINT_DIGITS, whole_number
from segments import errors, selectors
from segments.engine.explaining import Explained, Explanation
from segments.engine.held import Held
from segments.engine.language import Node, Rule, parse
from segments.live import rules
from segments.live.deciding import Crowd, masks_of
from segments.models import ListMember, Membership, Score, SegmentVersion, State
from segments.words import describe, describe_part

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Status = SegmentVersion.Status
# Which version speaks for a segment that has none in force.
_PREFERRED = (_Status.PUBLISHED, _Status.SHADOW, _Status.DRAFT, _Status.STANDBY, _Status.RETIRED)
_ORDERS = frozenset({"orders", "revenue_minor", "last_order"})
_SEEN = frozenset({"events", "sessions", "last_seen"})


@dataclass(frozen=True, slots=True)
class Why:
    """What one version says of one customer.

    `holds` is the rule's own verdict; a `member` also consents to personalization and is known by
    an event. `recorded`: the table of members says so too; None for versions that are not decided
    live. `turns_at`: when membership changes if no event comes.
    """

    key: str
    title: str
    version: int
    status: str
    sentence: str
    member: bool
    reason: str
    holds: bool
    recorded: bool | None
    since: datetime | None
    turns_at: datetime | None
    root: Explained


def customer_for(term: str) -> int | None:
    """Return the customer who goes by an id: user id first, anonymous id, our uuid or number.

    One that was absorbed answers for whom it is part of now.
    """
    if "\0" in term:
        return None
    owners = Identity.objects.filter(value=term, ended_at=None).order_by("kind")
    found = owners.values_list("customer_id", flat=True).first()
    rows = Customer.objects.values_list("pk", flat=True)
    if found is None:
        with suppress(ValueError):
            found = rows.filter(uuid=UUID(term)).first()
    number = whole_number(term, BIGINT_DIGITS)
    if found is None and number is not None:
        found = rows.filter(pk=number).first()
    return None if found is None else present(found)


def present(customer_id: int) -> int:
    """Return the customer that holds what this one had: the end of a chain of merges."""
    seen = {customer_id}
    while True:
        into = Customer.objects.values_list("merged_into_id", flat=True).get(pk=customer_id)
        if into is None or into in seen:
            return customer_id
        seen.add(into)
        customer_id = into


def why(customer_id: int, key: str, *, number: int | None = None, now: datetime) -> Why:
    """Return why a customer is in a segment or not, by a version; by the one in force.

    Raises
    ------
    SegmentUnknown
        There is no such segment, or no such version of it.
    """
    [found] = explained(customer_id, [version_of(key, number)], now=now)
    return found


def version_of(key: str, number: int | None = None) -> SegmentVersion:
    """Return a version of a segment; without a number the one in force, or that will be.

    Raises SegmentUnknown.
    """
    rows = SegmentVersion.objects.filter(segment__key=key).select_related("segment")
    if number is not None:
        rows = rows.filter(number=number)
    ranked = sorted(rows, key=lambda row: (_PREFERRED.index(_Status(row.status)), -row.number))
    if not ranked:
        which = f"version {number} of segment" if number is not None else "segment"
        msg = f"there is no {which} {key!r}"
        raise errors.SegmentUnknown(msg)
    return ranked[0]


def explained(customer_id: int, versions: Sequence[SegmentVersion], *, now: datetime) -> list[Why]:
    """Return why for several versions at once: what is known of the customer is read once."""
    if not versions:
        return []
    in_force = _in_force()
    explanation = Explanation(
        {str(row.pk): row.rule for row in versions}, in_force, rules.setting()
    )
    standing = _Standing(customer_id, explanation)
    catalogue = selectors.catalogue()

    def tell(node: Node) -> str:
        return describe_part(node, catalogue)

    trees = explanation.explained(
        standing.person, standing.events, clock.to_us(now), tell, standing.since
    )
    entered = dict(
        Membership.objects.filter(
            customer_id=customer_id, version_id__in=[row.pk for row in versions]
        ).values_list("version_id", "entered_at")
    )
    return [
        _why(row, trees[str(row.pk)], standing, entered, describe(parse(row.rule), catalogue))
        for row in versions
    ]


def reasons(customer_id: int, keys: Sequence[str], *, now: datetime) -> dict[str, Any]:
    """Return, by key, why a customer is or is not in some segments in force, as JSON."""
    rows = SegmentVersion.objects.filter(status=_Status.PUBLISHED, segment__key__in=keys)
    told = explained(customer_id, list(rows.select_related("segment")), now=now)
    return {one.key: as_json(one) for one in told}


def _why(
    row: SegmentVersion,
    root: Explained,
    standing: "_Standing",
    entered: Mapping[int, datetime],
    sentence: str,
) -> Why:
    live = row.status in selectors.LIVE and row.ready_at is not None
    return Why(
        key=row.segment.key,
        title=row.segment.title,
        version=row.number,
        status=row.status,
        sentence=sentence,
        member=root.holds and not standing.reason,
        reason=standing.reason,
        holds=root.holds,
        recorded=row.pk in entered if live or row.status == _Status.PUBLISHED else None,
        since=entered.get(row.pk),
        turns_at=None if standing.reason else moment(root.turns_at),
        root=root,
    )


class _Standing:
    """What is known of one customer: for the rules of one explanation."""

    def __init__(self, customer_id: int, explanation: Explanation) -> None:
        states = profiles.states([customer_id])
        masks = masks_of([customer_id])
        live = rules.Live(
            explanation.program, (), MappingProxyType({}), MappingProxyType({}), generation=0
        )
        crowd = Crowd(live, [customer_id], states, masks)
        self.person = crowd.person(customer_id, Held())
        self.person.first_seen = facttable.first_seen([customer_id])[customer_id]
        self.events = crowd.history(customer_id)
        self.reason = ""
        if not masks[customer_id] & PERSONALIZATION:
            self.reason = "no_consent"
        elif not State.objects.filter(pk=customer_id).exists():
            # nobody is decided before the first event is folded
            self.reason = "no_events"
        self.since = _since(customer_id, states.get(customer_id, {}), explanation.reads)


def _in_force() -> dict[str, Rule]:
    rows = SegmentVersion.objects.filter(status=_Status.PUBLISHED)
    return dict(rows.values_list("segment__key", "rule"))


def _since(
    customer_id: int, state: Mapping[str, Any], reads: frozenset[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Return when the facts that rules read became what they are, where that is known."""
    kinds = {kind for kind, _ in reads}
    found: dict[tuple[str, str], int] = {}
    if "profile" in kinds:
        keys = [key for kind, key in reads if kind == "profile"]
        found |= {("profile", key): at for key, at in _traits_since(customer_id, state, keys)}
    for kind, ask in _DATED.items():
        if kind in kinds:
            found |= {(kind, key): clock.to_us(at) for key, at in ask(customer_id)}
    return found


def _traits_since(
    customer_id: int, state: Mapping[str, Any], keys: Iterable[str]
) -> Iterable[tuple[str, int]]:
    _, _, last_order = profile.orders(dict(state))
    said: Mapping[str, Any] | None = None
    for key in keys:
        at: int | None = None
        if key.startswith("consent."):
            said = consent_of(customer_id) if said is None else said
            told = said.get(key.removeprefix("consent."), {}).get("said")
            at = clock.to_us(told["at"]) if told else None
        elif key in _ORDERS:
            at = last_order
        elif key in _SEEN or key == "first_seen":
            at = state.get("f" if key == "first_seen" else "l")
        elif key in state.get("x", {}):
            at = state["x"][key][0]
        else:
            words = [state.get(place, {}).get(key) for place, _, _ in profile.TRAITS]
            at = max((word[0] for word in words if word), default=None)
        if at is not None:
            yield key, at


def _segments_since(customer_id: int) -> Iterable[tuple[str, datetime]]:
    with connection.cursor() as cursor:
        cursor.execute(_ENTERED, [customer_id])
        rows: list[tuple[str, datetime]] = cursor.fetchall()
    return rows


_ENTERED = """
SELECT s.key, m.entered_at FROM segments_membership m
JOIN segments_segment s ON s.published_id = m.version_id WHERE m.customer_id = %s
"""


def _lists_since(customer_id: int) -> Iterable[tuple[str, datetime]]:
    rows = ListMember.objects.filter(customer_id=customer_id).order_by("-added_at")
    return rows.values_list("segment__key", "added_at")


def _scores_since(customer_id: int) -> Iterable[tuple[str, datetime]]:
    return Score.objects.filter(customer_id=customer_id).values_list("key", "as_of")


_DATED = {"segment": _segments_since, "list": _lists_since, "score": _scores_since}


def moment(us: int | None) -> datetime | None:
    """Return microseconds as a time; None for none, and for what no calendar has."""
    if us is None:
        return None
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError:
        return None


# --- As JSON ---


def as_json(found: Why) -> dict[str, Any]:
    """Return an answer for the API, times as ISO 8601."""
    return {
        "segment": found.key,
        "title": found.title,
        "version": found.version,
        "status": found.status,
        "sentence": found.sentence,
        "member": found.member,
        "reason": found.reason,
        "recorded": found.recorded,
        "since": found.since,
        "turns_at": found.turns_at,
        "rule": part_json(found.root),
    }


def part_json(node: Explained, *, deep: bool = True) -> dict[str, Any]:
    """Return one node; `deep`: with its parts."""
    told: dict[str, Any] = {
        "path": node.path,
        "kind": node.op,
        "sentence": node.sentence,
        "holds": node.holds,
        "turns_at": moment(node.turns_at),
    }
    figure = node.figure
    if figure is not None:
        told |= {
            "value": moment(figure.value) if figure.is_time else figure.value,
            "of": figure.of,
            "at": moment(figure.at),
            "last_at": moment(figure.last_at),
            "then_at": moment(figure.then_at),
        }
    if deep:
        told["parts"] = [part_json(part) for part in node.parts]
    return told
