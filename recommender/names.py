"""What people call the models and the other sources of a list, beside the keys of the API."""

from collections.abc import Mapping

_MODELS: Mapping[str, str] = {
    "popularity": "Popular with everybody",
    "trending": "Rising fast",
    "popular_in_category": "Popular in the category",
    "popular_in_group": "Popular with similar customers",
    "item_knn": "Bought or viewed by the same people",
    "item_knn_tfidf": "Bought or viewed by the same people, rare products count more",
    "item_knn_cosine": "Bought or viewed by the same people, by cosine",
    "item_knn_asymmetric": "Bought or viewed by the same people, one way",
    "also_viewed": "Viewed in the same visit",
    "bought_together": "Bought together",
    "transitions": "Viewed next",
    "session_knn": "What similar visits went on to",
    "user_knn": "What similar customers like",
    "rp3beta": "A few steps away: who bought what else",
    "gfcf": "Taste as a whole, smoothed over products",
    "ease": "Taste as a whole, products weighed against each other",
    "als": "Taste as a whole, by hidden themes",
    "bpr": "Taste as a whole, learned by comparing pairs",
    "svd": "Taste as a whole, by its main themes",
    "content": "Similar by description",
    "hybrid": "Similar by description and by behaviour",
    "buy_again": "Due to be bought again",
    "recently_viewed": "Looked at lately",
}
_BLEND = "blend_"
_OTHERS: Mapping[str, str] = {
    "catalog": "Filled up from the range",
    "editorial": "Picked by hand",
    "pin": "Pinned by hand",
    "exploration": "New, by chance",
    "category": "Popular in the category",
    "search": "Found by the search",
}


def plain(source: str) -> str:
    """Return a model's or source's name for people; without one, its key in words."""
    known = _MODELS.get(source) or _OTHERS.get(source)
    if known is None and source.startswith(_BLEND):
        return f"Learned mix of models: {source.removeprefix(_BLEND).replace('_', ' ')}"
    return known or source.replace("_", " ")


def named(source: str) -> str:
    """Return the name with the key: `Viewed next (transitions)`."""
    return f"{plain(source)} ({source})" if source in _MODELS else plain(source)
