"""What happens in the demo's sessions: views, carts, orders, refunds, as one table of events."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.shop import LEAF_NUMBER, LEAVES, Shop
from personalization.demo.engine.shoppers import Shoppers
from personalization.demo.engine.visits import DAY_US, Visits
from personalization.demo.engine.words import DEPARTMENTS


class Kind(IntEnum):
    """What an event is; `events.py` gives the wire names."""

    PAGE = 0
    SEARCHED = 1
    LISTED = 2
    VIEWED = 3
    DWELLED = 4
    WISHED = 5
    ADDED = 6
    REMOVED = 7
    CART = 8
    IDENTIFIED = 9
    CHECKOUT = 10
    ORDERED = 11
    REVIEWED = 12
    REFUNDED = 13


COMPLEMENT: NDArray[np.int16] = np.array(
    [LEAF_NUMBER[leaf.complement] for _, leaf in LEAVES], dtype=np.int16
)
_LEAF_DEPARTMENT = np.array([d for d, _ in LEAVES])

# A log-in is told once in a while, not with every visit: browsers stay logged in.
_GREETED_SHARE = 0.3
# Shares of an ordinary shop: one view in eight ends in the cart, one cart in three in an order.
_SEARCH_SHARE = 0.28
_DIRECT_SHARE = 0.22
_VIEWS_MEAN = 3.2
_LIST_BETWEEN_SHARE = 0.22
_STRAY_SHARE = 0.12
_DWELL_SHARE = 0.25
_WISH_SHARE = 0.025
_ADD_SHARE = 0.13
_COMPLEMENT_SHARE = 0.4
_COMPLEMENT_ADD_SHARE = 0.35
_REMOVE_SHARE = 0.07
_CART_SHARE = 0.75
_CHECKOUT_SHARE = 0.62
_ORDER_SHARE = 0.72
_REVIEW_SHARE = 0.06
_REFUND_SHARE = 0.04
# Candidates among which taste decides; more makes tastes stronger.
_CANDIDATES = 6
_STYLE_PULL, _BRAND_PULL, _BAND_PULL, _NOISE = 2.6, 1.0, 0.5, 0.6
# Room for the beats of one session on the axis that orders its events.
_BEAT = 10
_END = 1_000_000


@dataclass(frozen=True, slots=True)
class Steps:
    """Events, ordered by (visit, time).

    Attributes
    ----------
    visit : (n,) int32
        Index into the visits.
    kind : (n,) int8
        A `Kind`.
    product : (n,) int32
        -1 where the event names no product.
    quantity : (n,) int16
        0 where the event names no quantity; the seconds of a dwell.
    at_us : (n,) int64
    """

    visit: NDArray[np.int32]
    kind: NDArray[np.int8]
    product: NDArray[np.int32]
    quantity: NDArray[np.int16]
    at_us: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Steps":
        """Return these rows alone."""
        return Steps(
            self.visit[rows],
            self.kind[rows],
            self.product[rows],
            self.quantity[rows],
            self.at_us[rows],
        )


class _Table:
    """Collects (visit, place in the session, kind, product, quantity) columns."""

    def __init__(self) -> None:
        self._columns: list[tuple[NDArray[np.int64], ...]] = []

    def add(
        self,
        kind: Kind,
        visit: NDArray[np.int64],
        place: NDArray[np.int64] | int,
        product: NDArray[np.int64] | int = -1,
        quantity: NDArray[np.int64] | int = 0,
    ) -> None:
        shape = len(visit)
        columns = (visit, place, int(kind), product, quantity)
        self._columns.append(
            tuple(np.broadcast_to(np.asarray(c, dtype=np.int64), (shape,)) for c in columns)
        )

    def sorted(self) -> tuple[NDArray[np.int64], ...]:
        """Columns visit, place, kind, product, quantity, ordered by the first two."""
        columns = tuple(np.concatenate(parts) for parts in zip(*self._columns, strict=True))
        order = np.lexsort((columns[1], columns[0]))
        return tuple(column[order] for column in columns)


def make_steps(rng: np.random.Generator, shop: Shop, shoppers: Shoppers, visits: Visits) -> Steps:
    """Play out every visit: arrival, views by taste, cart, check-out, what follows an order."""
    table = _Table()
    n = len(visits.customer)
    arrival = rng.random(n)
    views = np.minimum(rng.geometric(1.0 / _VIEWS_MEAN, n), 40)
    visit = np.repeat(np.arange(n), views)
    beat = np.arange(len(visit)) - np.repeat(np.cumsum(views) - views, views) + 1
    leaf = _wandering(rng, visits.mission[visit])
    product = choose_products(rng, shop, shoppers, visits.customer[visit], leaf)
    _arrive(table, arrival, np.arange(n))
    greeted = np.flatnonzero(visits.logged_in & (rng.random(n) < _GREETED_SHARE))
    table.add(Kind.IDENTIFIED, greeted, -1)
    place = beat * _BEAT
    relist = (rng.random(len(visit)) < _LIST_BETWEEN_SHARE) & (beat > 1)
    table.add(Kind.LISTED, visit[relist], place[relist], _representative(shop, leaf[relist]))
    keen = np.minimum(_ADD_SHARE * shoppers.keenness[visits.customer[visit]], 0.9)
    added = (rng.random(len(visit)) < keen) & (shop.stock[product] > 0)
    _look(rng, table, visit, place, product)
    cart = [_put(rng, table, visit[added], place[added] + 4, product[added])]
    cart.append(
        _complements(rng, table, (shop, shoppers, visits), visit[added], place[added], leaf[added])
    )
    _check_out(rng, table, shoppers, visits, cart)
    return _timed(rng, visits, table)


def choose_products(
    rng: np.random.Generator,
    shop: Shop,
    shoppers: Shoppers,
    customer: NDArray[np.int32],
    leaf: NDArray[np.int16],
) -> NDArray[np.int64]:
    """Pick a product of each given leaf: of a few drawn by popularity, the most to one's taste."""
    # One sorted array for all leaves: leaf l's cumulative weights lie in (l, l + 1].
    cumulative = np.cumsum(shop.weight)
    points = leaf[:, None] + rng.random((len(leaf), _CANDIDATES))
    drawn = np.minimum(np.searchsorted(cumulative, points), shop.start[leaf + 1][:, None] - 1)
    drawn = np.maximum(drawn, shop.start[leaf][:, None])
    who = customer[:, None]
    score = _STYLE_PULL * shoppers.style[who, shop.style[drawn]]
    score += _BRAND_PULL * (
        shoppers.brands[customer, _LEAF_DEPARTMENT[leaf]][:, None] == shop.brand[drawn]
    )
    score -= _BAND_PULL * np.abs(shoppers.band[who] - shop.band[drawn])
    score += rng.gumbel(0.0, _NOISE, score.shape)
    return np.asarray(drawn[np.arange(len(leaf)), score.argmax(axis=1)])


def _wandering(rng: np.random.Generator, mission: NDArray[np.int16]) -> NDArray[np.int16]:
    """Mostly the mission's leaf; some views stray to another leaf of its department."""
    first = np.searchsorted(_LEAF_DEPARTMENT, np.arange(len(DEPARTMENTS)))
    size = np.bincount(_LEAF_DEPARTMENT)
    department = _LEAF_DEPARTMENT[mission]
    other = first[department] + (rng.random(len(mission)) * size[department]).astype(np.int64)
    return np.where(rng.random(len(mission)) < _STRAY_SHARE, other, mission).astype(np.int16)


def _representative(shop: Shop, leaf: NDArray[np.int16]) -> NDArray[np.int64]:
    """First product of the leaf: the row of a list carries it, so that it tells its leaf."""
    return shop.start[leaf]


def _arrive(table: _Table, arrival: NDArray[np.float64], visit: NDArray[np.int64]) -> None:
    """Search, a direct link (an advertisement, a mail), or the home page and then a list."""
    searched = arrival < _SEARCH_SHARE
    direct = arrival > 1.0 - _DIRECT_SHARE
    table.add(Kind.SEARCHED, visit[searched], 1)
    table.add(Kind.PAGE, visit[~searched & ~direct], 0)
    table.add(Kind.LISTED, visit[~searched & ~direct], 1)


def _look(
    rng: np.random.Generator,
    table: _Table,
    visit: NDArray[np.int64],
    place: NDArray[np.int64],
    product: NDArray[np.int64],
) -> None:
    dwelled = rng.random(len(visit)) < _DWELL_SHARE
    wished = rng.random(len(visit)) < _WISH_SHARE
    table.add(Kind.VIEWED, visit, place + 1, product)
    seconds = np.minimum(rng.lognormal(3.2, 0.8, int(dwelled.sum())), 900).astype(np.int64) + 1
    table.add(Kind.DWELLED, visit[dwelled], place[dwelled] + 2, product[dwelled], seconds)
    table.add(Kind.WISHED, visit[wished], place[wished] + 3, product[wished])


def _put(
    rng: np.random.Generator,
    table: _Table,
    visit: NDArray[np.int64],
    place: NDArray[np.int64],
    product: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Put products into carts, take some out again; return the visits that keep something."""
    quantity = np.minimum(rng.geometric(0.78, len(visit)), 6)
    table.add(Kind.ADDED, visit, place, product, quantity)
    removed = rng.random(len(visit)) < _REMOVE_SHARE
    table.add(Kind.REMOVED, visit[removed], place[removed] + 1, product[removed], quantity[removed])
    return visit[~removed]


def _complements(
    rng: np.random.Generator,
    table: _Table,
    world: tuple[Shop, Shoppers, Visits],
    visit: NDArray[np.int64],
    place: NDArray[np.int64],
    leaf: NDArray[np.int16],
) -> NDArray[np.int64]:
    """After putting something into the cart, some look at what goes with it, and buy that too."""
    shop, shoppers, visits = world
    tempted = rng.random(len(visit)) < _COMPLEMENT_SHARE
    visit, place, leaf = visit[tempted], place[tempted], COMPLEMENT[leaf[tempted]]
    product = choose_products(rng, shop, shoppers, visits.customer[visit], leaf)
    table.add(Kind.VIEWED, visit, place + 6, product)
    bought = (rng.random(len(visit)) < _COMPLEMENT_ADD_SHARE) & (shop.stock[product] > 0)
    return _put(rng, table, visit[bought], place[bought] + 7, product[bought])


def _check_out(
    rng: np.random.Generator,
    table: _Table,
    shoppers: Shoppers,
    visits: Visits,
    carts: list[NDArray[np.int64]],
) -> None:
    """Walk the visits with something in the cart down to the order and what follows it."""
    visit = np.unique(np.concatenate(carts))
    visit = visit[rng.random(len(visit)) < _CART_SHARE]
    table.add(Kind.CART, visit, _END)
    visit = visit[rng.random(len(visit)) < _CHECKOUT_SHARE]
    # Account holders who came unknown log in here.
    known = visit[shoppers.account[visits.customer[visit]] & ~visits.logged_in[visit]]
    table.add(Kind.IDENTIFIED, known, _END + 1)
    table.add(Kind.CHECKOUT, visit, _END + 2)
    visit = visit[rng.random(len(visit)) < _ORDER_SHARE]
    table.add(Kind.ORDERED, visit, _END + 3)
    table.add(Kind.REVIEWED, visit[rng.random(len(visit)) < _REVIEW_SHARE], _END + 4)
    table.add(Kind.REFUNDED, visit[rng.random(len(visit)) < _REFUND_SHARE], _END + 5)


def _timed(rng: np.random.Generator, visits: Visits, table: _Table) -> Steps:
    """Give every event its time: seconds between clicks, days before a review or a refund."""
    visit, _, kind, product, quantity = table.sorted()
    gap = (rng.exponential(24.0, len(visit)) * 1_000_000).astype(np.int64) + 1_000_000
    late = (kind == Kind.REVIEWED) | (kind == Kind.REFUNDED)
    gap[late] = (rng.uniform(3.0, 12.0, int(late.sum())) * DAY_US).astype(np.int64)
    first = np.flatnonzero(np.diff(visit, prepend=-1))
    gap[first] = 0
    elapsed = np.cumsum(gap)
    elapsed -= np.repeat(elapsed[first], np.diff(np.append(first, len(visit))))
    return Steps(
        visit=visit.astype(np.int32),
        kind=kind.astype(np.int8),
        product=product.astype(np.int32),
        quantity=quantity.astype(np.int16),
        at_us=visits.start_us[visit] + elapsed,
    )
