"""The built-in event types: Segment's e-commerce spec and ours, with typed properties and meaning.

A property is described by a plain dict, as `EventSchema.properties` stores it:

- `type`: one of `schema.TYPES`
- `required`: true when the event means nothing without it
- `or`: other properties that may stand in for a required one
- `min`, `max`: bounds of a number
- `of`: for `objects`, the properties of each element
"""

from dataclasses import dataclass
from typing import Any

from personalization.customers.engine.facts import CLICKED, EXPOSED, TOKEN_EVENTS

__all__ = [
    "BUILT_IN",
    "CLICKED",
    "EXPOSED",
    "FACTS",
    "NAMES_OF_CALLS",
    "TOKEN_EVENTS",
    "EventType",
    "Spec",
]

Spec = dict[str, Any]

# Names that the call types without an event name are stored under.
NAMES_OF_CALLS = {
    "identify": "Identified",
    "page": "Page Viewed",
    "screen": "Screen Viewed",
    "group": "Grouped",
    "alias": "Aliased",
}

# What the folds understand; "" is an event that only counts by its name.
FACTS = (
    "",
    "view",
    "add",
    "remove",
    "cart",
    "order",
    "refund",
    "wishlist",
    "review",
    "search",
    "dwell",
)


@dataclass(frozen=True, slots=True)
class EventType:
    """One built-in event type."""

    name: str
    fact: str
    properties: Spec


# Amounts are in major units on the wire (Segment). A thousand million is beyond any basket and far
# below what a 64-bit count of minor units holds.
_MONEY = {"type": "number", "min": -1e9, "max": 1e9}
_PRICE = {"type": "number", "min": 0, "max": 1e9}
_QUANTITY = {"type": "number", "min": 0, "max": 1e6}
_TEXT = {"type": "string"}
_ID = {"type": "id"}
_TOKEN = {"type": "string", "required": True}

_DETAILS: Spec = {
    "name": _TEXT,
    "brand": _TEXT,
    "category": _TEXT,
    "variant": _TEXT,
    "coupon": _TEXT,
    "currency": _TEXT,
    "url": _TEXT,
    "image_url": _TEXT,
    "price": _PRICE,
    "value": _MONEY,
    "quantity": _QUANTITY,
    "position": {"type": "number"},
}
_PRODUCT: Spec = {
    "product_id": {"type": "id", "required": True, "or": ["sku"]},
    "sku": _ID,
    **_DETAILS,
}
_PRODUCTS = {"type": "objects", "of": {"product_id": _ID, "sku": _ID, **_DETAILS}}
_ORDER: Spec = {
    "order_id": {"type": "id", "required": True},
    "checkout_id": _ID,
    "affiliation": _TEXT,
    "coupon": _TEXT,
    "currency": _TEXT,
    "total": _MONEY,
    "revenue": _MONEY,
    "value": _MONEY,
    "subtotal": _MONEY,
    "shipping": _MONEY,
    "tax": _MONEY,
    "discount": _MONEY,
    "products": _PRODUCTS,
}
_CART: Spec = {"cart_id": _ID, "currency": _TEXT, "value": _MONEY, "products": _PRODUCTS}
_LIST: Spec = {"list_id": _ID, "category": _TEXT, "products": _PRODUCTS}
_SEARCH: Spec = {"query": _TEXT, "results": {"type": "number", "min": 0}, **_LIST}
_DECISION: Spec = {
    "token": _TOKEN,
    "item": _ID,
    "items": {"type": "list"},
    "placement": _TEXT,
}

BUILT_IN: tuple[EventType, ...] = (
    # Segment's e-commerce spec
    EventType("Products Searched", "search", {**_SEARCH, "query": {**_TEXT, "required": True}}),
    EventType("Product List Viewed", "", _LIST),
    EventType("Product List Filtered", "", _LIST),
    EventType("Product Clicked", "", _PRODUCT),
    EventType("Product Viewed", "view", _PRODUCT),
    EventType("Product Added", "add", {**_PRODUCT, "cart_id": _ID}),
    EventType("Product Removed", "remove", {**_PRODUCT, "cart_id": _ID}),
    EventType("Cart Viewed", "cart", _CART),
    EventType("Checkout Started", "", {**_ORDER, "order_id": _ID}),
    EventType("Checkout Step Viewed", "", {"checkout_id": _ID, "step": {"type": "number"}}),
    EventType("Checkout Step Completed", "", {"checkout_id": _ID, "step": {"type": "number"}}),
    EventType("Payment Info Entered", "", {"checkout_id": _ID, "order_id": _ID}),
    EventType("Order Updated", "", _ORDER),
    EventType("Order Completed", "order", _ORDER),
    EventType("Order Refunded", "refund", _ORDER),
    EventType("Order Cancelled", "refund", _ORDER),
    EventType("Coupon Entered", "", {"coupon_id": _ID, "order_id": _ID, "cart_id": _ID}),
    EventType("Coupon Applied", "", {"coupon_id": _ID, "order_id": _ID, "discount": _MONEY}),
    EventType("Coupon Removed", "", {"coupon_id": _ID, "order_id": _ID, "discount": _MONEY}),
    EventType("Product Added to Wishlist", "wishlist", {**_PRODUCT, "wishlist_id": _ID}),
    EventType("Product Removed from Wishlist", "", {**_PRODUCT, "wishlist_id": _ID}),
    EventType("Product Shared", "", {**_PRODUCT, "share_via": _TEXT}),
    EventType(
        "Product Reviewed",
        "review",
        {**_PRODUCT, "review_id": _ID, "review_body": _TEXT},
    ),
    # Ours
    EventType(
        "Product Dwelled",
        "dwell",
        {**_PRODUCT, "seconds": {"type": "number", "min": 0, "max": 86_400, "required": True}},
    ),
    EventType("Page Scrolled", "", {"share": {"type": "number", "min": 0, "max": 1}}),
    EventType("Cart Idled", "", {**_CART, "seconds": {"type": "number", "min": 0}}),
    EventType("Search Refined", "search", _SEARCH),
    EventType("Element Hovered", "", {"element": _TEXT, "seconds": {"type": "number", "min": 0}}),
    EventType(EXPOSED, "", _DECISION),
    EventType(CLICKED, "", _DECISION),
)
