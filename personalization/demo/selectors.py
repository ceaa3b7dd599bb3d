"""What the storefront shows: products, categories, tiles, and whom one can log in as."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from django.db.models import QuerySet

from personalization.catalog.models import Category, Product
from personalization.demo.engine.records import traits_of
from personalization.demo.engine.shop import LEAVES
from personalization.demo.engine.shoppers import Shoppers, make_shoppers, user_id
from personalization.demo.engine.traffic import Plan
from personalization.demo.engine.words import COLOURS, DEPARTMENTS
from personalization.lib.money import digits

PAGE = 24
_PERSONAS = 8
_HUES = {d.key: d.hue for d in DEPARTMENTS}
_ACCENTS = dict(COLOURS)


@dataclass(frozen=True, slots=True)
class Card:
    """One product as the storefront shows it."""

    key: str
    title: str
    brand: str
    price: str
    price_minor: int
    currency: str
    available: bool
    category: str

    @property
    def amount(self) -> float:
        """Price in major units, as events carry it."""
        return float(self.price_minor / 10.0 ** digits(self.currency))


@dataclass(frozen=True, slots=True)
class Persona:
    """One customer of the demo, to log in as."""

    user_id: str
    name: str
    likes: str


def cards(keys: Sequence[str]) -> list[Card]:
    """Return the products with these keys, in their order; unknown ones are left out."""
    found = {row.key: row for row in _on_sale().filter(key__in=keys)}
    return [_card(found[key]) for key in keys if key in found]


def category_cards(key: str, page: int) -> tuple[list[Card], bool]:
    """Return one page of a category, and whether there is another."""
    rows = _on_sale().filter(categories__contains=[key]).order_by("-available", "title", "pk")
    return _page(list(rows[page * PAGE : (page + 1) * PAGE + 1]))


def found_cards(query: str) -> list[Card]:
    """Return products whose title holds every word of the query."""
    rows = _on_sale()
    for word in query.split()[:6]:
        rows = rows.filter(title__icontains=word)
    return [_card(row) for row in rows.order_by("title", "pk")[:PAGE]]


def tree() -> list[tuple[Category, list[Category]]]:
    """Return the top categories, each with its children."""
    rows = list(Category.objects.order_by("pk"))
    return [
        (row, [child for child in rows if child.parent_id == row.pk])
        for row in rows
        if row.parent_id is None
    ]


def look(key: str) -> tuple[int, str, str] | None:
    """Return hue, accent and letter of a product's tile; None: there is no such product."""
    row = Product.objects.filter(key=key).values_list("title", "categories", "attributes").first()
    if row is None:
        return None
    title, categories, attributes = row
    hue = next((_HUES[name] for name in categories if name in _HUES), sum(key.encode()) % 360)
    other = COLOURS[sum(key.encode()) % len(COLOURS)][1]
    accent = _ACCENTS.get(attributes.get("colour", ""), other)
    letter = next((letter.upper() for letter in title if letter.isalnum()), "?")
    return hue, accent, letter


@lru_cache(maxsize=2)
def personas(plan: Plan) -> tuple[Persona, ...]:
    """Return some busy customers with accounts whose tastes lie in different departments."""
    shoppers = _shoppers(plan)
    chosen: dict[int, int] = {}
    for number in np.argsort(-shoppers.activity).tolist():
        department = LEAVES[shoppers.favourites[number, 0]][0]
        if shoppers.account[number] and department not in chosen:
            chosen[department] = number
        if len(chosen) == _PERSONAS:
            break
    return tuple(_persona(shoppers, number) for number in sorted(chosen.values()))


def _shoppers(plan: Plan) -> Shoppers:
    return make_shoppers(np.random.default_rng(plan.seed).spawn(3)[1], plan.customers)


def _persona(shoppers: Shoppers, number: int) -> Persona:
    likes = [LEAVES[leaf][1].title.lower() for leaf in shoppers.favourites[number, :2].tolist()]
    return Persona(user_id(number), traits_of(number)["name"], " and ".join(likes))


def _on_sale() -> QuerySet[Product]:
    return Product.objects.filter(deleted_at=None)


def _page(rows: list[Product]) -> tuple[list[Card], bool]:
    return [_card(row) for row in rows[:PAGE]], len(rows) > PAGE


def _card(row: Product) -> Card:
    minor = row.price_minor or 0
    places = digits(row.currency)
    amount = f"{minor / 10**places:,.{places}f}"
    return Card(
        key=row.key,
        title=row.title,
        brand=row.brand,
        price=f"{amount} {row.currency}" if row.price_minor is not None else "",
        price_minor=minor,
        currency=row.currency,
        available=row.available and row.stock != 0,
        category=row.categories[0] if row.categories else "",
    )
