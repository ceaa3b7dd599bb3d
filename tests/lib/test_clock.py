"""lib.clock: the only clock."""

from datetime import UTC, datetime

import pytest

from personalization.lib import clock


def test_now__frozen__returns_the_frozen_time() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    with clock.frozen(at):
        assert clock.now() == at
        assert clock.now_us() == 1_772_366_400_000_000


def test_frozen__naive_datetime__raises() -> None:
    with pytest.raises(ValueError, match="aware"), clock.frozen(datetime(2026, 3, 1)):  # noqa: DTZ001
        pass


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/X",
        "Europe",
        "America",
        "UTC+1",
        "é",
        "\ud800",
        "../../etc/passwd",
        "/etc/passwd",
        "a" * 300,
        "tzdata.zi",
        ".",
        "a..b/c",
        "Europe/",
        "a\0",
    ],
)
def test_zone__name_that_nobody_knows__none(name: str) -> None:
    assert clock.zone(name) is None


def test_zone__known__itself() -> None:
    assert str(clock.zone("Europe/Berlin")) == "Europe/Berlin"
