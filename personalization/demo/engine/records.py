"""Rows of the demo's event table -> events with wire names, ids and properties, chunk by chunk."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.funnel import Kind
from personalization.demo.engine.shop import LEAVES, product_key, title_of
from personalization.demo.engine.shoppers import DEVICES, anonymous_id, user_id
from personalization.demo.engine.traffic import World
from personalization.demo.engine.words import FIRST_NAMES, LAST_NAMES, PLACES, PREFIX

_TIERS = ("bronze", "silver", "gold")


class Record(NamedTuple):
    """One event of the demo."""

    message_id: str
    type: str
    name: str
    at_us: int
    user_id: str | None
    anonymous_id: str
    properties: dict[str, Any]
    traits: dict[str, Any] | None
    context: dict[str, Any]


class _Row(NamedTuple):
    """One event as plain numbers: NumPy scalars cost ten times as much, one by one."""

    number: int
    visit: int
    kind: int
    product: int
    quantity: int
    at_us: int
    customer: int
    browser: int
    device: int
    place: int
    leaf: int
    known: bool


class Recorder:
    """Turns rows of one world into records; holds what all of them share."""

    def __init__(self, world: World, *, currency: str) -> None:
        self._world = world
        self._currency = currency
        shop = world.shop
        self._keys = [product_key(number) for number in range(shop.size)]
        self._titles = [title_of(shop, number) for number in range(shop.size)]
        self._prices_minor: list[int] = shop.price_minor.tolist()
        self._leaf_sizes: list[int] = np.diff(shop.start).tolist()
        self._first: NDArray[np.int64] = np.searchsorted(world.steps.visit, world.steps.visit)
        self._leaf = np.where(
            world.steps.product >= 0,
            shop.leaf[np.maximum(world.steps.product, 0)],
            world.visits.mission[world.steps.visit],
        )
        self._known = known(world)
        self._carts = carts(world)

    def records(self, rows: NDArray[np.int64]) -> Iterator[Record]:
        """Yield the events of `rows`, in their order."""
        steps, visits, shoppers = self._world.steps, self._world.visits, self._world.shoppers
        visit = steps.visit[rows]
        customer = visits.customer[visit]
        columns = (
            rows - self._first[rows],
            visit,
            steps.kind[rows],
            steps.product[rows],
            steps.quantity[rows],
            steps.at_us[rows],
            customer,
            visits.browser[visit],
            visits.device[visit],
            shoppers.place[customer],
            self._leaf[rows],
            self._known[rows],
        )
        for values in zip(*(column.tolist() for column in columns), strict=True):
            yield self._record(_Row(*values))

    def _record(self, row: _Row) -> Record:
        name, path, make = _WIRE[row.kind]
        country, locale, timezone, _ = PLACES[row.place]
        return Record(
            f"{PREFIX}{self._world.plan.seed}-{row.visit}-{row.number}",
            _TYPES.get(row.kind, "track"),
            name,
            row.at_us,
            user_id(row.customer) if row.known else None,
            anonymous_id(row.customer, row.browser),
            make(self, row),
            traits_of(row.customer) if row.kind == Kind.IDENTIFIED else None,
            {
                "device": {"type": DEVICES[row.device]},
                "country": country,
                "locale": locale,
                "timezone": timezone,
                "session": {"id": f"{PREFIX}s-{row.visit}"},
                "page": {"path": self._path(path, row)},
            },
        )

    def _path(self, path: str, row: _Row) -> str:
        if path == _PRODUCT_PAGE:
            return f"{path}{self._keys[row.product]}/"
        return f"{path}{LEAVES[row.leaf][1].key}/" if path == _CATEGORY_PAGE else path

    def _nothing(self, _row: _Row) -> dict[str, Any]:
        return {}

    def _search(self, row: _Row) -> dict[str, Any]:
        words = LEAVES[row.leaf][1].nouns
        return {
            "query": words[row.visit % len(words)].lower(),
            "results": self._leaf_sizes[row.leaf],
        }

    def _list(self, row: _Row) -> dict[str, Any]:
        leaf = LEAVES[row.leaf][1]
        return {"list_id": leaf.key, "category": leaf.title}

    def _product(self, row: _Row) -> dict[str, Any]:
        return {
            "product_id": self._keys[row.product],
            "name": self._titles[row.product],
            "category": LEAVES[row.leaf][1].key,
            "price": self._prices_minor[row.product] / 100,
            "currency": self._currency,
        }

    def _quantity(self, row: _Row) -> dict[str, Any]:
        return self._product(row) | {"quantity": row.quantity}

    def _dwell(self, row: _Row) -> dict[str, Any]:
        return {"product_id": self._keys[row.product], "seconds": row.quantity}

    def _cart(self, row: _Row) -> dict[str, Any]:
        lines, total_minor = self._lines(row)
        return {"value": total_minor / 100, "currency": self._currency, "products": lines}

    def _checkout(self, row: _Row) -> dict[str, Any]:
        lines, total_minor = self._lines(row)
        return {"total": total_minor / 100, "currency": self._currency, "products": lines}

    def _order(self, row: _Row) -> dict[str, Any]:
        return {"order_id": f"{PREFIX}o-{row.visit}"} | self._checkout(row)

    def _review(self, row: _Row) -> dict[str, Any]:
        lines, _ = self._lines(row)
        return {"product_id": lines[0]["product_id"], "rating": 3 + row.visit % 3}

    def _lines(self, row: _Row) -> tuple[list[dict[str, Any]], int]:
        """Return what lies in the visit's cart, and its value in minor units."""
        cart = self._carts[row.visit]
        lines = [
            {
                "product_id": self._keys[number],
                "price": self._prices_minor[number] / 100,
                "quantity": quantity,
            }
            for number, quantity in cart.items()
        ]
        return lines, sum(
            self._prices_minor[number] * quantity for number, quantity in cart.items()
        )


def carts(world: World) -> dict[int, dict[int, int]]:
    """Per visit what was put into the cart and left there, as {product number: quantity}."""
    steps = world.steps
    rows = np.flatnonzero((steps.kind == Kind.ADDED) | (steps.kind == Kind.REMOVED))
    sign = np.where(steps.kind[rows] == Kind.ADDED, 1, -1)
    signed = sign * steps.quantity[rows].astype(np.int64)
    found: dict[int, dict[int, int]] = {}
    moves = zip(
        steps.visit[rows].tolist(), steps.product[rows].tolist(), signed.tolist(), strict=True
    )
    for visit, product, quantity in moves:
        cart = found.setdefault(visit, {})
        left = cart.get(product, 0) + quantity
        if left > 0:
            cart[product] = left
        else:
            cart.pop(product, None)
    return found


def known(world: World) -> NDArray[np.bool_]:
    """Whether each event came with a user id: (n,), true from the log-in on."""
    steps = world.steps
    rows = np.arange(len(steps.visit))
    last = np.maximum.accumulate(np.where(steps.kind == Kind.IDENTIFIED, rows, -1))
    seen = (last >= 0) & (steps.visit[last] == steps.visit)
    return np.asarray(world.visits.logged_in[steps.visit] | seen)


def people(world: World) -> list[tuple[str, list[str]]]:
    """Everybody who logs in: user id, and the anonymous ids of the browsers that they log in on."""
    visits = np.unique(world.steps.visit[known(world)])
    pairs = np.unique(
        np.column_stack([world.visits.customer[visits], world.visits.browser[visits]]), axis=0
    )
    found: dict[int, list[str]] = {}
    for customer, browser in pairs.tolist():
        found.setdefault(customer, []).append(anonymous_id(customer, browser))
    return [(user_id(customer), devices) for customer, devices in found.items()]


def traits_of(customer: int) -> dict[str, Any]:
    """Who a customer with an account says they are; a function of the number alone."""
    first = FIRST_NAMES[customer % len(FIRST_NAMES)]
    last = LAST_NAMES[(customer // len(FIRST_NAMES)) % len(LAST_NAMES)]
    return {"name": f"{first} {last}", "loyalty_tier": _TIERS[(customer * 7) % 10 // 4]}


_PRODUCT_PAGE, _CATEGORY_PAGE, _CART_PAGE = "/shop/p/", "/shop/c/", "/shop/cart/"
_TYPES = {int(Kind.PAGE): "page", int(Kind.IDENTIFIED): "identify"}
# Kind -> name on the wire, path of the page, properties.
_WIRE: dict[int, tuple[str, str, Callable[[Recorder, _Row], dict[str, Any]]]] = {
    Kind.PAGE: ("Page Viewed", "/shop/", Recorder._nothing),
    Kind.SEARCHED: ("Products Searched", "/shop/search/", Recorder._search),
    Kind.LISTED: ("Product List Viewed", _CATEGORY_PAGE, Recorder._list),
    Kind.VIEWED: ("Product Viewed", _PRODUCT_PAGE, Recorder._product),
    Kind.DWELLED: ("Product Dwelled", _PRODUCT_PAGE, Recorder._dwell),
    Kind.WISHED: ("Product Added to Wishlist", _PRODUCT_PAGE, Recorder._product),
    Kind.ADDED: ("Product Added", _PRODUCT_PAGE, Recorder._quantity),
    Kind.REMOVED: ("Product Removed", _CART_PAGE, Recorder._quantity),
    Kind.CART: ("Cart Viewed", _CART_PAGE, Recorder._cart),
    Kind.IDENTIFIED: ("Identified", "/shop/", Recorder._nothing),
    Kind.CHECKOUT: ("Checkout Started", _CART_PAGE, Recorder._checkout),
    Kind.ORDERED: ("Order Completed", _CART_PAGE, Recorder._order),
    Kind.REVIEWED: ("Product Reviewed", "/shop/", Recorder._review),
    Kind.REFUNDED: ("Order Refunded", "/shop/", Recorder._order),
}
