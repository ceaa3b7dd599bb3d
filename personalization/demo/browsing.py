"""Customers of the demo who walk through the open shop by its own doors, so that results count.

Loaded events hold no answers of this server. These walks ask `/v1/decide` of the running web, see
the shelves that it answers, click and buy, and send what a browser would to `/v1/batch`: nothing is
written past the doors.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings

from personalization.demo.engine.funnel import choose_products
from personalization.demo.engine.shop import product_key
from personalization.demo.engine.shoppers import DEVICES, make_shoppers, user_id
from personalization.demo.engine.tempted import buys, clicked
from personalization.demo.engine.traffic import Plan, make_assortment
from personalization.demo.engine.words import PLACES, PREFIX
from personalization.lib import clock

# Enough that each shelf has clicks and some have orders.
WALKS = 300
# Beside people who look around: two calls a tenth of a second.
PAUSE_S = 0.1
# Post(path, body) -> the answer's JSON; raises when it is no success.
Post = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Walked:
    """How many walks there were, and what they led to."""

    walks: int
    clicks: int
    orders: int


def browse(plan: Plan, post: Post, *, walks: int = WALKS, pause_s: float = PAUSE_S) -> Walked:
    """Let customers of the plan's shop walk through it, one after another.

    Who walks, where to and with which tastes follows from the plan. Raises what `post` raises.
    """
    walker = _Walker(plan, post)
    for _ in range(walks):
        walker.walk()
        time.sleep(pause_s)
    return Walked(walks, walker.clicks, walker.orders)


class _Walker:
    """The shop and its customers as they truly are, and what they have done so far."""

    def __init__(self, plan: Plan, post: Post) -> None:
        streams = np.random.default_rng(plan.seed).spawn(4)
        self.shop = make_assortment(plan)
        self.shoppers = make_shoppers(streams[1], plan.customers)
        self.numbers = {product_key(number): number for number in range(self.shop.size)}
        self.clicks = self.orders = 0
        self._post, self._rng = post, streams[3]
        self._shares = np.where(self.shoppers.account, self.shoppers.activity, 0.0)
        self._shares /= self._shares.sum()

    def walk(self) -> None:
        """Have one customer open the page of a product, and send what they do there."""
        rng, shoppers = self._rng, self.shoppers
        who = int(rng.choice(shoppers.size, p=self._shares))
        leaf = rng.choice(shoppers.favourites[who], p=shoppers.affinity[who])
        one = np.array([who], np.int32), np.array([leaf], np.int16)
        item = product_key(int(choose_products(rng, self.shop, shoppers, *one)[0]))
        context = self._context(who, item)
        viewed = {"event": "Product Viewed", "item": item, "at": clock.now().isoformat()}
        answer = self._post(
            "/v1/decide",
            {
                "userId": user_id(who),
                "context": context | {"recent": [viewed]},
                "placements": [
                    {"key": "product.similar", "item": item},
                    {"key": "home.recommended", "exclude": [item]},
                ],
                "deduplicate": True,
            },
        )
        done = [("Product Viewed", self._line(item))]
        name = f"{PREFIX}{answer['decisionId']}"
        for placement, shelf in answer["placements"].items():
            done += self._at(shelf, placement, who, f"{name}-{placement}")
        self._post("/v1/batch", {"batch": list(_events(name, user_id(who), context, done))})

    def _at(
        self, shelf: Mapping[str, Any], placement: str, who: int, order: str
    ) -> list[tuple[str, dict[str, Any]]]:
        """Return what somebody does with a shelf: events with their properties, in order."""
        items, token = shelf.get("items"), shelf.get("token")
        if not items or not token:  # no such placement, or no consent
            return []
        shown = [{"id": item["id"], "source": item["source"]} for item in items]
        told = {"token": token, "placement": placement}
        done: list[tuple[str, dict[str, Any]]] = [("Decision Exposed", told | {"items": shown})]
        numbers = np.array([self.numbers.get(item["id"], -1) for item in shown], np.int64)
        place = clicked(self._rng, self.shop, self.shoppers, who, numbers)
        if place is None:
            return done
        self.clicks += 1
        line = self._line(shown[place]["id"])
        done += [
            ("Decision Clicked", told | {"item": shown[place]["id"]}),
            ("Product Viewed", line),
        ]
        if not buys(self._rng, self.shoppers, who):
            return done
        self.orders += 1
        paid = {"order_id": order, "total": line["price"], "currency": line["currency"]}
        return [
            *done,
            ("Product Added", line | {"quantity": 1}),
            ("Order Completed", paid | {"products": [line | {"quantity": 1}]}),
        ]

    def _context(self, who: int, item: str) -> dict[str, Any]:
        country, locale, timezone, _ = PLACES[self.shoppers.place[who]]
        return {
            "page": {"path": f"/shop/p/{item}/"},
            "device": {"type": DEVICES[self.shoppers.device[who]]},
            "country": country,
            "locale": locale,
            "timezone": timezone,
        }

    def _line(self, key: str) -> dict[str, Any]:
        price = int(self.shop.price_minor[self.numbers[key]]) / 100
        return {"product_id": key, "price": price, "currency": settings.SHOP_CURRENCY}


def _events(
    name: str, user: str, context: Mapping[str, Any], done: Sequence[tuple[str, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Yield events of the wire, a millisecond apart, so that it is told what followed what."""
    first = clock.now() - timedelta(milliseconds=len(done))
    for place, (event, properties) in enumerate(done):
        yield {
            "type": "track",
            "event": event,
            "userId": user,
            "messageId": f"{name}-{place}",
            "timestamp": (first + timedelta(milliseconds=place)).isoformat(),
            "properties": properties,
            "context": context,
        }
