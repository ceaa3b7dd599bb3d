"""Reads for people: finding a customer by an id, and what the customer page shows."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from personalization.customers import traits
from personalization.customers.models import Customer, Identity, Merge, Profile
from personalization.lib.storable import BIGINT_DIGITS, whole_number


@dataclass(frozen=True, slots=True)
class TraitLine:
    """One trait of a customer; `declared` is false for one that no Trait row names."""

    key: str
    title: str
    value: object
    declared: bool


@dataclass(frozen=True, slots=True)
class CustomerPage:
    """What the customer page shows by itself; panels of upper floors come after it."""

    customer: Customer
    profile: Profile | None
    identities: tuple[Identity, ...]
    traits: tuple[TraitLine, ...]
    merges: tuple[Merge, ...]
    absorbed_by: Merge | None

    @property
    def title(self) -> str:
        """Return the id that people know the customer by: a user id first, else the newest."""
        ranked = sorted(
            (one for one in self.identities if one.ended_at is None),
            key=lambda one: (one.kind, -one.pk),
        )
        return ranked[0].value if ranked else str(self.customer.uuid)

    @property
    def last_seen_at(self) -> datetime | None:
        """Return when the customer was seen last."""
        return self.profile.last_seen_at if self.profile else None


def has_user(customer_id: int) -> bool:
    """Whether a user id stands behind the customer: somebody has logged in."""
    return Identity.objects.filter(customer_id=customer_id, kind=Identity.Kind.USER).exists()


def by_any_id(rows: QuerySet[Customer], term: str) -> QuerySet[Customer]:
    """Return the customers that go by exactly this id: user id, anonymous id, our uuid or number.

    Index look-ups alone: the ids are found first, since an OR over a join reads every row.
    """
    found = list(Identity.objects.filter(value=term).values_list("customer_id", flat=True)[:50])
    number = whole_number(term, BIGINT_DIGITS)
    if number is not None:
        found.append(number)
    with suppress(ValueError):
        found += Customer.objects.filter(uuid=UUID(term)).values_list("pk", flat=True)
    return rows.filter(pk__in=found)


def going_by(rows: QuerySet[Customer], kind: int, value: str) -> QuerySet[Customer]:
    """Return the one customer of `rows` that goes by this id now, or none."""
    owners = Identity.objects.filter(value=value, kind=kind, ended_at=None).values("customer_id")
    return rows.filter(pk__in=owners)


def customer_page(customer_id: int) -> CustomerPage | None:
    """Return what the customer page shows; None when there is no such customer. Five queries."""
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        return None
    profile = Profile.objects.filter(pk=customer_id).first()
    merges = Merge.objects.filter(Q(target_id=customer_id) | Q(source_id=customer_id))
    ordered = tuple(merges.order_by("-pk")[:50])
    return CustomerPage(
        customer=customer,
        profile=profile,
        identities=tuple(Identity.objects.filter(customer_id=customer_id).order_by("kind", "pk")),
        traits=_traits(profile),
        merges=ordered,
        absorbed_by=next(
            (row for row in ordered if row.source_id == customer_id and row.undone_at is None), None
        ),
    )


def _traits(profile: Profile | None) -> tuple[TraitLine, ...]:
    """Return the customer's traits, the declared ones first and by title."""
    declared = traits.declared()
    values = profile.traits if profile else {}
    lines = [
        TraitLine(key, declared[key].title if key in declared else key, value, key in declared)
        for key, value in values.items()
    ]
    return tuple(sorted(lines, key=lambda line: (not line.declared, line.title.lower())))
