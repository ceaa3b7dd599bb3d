"""The feature matrix: what is known of each customer at a time, from events at or before it alone.

Everything is a count or a sum over sorted arrays; no Python object an event. The columns are those
of `catalogue.FEATURES`; docs/algorithms/clusters.md lists them.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segments.learning.engine.catalogue import NAMES

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# `line`: one product of an order; an order is one `order` row and its lines.
KINDS = (
    "other",
    "view",
    "add",
    "remove",
    "order",
    "line",
    "refund",
    "search",
    "dwell",
    "wishlist",
    "review",
    "cart",
)
KIND = {name: place for place, name in enumerate(KINDS)}
DEVICES = ("", "desktop", "mobile", "tablet", "other")
DAY_US = 86_400_000_000
# As profiles count sessions (docs/algorithms/profiles.md).
SESSION_GAP_US = 30 * 60 * 1_000_000
_WEEKEND = 5
# Where the parts of a day begin, local time.
_MORNING, _NOON, _EVENING = 6, 12, 18


@dataclass(frozen=True, slots=True)
class Events:
    """Events of customers as parallel arrays (n,), in any order.

    `customer` int64 id; `at_us` int64 microseconds since the epoch; `kind` int8 place in KINDS;
    `item`, `category`, `brand`, `session` int64 codes, 0 where there is none; `value_minor`
    float64: worth of an order or refund, price of a piece for view, add and line, nan unknown;
    `discounted` bool (orders); `device` int8 place in DEVICES; `hour` int8 0..23 and `weekday` int8
    0 Monday..6, both of the shop's time zone.
    """

    customer: Ints
    at_us: Ints
    kind: NDArray[np.int8]
    item: Ints
    category: Ints
    brand: Ints
    session: Ints
    value_minor: Floats
    discounted: Mask
    device: NDArray[np.int8]
    hour: NDArray[np.int8]
    weekday: NDArray[np.int8]

    def __post_init__(self) -> None:
        """Refuse columns that do not fit together."""
        lengths = {len(getattr(self, one.name)) for one in fields(self)}
        if len(lengths) != 1:
            msg = f"event arrays differ in length: {sorted(lengths)}"
            raise ValueError(msg)

    def __len__(self) -> int:
        return len(self.customer)

    def take(self, rows: NDArray[Any]) -> "Events":
        """Return the events of a mask or of places."""
        return Events(*(getattr(self, one.name)[rows] for one in fields(self)))

    def until(self, as_of_us: int, *, after_us: int | None = None) -> "Events":
        """Return the events of (after_us, as_of_us]."""
        mask = self.at_us <= as_of_us
        if after_us is not None:
            mask &= self.at_us > after_us
        return self.take(mask)

    def of(self, *kinds: str) -> "Events":
        """Return the events of some kinds."""
        return self.take(np.isin(self.kind, [KIND[name] for name in kinds]))


def concatenated(parts: list[Events]) -> Events:
    """Return the events of all parts."""
    return Events(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Events)))


@dataclass(frozen=True, slots=True)
class Matrix:
    """`values` (n, len(NAMES)) float64, nan where undefined; `customers` (n,) int64, ascending."""

    customers: Ints
    values: Floats
    as_of_us: int


def log_days(events: Events, as_of_us: int) -> float:
    """Return how long a log of at least one event was at a moment, in days."""
    return (as_of_us - int(events.at_us.min())) / DAY_US


def feature_matrix(events: Events, *, as_of_us: int) -> Matrix:
    """Return the features of every customer with an event at or before `as_of_us`.

    Later events change nothing, whatever they are. Counts of nothing are 0; what needs an order, a
    price or a device that is not there is nan. Order of the rows does not matter. O(n log n).
    """
    known = events.until(as_of_us)
    # equal times are ordered by their own content, so that sums do not depend on arrival
    order = np.lexsort((known.item, known.kind, known.at_us, known.customer))
    known = known.take(order)
    customers, row = np.unique(known.customer, return_inverse=True)
    made = _Maker(known, row.astype(np.int64), len(customers), as_of_us)
    columns = made.columns()
    return Matrix(customers, np.column_stack([columns[name] for name in NAMES]), as_of_us)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Events up to the moment, sorted by customer and time; `row` the customer's place."""

    events: Events
    row: Ints
    n: int
    as_of_us: int

    def columns(self) -> dict[str, Floats]:
        """Return every feature by name, (n,) each."""
        return {
            **self._activity(),
            **self._orders(),
            **self._interest(),
            **self._variety(),
            **self._habits(),
        }

    def _is(self, *kinds: str) -> Mask:
        mask: Mask = np.isin(self.events.kind, [KIND[name] for name in kinds])
        return mask

    def _within(self, days: int) -> Mask:
        mask: Mask = self.events.at_us > self.as_of_us - days * DAY_US
        return mask

    def _count(self, mask: Mask) -> Floats:
        return np.bincount(self.row[mask], minlength=self.n).astype(np.float64)

    def _sum(self, mask: Mask, values: Floats) -> Floats:
        return np.bincount(self.row[mask], values[mask], minlength=self.n).astype(np.float64)

    def _days_since(self, mask: Mask, *, first: bool = False) -> Floats:
        """Return days since the latest (or first) event of `mask`, nan without one."""
        found = np.full(self.n, np.nan)
        rows, times = self.row[mask], self.events.at_us[mask]
        if first:  # sorted by time: the earliest is written last
            rows, times = rows[::-1], times[::-1]
        found[rows] = (self.as_of_us - times) / DAY_US
        return found

    def _activity(self) -> dict[str, Floats]:
        whole = ~self._is("line")
        starts = self._session_starts(whole)
        sessions, events = self._count(starts), self._count(whole)
        day = self.events.at_us // DAY_US
        return {
            "days_since_event": self._days_since(whole),
            "days_since_view": self._days_since(self._is("view")),
            "tenure_days": self._days_since(whole, first=True),
            "events": events,
            "sessions": sessions,
            "sessions_30d": self._count(starts & self._within(30)),
            "active_days_30d": self._distinct(whole & self._within(30), day),
            "events_per_session": _ratio(events, sessions),
        }

    def _session_starts(self, whole: Mask) -> Mask:
        """Return which events begin a session: a client's session id wins over the gap."""
        places = np.flatnonzero(whole)
        starts = np.zeros(len(self.events), np.bool_)
        if not len(places):
            return starts
        who, at, given = (
            column[places]
            for column in (self.events.customer, self.events.at_us, self.events.session)
        )
        named = (given[1:] != 0) & (given[:-1] != 0)
        parted = np.where(named, given[1:] != given[:-1], np.diff(at) > SESSION_GAP_US)
        starts[places[0]] = True
        starts[places[1:]] = (np.diff(who) != 0) | parted
        return starts

    def _orders(self) -> dict[str, Floats]:
        placed, refunded, late = self._is("order"), self._is("refund"), self._within(90)
        worth = np.nan_to_num(self.events.value_minor)
        orders, paid = self._count(placed), self._sum(placed, worth)
        since, first = self._days_since(placed), self._days_since(placed, first=True)
        apart = _ratio(first - since, np.where(orders > 1, orders - 1, np.nan))
        return {
            "orders": orders,
            "orders_90d": self._count(placed & late),
            "revenue_minor": paid - self._sum(refunded, worth),
            "revenue_90d_minor": self._sum(placed & late, worth),
            "order_value_minor": _ratio(paid, orders),
            "lines_per_order": _ratio(self._count(self._is("line")), orders),
            "days_since_order": since,
            "days_between_orders": apart,
            "order_overdue": _ratio(since, apart),
            "refund_share": _ratio(self._count(refunded), orders),
            "discount_share": _ratio(self._count(placed & self.events.discounted), orders),
        }

    def _interest(self) -> dict[str, Floats]:
        viewed, added = self._is("view"), self._is("add")
        season = self._within(90)
        views = self._count(viewed & season)
        return {
            "views_7d": self._count(viewed & self._within(7)),
            "views_30d": self._count(viewed & self._within(30)),
            "views_90d": views,
            "adds_7d": self._count(added & self._within(7)),
            "adds_30d": self._count(added & self._within(30)),
            "adds_per_view": _ratio(self._count(added & season), views),
            "searches_30d": self._count(self._is("search") & self._within(30)),
            "items_viewed": self._distinct(viewed, self.events.item),
        }

    def _variety(self) -> dict[str, Floats]:
        met = self._is("view", "add", "line")
        prices = self.events.value_minor
        priced = met & np.isfinite(prices)
        count = self._count(priced)
        mean = _ratio(self._sum(priced, prices), count)
        away = np.where(priced, (prices - mean[self.row]) ** 2, 0.0)
        spread = np.sqrt(_ratio(self._sum(priced, away), count))
        categories = self._shares(met & (self.events.category != 0), self.events.category)
        brands = self._shares(met & (self.events.brand != 0), self.events.brand)
        return {
            "price_minor": mean,
            "price_spread": _ratio(spread, mean),
            "categories": categories[0],
            "top_category_share": categories[1],
            "category_bits": categories[2],
            "top_brand_share": brands[1],
            "brand_bits": brands[2],
        }

    def _habits(self) -> dict[str, Floats]:
        whole = ~self._is("line")
        events, hour = self._count(whole), self.events.hour
        known = whole & (self.events.device != 0)
        phone = known & (self.events.device == DEVICES.index("mobile"))
        early = (hour >= _MORNING) & (hour < _NOON)
        return {
            "mobile_share": _ratio(self._count(phone), self._count(known)),
            "night_share": _ratio(self._count(whole & (hour < _MORNING)), events),
            "morning_share": _ratio(self._count(whole & early), events),
            "evening_share": _ratio(self._count(whole & (hour >= _EVENING)), events),
            "weekend_share": _ratio(self._count(whole & (self.events.weekday >= _WEEKEND)), events),
        }

    def _distinct(self, mask: Mask, values: Ints) -> Floats:
        pairs = np.unique(np.column_stack([self.row[mask], values[mask]]), axis=0)
        return np.bincount(pairs[:, 0], minlength=self.n).astype(np.float64)

    def _shares(self, mask: Mask, codes: Ints) -> tuple[Floats, Floats, Floats]:
        """Return (different codes, share of the most frequent, entropy in bits)."""
        pairs, counts = np.unique(
            np.column_stack([self.row[mask], codes[mask]]), axis=0, return_counts=True
        )
        row = pairs[:, 0]
        total = np.bincount(row, counts, minlength=self.n).astype(np.float64)
        top = np.zeros(self.n)
        np.maximum.at(top, row, counts)
        share = counts / total[row]
        bits = np.bincount(row, -share * np.log2(share), minlength=self.n)
        different = np.bincount(row, minlength=self.n).astype(np.float64)
        return different, _ratio(top, total), np.where(total > 0, bits, np.nan)


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return part / whole, nan where the whole is 0 or nan."""
    found = np.full(len(whole), np.nan)
    np.divide(part, whole, out=found, where=np.isfinite(whole) & (whole != 0))
    return found
