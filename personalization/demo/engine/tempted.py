"""What a customer of the demo does with a shelf: which product they click, and whether they buy it.

Knows their true tastes, which the server does not: shelves that meet them are clicked more.
"""

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.shop import Shop
from personalization.demo.engine.shoppers import Shoppers

# Of those who look at one place of a shelf so many look at the next.
_LOOK_ON = 0.87
# Who looks at a product clicks it: whatever it is, and more when it is of a loved kind and style.
# A shelf of eight then has a click in about one case of six.
_ANY, _LOVED, _STYLED = 0.004, 0.012, 0.06
# Of clicks so many end in an order, for somebody of median keenness.
_BUY = 0.2


def clicked(
    rng: np.random.Generator,
    shop: Shop,
    shoppers: Shoppers,
    customer: int,
    products: NDArray[np.int64],
) -> int | None:
    """Return the place (from 0) of the first product of a shelf that is clicked; None for none.

    `products` (n,) of the shop in the order shown; -1 for what is not the demo's, which nobody
    clicks.
    """
    known = products >= 0
    loved = np.isin(shop.leaf[products], shoppers.favourites[customer])
    styled = shoppers.style[customer, shop.style[products]]
    appeal = np.where(known, _ANY + loved * (_LOVED + _STYLED * styled), 0.0)
    hit = rng.random(len(products)) < appeal * _LOOK_ON ** np.arange(len(products))
    return int(hit.argmax()) if hit.any() else None


def buys(rng: np.random.Generator, shoppers: Shoppers, customer: int) -> bool:
    """Whether a click ends in an order."""
    return bool(rng.random() < min(_BUY * float(shoppers.keenness[customer]), 1.0))
