"""The pure parts of ingestion: clocks, shards, descriptions, numbers."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from personalization.events import agents, places
from personalization.events.engine import flags, schema, shards, times
from personalization.events.engine.outliers import Pictures, usual_range
from personalization.events.engine.taxonomy import BUILT_IN, FACTS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.mark.parametrize(
    ("original", "sent", "expected"),
    [
        (None, None, NOW),
        (NOW - timedelta(days=2), None, NOW - timedelta(days=2)),
        (NOW - 5 * YEAR - timedelta(hours=1), NOW - 5 * YEAR, NOW - timedelta(hours=1)),
        (NOW + YEAR, NOW + YEAR + timedelta(minutes=3), NOW - timedelta(minutes=3)),
        (NOW + YEAR, None, NOW + timedelta(minutes=5)),
        (NOW - 3 * YEAR, None, NOW - YEAR),
        (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NOW - YEAR),
        (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC), NOW + times.AHEAD),
    ],
)
def test_occurred__any_clock__is_by_the_servers(
    original: datetime | None, sent: datetime | None, expected: datetime
) -> None:
    assert times.occurred(original, sent_at=sent, received_at=NOW, retention=YEAR) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T23:30:00-02:00", date(2026, 3, 2)),
        ("2015-01-01T00:00:00Z", date(2015, 1, 1)),
        ("2014-12-31T23:59:59Z", times.SENTINEL),
        ("2040-01-01T00:00:00Z", times.SENTINEL),
        ("2026-03-01", date(2026, 3, 1)),
    ],
)
def test_day_of__raw_time__is_its_utc_day(text: str, expected: date) -> None:
    assert times.day_of(times.parsed(text)) == expected


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "2" * 41, 5, None])
def test_parsed__no_time__is_none(text: object) -> None:
    assert times.parsed(text) is None


@given(st.sampled_from([1, 2]), st.text(max_size=40))
def test_shard_of__any_identity__is_in_range(kind: int, value: str) -> None:
    assert 0 <= shards.shard_of(kind, value) < shards.SHARDS


def test_shard_of__known_identity__stays_for_good() -> None:
    assert [shards.shard_of(1, "u1"), shards.shard_of(2, "u1"), shards.shard_of(2, "a1")] == SHARDS


SHARDS = [20, 36, 61]


def test_built_in__all__compile_and_have_known_facts() -> None:
    entries = [{"name": t.name, "fact": t.fact, "properties": t.properties} for t in BUILT_IN]

    assert len(schema.compiled(entries)) == len(BUILT_IN)
    assert {t.fact for t in BUILT_IN} <= set(FACTS)


@pytest.mark.parametrize(
    ("properties", "paths"),
    [
        ({"product_id": "a"}, []),
        ({"sku": 7, "unknown": object}, []),
        ({}, ["properties.product_id"]),
        ({"product_id": "a", "price": True}, ["properties.price"]),
        ({"product_id": "a", "price": -1}, ["properties.price"]),
        ({"product_id": "a", "price": 1e300, "name": 5}, ["properties.price", "properties.name"]),
    ],
)
def test_check__product_viewed__names_each_fault(
    properties: dict[str, object], paths: list[str]
) -> None:
    known = schema.compiled(
        [{"name": t.name, "fact": t.fact, "properties": t.properties} for t in BUILT_IN]
    )

    assert [p.path for p in known.check("Product Viewed", properties)] == paths


def test_check__products_of_an_order__names_the_element() -> None:
    known = schema.compiled(
        [{"name": t.name, "fact": t.fact, "properties": t.properties} for t in BUILT_IN]
    )
    order = {"order_id": "o", "products": [{"product_id": "a"}, {"quantity": "2"}, 3]}

    paths = [p.path for p in known.check("Order Completed", order)]

    assert paths == ["properties.products[1].quantity", "properties.products[2]"]


@pytest.mark.parametrize(
    "text", ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123+01:00", None]
)
def test_check__datetime_that_is_a_time__has_no_fault(text: object) -> None:
    known = schema.compiled([{"name": "X", "fact": "", "properties": {"at": {"type": "datetime"}}}])

    assert known.check("X", {"at": text}) == []


@pytest.mark.parametrize("odd", ["yesterday, perhaps", "", "2026-02-31", "31.01.2026", 7])
def test_check__datetime_that_is_no_time__names_the_property_and_the_fix(odd: object) -> None:
    known = schema.compiled([{"name": "X", "fact": "", "properties": {"at": {"type": "datetime"}}}])

    (fault,) = known.check("X", {"at": odd})

    assert fault.path == "properties.at"
    assert "2026-01-31T12:00:00Z" in fault.problem


def test_check__datetime_in_an_element__names_the_element() -> None:
    properties = {"stays": {"type": "objects", "of": {"from": {"type": "datetime"}}}}
    known = schema.compiled([{"name": "X", "fact": "", "properties": properties}])

    paths = [p.path for p in known.check("X", {"stays": [{"from": "2026-01-31"}, {"from": "x"}]})]

    assert paths == ["properties.stays[1].from"]


def test_usual_range__few_values__is_boundless() -> None:
    assert usual_range([1.0] * 49) == (float("-inf"), float("inf"))


def test_usual_range__one_to_hundred__is_the_wider_of_both_rules() -> None:
    # Q1 = 25.75, Q3 = 75.25, IQR = 49.5: fences -122.75 and 223.75, wider than 50.5 +- 129.7
    low, high = usual_range(float(value) for value in range(1, 101))

    assert (low, high) == pytest.approx((-122.75, 223.75))


def test_usual_range__half_of_all_far_to_one_side__is_that_of_the_z_score() -> None:
    # Q1 = 90, Q3 = 100: fences 60 and 130; median 100, MAD 10: z-score of 3.5 at 100 +- 51.9
    low, high = usual_range([90.0] * 45 + [100.0] * 32 + [200.0] * 23)

    assert (low, high) == pytest.approx((100 - 35 / 0.6745, 100 + 35 / 0.6745))


def test_outlying__numbers_only__and_remembers() -> None:
    pictures = Pictures()
    for price in range(200):
        pictures.outlying("x", {"price": 10 + price % 5, "value": "text", "quantity": True})

    assert pictures.outlying("x", {"price": 1_000_000})
    assert not pictures.outlying("y", {"price": 1_000_000})


def test_names__of_flags__lowest_first() -> None:
    assert flags.names(flags.CLAIMED | flags.BOT) == ["bot", "claimed user id"]


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("", (False, "")),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", (True, "")),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0 Safari/537.36", (True, "")),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0 Safari/537.36",
            (False, "desktop"),
        ),
        ("Mozilla/5.0 (iPad; CPU OS 16_5 like Mac OS X) Mobile/15E148 Safari", (False, "tablet")),
        ("Mozilla/5.0 (Linux; Android 13; SM-X700) Chrome/112.0 Safari/537.36", (False, "tablet")),
        ("Mozilla/5.0 (Linux; Android 13; Pixel 7) Chrome/112 Mobile Safari", (False, "mobile")),
        ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) Version/6.0 TV Safari", (False, "tv")),
        ("Mozilla/5.0 (PlayStation 5) AppleWebKit/605.1.15", (False, "console")),
    ],
)
def test_classified__known_agents__are_told_apart(agent: str, expected: tuple[bool, str]) -> None:
    assert agents.classified(agent) == expected


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("203.0.113.77", "203.0.113.0"),
        ("2001:db8:1234:5678::1", "2001:db8:1234::"),
        ("::ffff:203.0.113.77", "203.0.113.0"),
        ("not an address", ""),
        ("", ""),
    ],
)
def test_truncated__address__loses_its_host(address: str, kept: str) -> None:
    assert places.truncated(address) == kept


@pytest.mark.parametrize(
    ("country", "region", "expected"),
    [
        ("de", "by", ("DE", "BY")),
        ("XX", "", ("", "")),
        ("Germany", "", ("", "")),
        ("T1", "", ("", "")),
    ],
)
def test_located__header__is_taken_when_sane(
    country: str, region: str, expected: tuple[str, str]
) -> None:
    assert places.located("203.0.113.7", country=country, region=region) == expected


def test_located__unreadable_database__means_unknown(settings: Settings) -> None:
    settings.GEO_MMDB = "/nowhere.mmdb"

    assert places.located("203.0.113.7", country="", region="") == ("", "")
