"""Items alike by what they are: attributes, categories, words, price. Cold items included.

References
----------
Salton and Buckley, "Term-weighting approaches in automatic text retrieval", IPM 1988 (TF-IDF and
cosine). Lops, de Gemmis and Semeraro, "Content-based recommender systems", 2011, section 3.3.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_matrix, hstack

from recommender.engine.base import Config, Cost, Interactions, SideInfo
from recommender.engine.itemitem import ItemItem
from recommender.engine.lazy import preprocessing, text
from recommender.engine.products import largest

# What so few items share is never too common to be multiplied out.
_FEW = 1000


@dataclass(frozen=True, slots=True)
class FeaturesConfig(Config):
    """How items are described.

    `text_weight`: what words count beside attributes and categories. `price_bands`: equal shares of
    the catalogue by price. `common`: a feature of more items says nothing and costs most.
    `words`: how many of the most frequent are known.
    """

    text_weight: float = 0.7
    price_bands: int = 8
    common: float = 0.4
    words: int = 50_000


@dataclass(frozen=True, slots=True)
class ContentConfig(FeaturesConfig):
    """`neighbours` kept an item."""

    neighbours: int = 200


class Content(ItemItem):
    """Cosine of descriptions; interactions do not matter."""

    key = "content"
    config_type = ContentConfig

    @classmethod
    def fit(
        cls, data: Interactions, config: Config, *, as_of_s: float, side: SideInfo | None = None
    ) -> Self:
        """Return the model; items without a description have no neighbours."""
        assert isinstance(config, ContentConfig)  # noqa: S101 -- narrows the type
        described = features(side or SideInfo(), data.n_items, config)
        if not described.nnz:
            return cls.nothing(data.n_items, config)
        alike = largest(described, described.T.tocsr(), config.neighbours, diagonal=False)
        return cls.of(alike, config)

    @classmethod
    def cost(cls, n_users: int, n_items: int, nnz: int, config: Config) -> Cost:
        """Return the cost of items that share a twentieth of their features each."""
        assert isinstance(config, ContentConfig)  # noqa: S101 -- narrows the type
        n = float(n_items)
        return Cost(2e-8 * n * n + 5e-4 * n, 2000.0 * n + 24.0 * n * config.neighbours)


def features(side: SideInfo, n_items: int, config: FeaturesConfig) -> csr_matrix:
    """Return (n_items, n_features) float32, rows of length 1; of length 0 where nothing is said."""
    named = list(_named(side, n_items, config))
    texts = [*side.texts[:n_items], *[""] * (n_items - len(side.texts))]
    most = max(_FEW, int(config.common * n_items))
    parts = []
    for documents, weight, options in (
        (named, 1.0, {"analyzer": _as_is}),
        (texts, config.text_weight, {"max_features": config.words}),
    ):
        vectors = text.CountVectorizer(max_df=most, dtype=np.float32, **options)
        try:
            counts = vectors.fit_transform(documents)
        except ValueError:
            # scikit-learn raises where no document holds a term
            continue
        parts.append(weight * text.TfidfTransformer(sublinear_tf=True).fit_transform(counts))
    if not parts:
        return csr_matrix((n_items, 0), dtype=np.float32)
    described = hstack(parts).tocsr().astype(np.float32)
    return preprocessing.normalize(described, copy=False)


def _named(side: SideInfo, n_items: int, config: FeaturesConfig) -> Iterator[list[str]]:
    """Yield each item's attributes, categories with those above them, and price band."""
    bands = _bands(side, n_items, config.price_bands)
    for row in range(n_items):
        found = list(side.attributes[row]) if row < len(side.attributes) else []
        for path in side.categories[row] if row < len(side.categories) else ():
            steps = path.split("/")
            found += ["/".join(("in", *steps[: depth + 1])) for depth in range(len(steps))]
        if bands[row] >= 0:
            found.append(f"price={bands[row]}")
        yield found


def _bands(side: SideInfo, n_items: int, count: int) -> list[int]:
    """Return each item's price band, -1 without a price."""
    bands = np.full(n_items, -1, np.int64)
    if side.prices is None or count < 1:
        return bands.tolist()
    prices = side.prices[:n_items]
    known = np.flatnonzero(np.isfinite(prices))
    if len(known):
        edges = np.quantile(prices[known], np.arange(1, count) / count)
        bands[known] = np.searchsorted(edges, prices[known])
    return bands.tolist()


def _as_is(document: list[str]) -> list[str]:
    return document
