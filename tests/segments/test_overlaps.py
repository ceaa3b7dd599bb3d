"""What segments share: exact where that is quick, else a bounded sample with its margin."""

from itertools import pairwise

import numpy as np
import pytest

from personalization.customers.models import Customer
from segments import overlaps
from segments.models import Segment, Size
from tests.events.processor.log import NOW
from tests.segments.live.world import filled

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _none(db: None) -> None:
    Segment.objects.all().delete()


def people(number: int) -> list[int]:
    made = [Customer(assignment_key=f"u{n}", created_at=NOW) for n in range(number)]
    return [one.pk for one in Customer.objects.bulk_create(made)]


@pytest.mark.usefixtures("_none")
def test_overlaps__many_pairs__sampled_within_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = people(3_200)
    a, b = filled("a", ids[:2_400]), filled("b", ids[1_200:2_400])
    monkeypatch.setattr(overlaps, "PAIRED", 1_000)

    found = overlaps.overlaps(most=10)

    assert not found.exact
    assert 0 < found.margin < 1_200
    truth = {(a.pk, a.pk): 2_400, (b.pk, b.pk): 1_200, (a.pk, b.pk): 1_200, (b.pk, a.pk): 1_200}
    assert found.shared.keys() == truth.keys()
    assert all(abs(found.shared[pair] - many) <= found.margin for pair, many in truth.items())


@pytest.mark.usefixtures("_none")
def test_overlaps__more_than_wanted__the_largest_as_last_measured() -> None:
    ids = people(5)
    filled("small", ids)
    large = filled("large", ids[:2])
    Size.objects.create(segment=large, at=NOW, members=9)

    found = overlaps.overlaps(most=1)

    assert ([row.key for row in found.rows], found.left_out) == (["large"], 1)
    # counted, not as measured
    assert (found.shared, found.exact) == ({(large.pk, large.pk): 2}, True)


def test_buckets__whatever_the_sizes__what_is_paired_is_bounded() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        sizes = sorted(rng.integers(0, 3_000_000, 20).tolist(), reverse=True)
        pairs = sum(min(a, b) for a in sizes for b in sizes)
        assert overlaps._buckets(sizes) == max(1, int(64 * overlaps.PAIRED / pairs))
    assert overlaps._buckets([100, 10]) == 64
    grown = [overlaps._buckets([10**power] * 3) for power in range(5, 9)]
    assert all(before >= after >= 1 for before, after in pairwise(grown))
