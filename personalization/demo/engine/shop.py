"""The demo shop's assortment as arrays: category, brand, style, price and stock of each product."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine import words
from personalization.demo.engine.words import COLOURS, DEPARTMENTS, STYLES, Department, Leaf

LEAVES: tuple[tuple[int, Leaf], ...] = tuple(
    (number, leaf) for number, department in enumerate(DEPARTMENTS) for leaf in department.leaves
)
LEAF_NUMBER: dict[str, int] = {leaf.key: i for i, (_, leaf) in enumerate(LEAVES)}
BRANDS_EACH = len(DEPARTMENTS[0].brands)

# A twelfth of the assortment is out of stock or withdrawn in a usual shop; the demo keeps it rarer.
_SOLD_OUT_SHARE = 0.03
_TIERS = (0.8, 0.9, 1.0, 1.0, 1.1, 1.25, 1.5)


class ProductRow(NamedTuple):
    """One product as the catalogue takes it."""

    key: str
    title: str
    url: str
    image_url: str
    price_minor: int
    currency: str
    stock: int
    brand: str
    categories: list[str]
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shop:
    """The assortment, sorted by leaf: a leaf is the slice `start[leaf]:start[leaf + 1]`.

    Attributes
    ----------
    leaf, brand, style, colour, adjective, noun, material : (n,) int16
        Brand is numbered across departments; the last three index the word tables.
    price_minor : (n,) int64
    band : (n,) float32
        Price against its own leaf: log price, standardised.
    weight : (n,) float64
        Popularity; sums to 1 within each leaf.
    stock : (n,) int32
    start : (n_leaves + 1,) int64
    """

    leaf: NDArray[np.int16]
    brand: NDArray[np.int16]
    style: NDArray[np.int16]
    colour: NDArray[np.int16]
    adjective: NDArray[np.int16]
    noun: NDArray[np.int16]
    material: NDArray[np.int16]
    price_minor: NDArray[np.int64]
    band: NDArray[np.float32]
    weight: NDArray[np.float64]
    stock: NDArray[np.int32]
    start: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many products there are."""
        return len(self.leaf)


def make_shop(rng: np.random.Generator, n_products: int) -> Shop:
    """Draw an assortment of `n_products`, spread over all leaves, every title once."""
    n_leaves = len(LEAVES)
    share = rng.dirichlet(np.full(n_leaves, 12.0))
    counts = np.maximum(1, np.floor(share * (n_products - n_leaves)).astype(np.int64) + 1)
    counts[np.argsort(-counts)[: n_products - int(counts.sum())]] += 1
    start = np.concatenate([[0], np.cumsum(counts)])
    leaf = np.repeat(np.arange(n_leaves, dtype=np.int16), counts)
    department = np.array([d for d, _ in LEAVES])[leaf]
    title = np.concatenate([_title_numbers(rng, i, int(count)) for i, count in enumerate(counts)])
    adjective, title = np.divmod(title, 1000)
    noun, material = np.divmod(title, 30)
    brand_in = rng.choice(BRANDS_EACH, len(leaf), p=_falling(BRANDS_EACH))
    price = _prices(rng, leaf, brand_in)
    weight = rng.lognormal(0.0, 1.1, len(leaf))
    weight /= np.repeat(np.add.reduceat(weight, start[:-1]), counts)
    stock = rng.poisson(40, len(leaf)).astype(np.int32)
    stock[rng.random(len(leaf)) < _SOLD_OUT_SHARE] = 0
    return Shop(
        leaf=leaf,
        brand=(department * BRANDS_EACH + brand_in).astype(np.int16),
        style=(adjective // len(STYLES[0][1])).astype(np.int16),
        colour=rng.integers(0, len(COLOURS), len(leaf)).astype(np.int16),
        adjective=(adjective % len(STYLES[0][1])).astype(np.int16),
        noun=noun.astype(np.int16),
        material=material.astype(np.int16),
        price_minor=price,
        band=_standardised(np.log(price), start),
        weight=weight,
        stock=stock,
        start=start,
    )


def product_key(number: int) -> str:
    """Return the key of product `number`."""
    return f"{words.PREFIX}{number:05d}"


def product_rows(shop: Shop, *, currency: str) -> list[ProductRow]:
    """All products as rows for the catalogue."""
    return [_row(shop, number, currency) for number in range(shop.size)]


def department_of(shop: Shop, number: int) -> Department:
    """Return the department in which product `number` lies."""
    return DEPARTMENTS[LEAVES[shop.leaf[number]][0]]


def title_of(shop: Shop, number: int) -> str:
    """Title of product `number`: style adjective, material, noun (`Quiet Linen Duvet Cover`)."""
    leaf = LEAVES[shop.leaf[number]][1]
    adjective = STYLES[shop.style[number]][1][shop.adjective[number]]
    return f"{adjective} {leaf.materials[shop.material[number]]} {leaf.nouns[shop.noun[number]]}"


def _row(shop: Shop, number: int, currency: str) -> ProductRow:
    department, leaf = DEPARTMENTS[LEAVES[shop.leaf[number]][0]], LEAVES[shop.leaf[number]][1]
    key = product_key(number)
    return ProductRow(
        key=key,
        title=title_of(shop, number),
        url=f"/shop/p/{key}/",
        image_url=f"/shop/tile/{key}.svg",
        price_minor=int(shop.price_minor[number]),
        currency=currency,
        stock=int(shop.stock[number]),
        brand=department.brands[int(shop.brand[number]) % BRANDS_EACH],
        categories=[leaf.key, department.key],
        attributes={
            "colour": COLOURS[shop.colour[number]][0],
            "material": leaf.materials[shop.material[number]],
            "style": STYLES[shop.style[number]][0],
        },
    )


def _title_numbers(rng: np.random.Generator, leaf_number: int, count: int) -> NDArray[np.int64]:
    """Draw `count` different titles of a leaf, coded adjective * 1000 + noun * 30 + material."""
    leaf = LEAVES[leaf_number][1]
    adjectives = len(STYLES) * len(STYLES[0][1])
    combinations = adjectives * len(leaf.nouns) * len(leaf.materials)
    if count > combinations:
        msg = f"{leaf.key} has words for {combinations} titles, not {count}; make fewer products"
        raise ValueError(msg)
    rest, material = np.divmod(rng.choice(combinations, count, replace=False), len(leaf.materials))
    adjective, noun = np.divmod(rest, len(leaf.nouns))
    return np.asarray(adjective * 1000 + noun * 30 + material)


def _prices(
    rng: np.random.Generator, leaf: NDArray[np.int16], brand_in: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Prices in minor units that end in 90, 95 or 00: the leaf's range times the brand's tier."""
    low = np.array([entry.low for _, entry in LEAVES])[leaf]
    high = np.array([entry.high for _, entry in LEAVES])[leaf]
    place = np.clip(rng.beta(1.6, 3.2, len(leaf)), 0.0, 1.0)
    whole: NDArray[np.float64] = np.round(low * (high / low) ** place * np.array(_TIERS)[brand_in])
    ending = rng.choice(np.array([-10, -5, 0]), len(leaf), p=[0.5, 0.3, 0.2])
    return np.asarray(np.maximum(whole, 2) * 100 + ending, dtype=np.int64)


def _standardised(values: NDArray[np.float64], start: NDArray[np.int64]) -> NDArray[np.float32]:
    """Values less their leaf's mean, over the overall spread; leaves of one product get 0."""
    counts = np.diff(start)
    means = np.add.reduceat(values, start[:-1]) / counts
    centred = values - np.repeat(means, counts)
    return (centred / max(float(centred.std()), 1e-9)).astype(np.float32)


def _falling(n: int) -> NDArray[np.float64]:
    """Shares that fall like 1/(k+1), as brands share a market."""
    share = 1.0 / np.arange(1.0, n + 1.0)
    return np.asarray(share / share.sum())
