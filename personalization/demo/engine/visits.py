"""When the demo's customers come, and what for: sessions with seasonal, weekly and daily rhythm."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.shop import LEAVES
from personalization.demo.engine.shoppers import DEVICES, Shoppers

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

# Share of a day's visits by hour of the day: a lunch bump and an evening peak.
_HOURS = np.array(
    [9, 5, 3, 2, 2, 3, 8, 18, 30, 38, 42, 46, 52, 48, 44, 44, 48, 56, 66, 80, 92, 86, 58, 26],
    dtype=np.float64,
)
# Monday first: Sunday evening is the strongest, Friday and Saturday the weakest.
_WEEKDAYS = np.array([1.06, 1.0, 0.98, 1.0, 0.9, 0.92, 1.18])
# Over the window the shop grows by a fifth; one sale of three days doubles the visits.
_GROWTH = 0.2
_SALE_DAYS_AGO = (31, 30, 29)
_SALE_FACTOR = 1.8
# Missions beyond one's own tastes: what is in season, gifts.
_SEASONAL_SHARE = 0.2
_LOGGED_IN_SHARE = 0.7
_OTHER_DEVICE_SHARE = 0.12
_SECOND_BROWSER_SHARE = 0.35


@dataclass(frozen=True, slots=True)
class Visits:
    """Sessions, in no particular order of time; the first ones bring every customer once.

    Attributes
    ----------
    customer : (n,) int32
    start_us : (n,) int64
        Microseconds since the epoch.
    mission : (n,) int16
        The leaf that they came for.
    browser : (n,) int8
        Which of the customer's browsers (0 or 1) is used; it makes the anonymous id.
    device : (n,) int8
    logged_in : (n,) bool
        Whether they are known from the first event on.
    """

    customer: NDArray[np.int32]
    start_us: NDArray[np.int64]
    mission: NDArray[np.int16]
    browser: NDArray[np.int8]
    device: NDArray[np.int8]
    logged_in: NDArray[np.bool_]


def make_visits(
    rng: np.random.Generator,
    shoppers: Shoppers,
    *,
    n_visits: int,
    end_us: int,
    days: int,
    offset_us: int,
) -> Visits:
    """Draw `n_visits` sessions that start in the `days` before `end_us`.

    `offset_us` is the UTC offset of the shop, whose days and hours make the rhythm.
    """
    # Everybody comes once; who comes again is a matter of habit.
    everybody = rng.permutation(shoppers.size)[:n_visits]
    again = rng.choice(shoppers.size, n_visits - len(everybody), p=shoppers.activity)
    customer = np.concatenate([everybody, again]).astype(np.int32)
    start_us = _starts(rng, n_visits, end_us=end_us, days=days, offset_us=offset_us)
    second = shoppers.second_device[customer] & (rng.random(n_visits) < _SECOND_BROWSER_SHARE)
    usual = shoppers.device[customer]
    other = rng.integers(0, len(DEVICES), n_visits).astype(np.int8)
    swap = second | (rng.random(n_visits) < _OTHER_DEVICE_SHARE)
    return Visits(
        customer=customer,
        start_us=start_us,
        mission=_missions(rng, shoppers, customer, _day_of_year(start_us + offset_us)),
        browser=second.astype(np.int8),
        device=np.where(swap, other, usual).astype(np.int8),
        logged_in=shoppers.account[customer] & (rng.random(n_visits) < _LOGGED_IN_SHARE),
    )


def season(day_of_year: NDArray[np.float64]) -> NDArray[np.float64]:
    """How well each leaf sells on each day, (n_days, n_leaves); 1 is its average over the year.

    A cosine around the leaf's best day; its `season` of 1 means nothing sells half a year away.
    """
    peak = np.array([leaf.peak_day for _, leaf in LEAVES])
    amplitude = np.array([leaf.season for _, leaf in LEAVES])
    return np.asarray(1.0 + amplitude * np.cos(2 * np.pi * (day_of_year[:, None] - peak) / 365.25))


def _starts(
    rng: np.random.Generator, n: int, *, end_us: int, days: int, offset_us: int
) -> NDArray[np.int64]:
    hours = days * 24
    ago = np.arange(hours)  # hour 0 is the last one
    local = (end_us + offset_us - (ago + 1) * HOUR_US) // HOUR_US
    day = local // 24
    weight = _HOURS[local % 24] * _WEEKDAYS[(day + 3) % 7]  # day 0 of the epoch was a Thursday
    weight *= 1.0 + _GROWTH * (1.0 - ago / hours)
    weight *= np.where(np.isin(ago // 24, _SALE_DAYS_AGO), _SALE_FACTOR, 1.0)
    chosen = rng.choice(hours, n, p=weight / weight.sum())
    return np.asarray(end_us - chosen * HOUR_US - rng.integers(1, HOUR_US, n), dtype=np.int64)


def _missions(
    rng: np.random.Generator,
    shoppers: Shoppers,
    customer: NDArray[np.int32],
    day: NDArray[np.int64],
) -> NDArray[np.int16]:
    """Mostly a favourite leaf, the more in season the likelier; else whatever is in season."""
    calendar = season(np.arange(367, dtype=np.float64))
    favourites = shoppers.favourites[customer]
    weight = shoppers.affinity[customer] * (0.25 + calendar[day[:, None], favourites])
    own = favourites[np.arange(len(customer)), pick(rng, weight)]
    cumulative = np.cumsum(calendar, axis=1)
    cumulative /= cumulative[:, -1:]
    # One sorted array for all days: row d lies in [d, d + 1).
    flat = (cumulative + np.arange(367)[:, None]).ravel()
    seasonal = np.searchsorted(flat, day + rng.random(len(day))) - day * len(LEAVES)
    use_season = rng.random(len(customer)) < _SEASONAL_SHARE
    return np.where(use_season, np.minimum(seasonal, len(LEAVES) - 1), own).astype(np.int16)


def pick(rng: np.random.Generator, weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each row the index of one column, drawn in proportion to its weight."""
    cumulative = np.cumsum(weight, axis=1)
    point = rng.random((len(weight), 1)) * cumulative[:, -1:]
    return np.asarray((cumulative < point).sum(axis=1))


def _day_of_year(local_us: NDArray[np.int64]) -> NDArray[np.int64]:
    days = local_us // DAY_US
    year = days.astype("datetime64[D]").astype("datetime64[Y]")
    return np.asarray(days - year.astype("datetime64[D]").astype(np.int64) + 1)
