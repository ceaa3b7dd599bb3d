"""Facts: what the folds understand of an event, whatever the shop calls it.

Built from plain values.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from personalization.customers.engine.facts import Fact
from personalization.lib import money

__all__ = ["Fact", "minor", "parse", "product_keys"]

# Where an order's or a refund's worth may stand, best first: revenue is without tax and shipping.
_WORTH = ("revenue", "total", "value")
_CANCELLED = "Order Cancelled"
# Segment's products arrays have no limit of their own; an event has 32 KB.
# Products of one event whose catalogue entries are kept with it.
MOST_STAMPED = 50
_NO_ITEMS: tuple[tuple[str, int, int | None], ...] = ()
# Described types allow no more pieces of a product in one event; what is not described is not
# believed beyond it.
_MOST_PIECES = 10**6
# A shop has few prices and sends each of them thousands of times. No price as a key but numbers:
# 1, 1.0 and True are one key, and `minor` lets no True come here.
_to_minor = lru_cache(maxsize=16_384)(money.to_minor)


def minor(amount: object, currency: str) -> int | None:
    """Return an amount of major units, as shops send them, in minor units.

    None for what is no number, not finite, or more than `money.MAX_MINOR`.
    """
    if type(amount) is not int and type(amount) is not float:
        return None
    return _to_minor(amount, currency)


def parse(
    kind: str, name: str, properties: Mapping[str, Any], shop_currency: str
) -> tuple[str, tuple[tuple[str, int, int | None], ...], int | None, str, str]:
    """Return (kind, items, value_minor, currency, order_id) of an event's properties."""
    if not kind:
        return kind, _NO_ITEMS, None, "", ""
    named = properties.get("currency")
    if named is None or named == shop_currency:  # as nearly all do
        currency = shop_currency
    else:
        currency = str(named or shop_currency)[:3].upper()
    if kind == "cart":
        # without a list it says nothing of what is in it
        listed = properties.get("products")
        if not isinstance(listed, list):
            return "", _NO_ITEMS, None, "", ""
        return kind, tuple(_items(listed, currency)), None, currency, ""
    if kind not in ("order", "refund"):
        item = _item(properties, currency)
        return kind, (item,) if item is not None else _NO_ITEMS, None, currency, ""
    products = properties.get("products")
    items = tuple(_items(products, currency)) if isinstance(products, list) else _NO_ITEMS
    order_id = str(properties.get("order_id") or "")[:100]
    if kind == "refund":
        value = _worth(properties, currency)
        return "cancel" if name == _CANCELLED else kind, items, value, currency, order_id
    value = _worth(properties, currency)
    if value is None:
        value = sum(quantity * (price or 0) for _, quantity, price in items)
        if abs(value) > money.MAX_MINOR:  # no order: its worth is not known
            value = None
    return kind, items, value, currency, order_id


def product_keys(properties: Mapping[str, Any]) -> list[str]:
    """Return the keys of the products that an event is about, one or a list, at most MOST_STAMPED.

    Read as `parse` reads them.
    """
    own = properties.get("product_id") or properties.get("sku")
    if own:
        return [str(own)[:100]]
    products = properties.get("products")
    if not isinstance(products, list):
        return []
    listed = [one for one in products[:MOST_STAMPED] if isinstance(one, dict)]
    keys = (one.get("product_id") or one.get("sku") for one in listed)
    return [str(key)[:100] for key in keys if key]


def _worth(properties: Mapping[str, Any], currency: str) -> int | None:
    for key in _WORTH:
        value = minor(properties.get(key), currency)
        if value is not None:
            return value
    return None


def _items(products: list[Any], currency: str) -> list[tuple[str, int, int | None]]:
    found = (_item(product, currency) for product in products if isinstance(product, dict))
    return [item for item in found if item is not None]


def _item(properties: Mapping[str, Any], currency: str) -> tuple[str, int, int | None] | None:
    key = properties.get("product_id") or properties.get("sku")
    if not key:
        return None
    count = _pieces(properties.get("quantity", 1))
    return str(key)[:100], count, minor(properties.get("price"), currency)


def _pieces(quantity: object) -> int:
    """Return how many whole ones, 1 for a part of one and where the event does not say."""
    if type(quantity) is not int and type(quantity) is not float:
        return 1
    if 0 < quantity < 1:  # half a pound of cheese
        return 1
    return int(quantity) if -_MOST_PIECES <= quantity <= _MOST_PIECES else 1
