"""What rules read of a profile's state."""

import pytest

from personalization.customers.engine import profile
from segments.live.deciding import traits

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("place", [place for place, _, _ in profile.TRAITS])
def test_traits__of_one_size_alone__are_read(place: str) -> None:
    state = {place: {"note": [1, "m1", "hello"]}}

    assert traits(state, 0)["note"] == "hello"
    assert "note" not in traits({}, 0)
