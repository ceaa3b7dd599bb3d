"""Segments and countries of customers, as the trainer is given them."""

import numpy as np
import pytest

from personalization.customers.models import Profile
from recommender.groups import groups
from segments.models.rules import Membership, Segment, SegmentVersion
from tests.recommender.shop import NOW, customer

pytestmark = pytest.mark.django_db


def segment(key: str, *members: int, published: bool = True) -> None:
    row = Segment.objects.create(key=key, title=key, created_at=NOW, updated_at=NOW)
    made = SegmentVersion.objects.create(segment=row, number=1, rule={}, created_at=NOW)
    if published:
        Segment.objects.filter(pk=row.pk).update(published=made)
    Membership.objects.bulk_create(
        Membership(segment_id=row.pk, version_id=made.pk, customer_id=one, entered_at=NOW)
        for one in members
    )


def told(*customers: int) -> list[list[str]]:
    found = groups(np.array(sorted(customers), np.int64))
    return [[found.labels[code] for code in found.combos[place]] for place in found.places]


def test_groups__segments_in_force_and_countries__of_the_customers_asked() -> None:
    ann, bob, eve, sam = (customer(name).customer_id for name in ("ann", "bob", "eve", "sam"))
    for who, country in ((ann, "DE"), (bob, "DE"), (sam, "FR"), (eve, "")):
        Profile.objects.create(customer_id=who, country=country, updated_at=NOW)
    segment("vip", ann, sam)
    segment("draft", eve, published=False)

    assert told(ann, bob, eve) == [["segment:vip", "country:DE"], ["country:DE"], []]


def test_groups__equal_sets__are_one() -> None:
    people = [customer(f"u{number}").customer_id for number in range(6)]
    segment("vip", *people[:4])

    found = groups(np.array(people, np.int64))

    assert len(found.combos) == 2
    assert np.bincount(found.places).tolist() == [2, 4]


def test_groups__nobody_and_nothing__empty() -> None:
    assert told() == []
    assert told(customer("ann").customer_id) == [[]]
