"""Why a product is on a shelf, in words that a shop can show; every phrase can be translated."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from django.utils.translation import get_language, gettext

from personalization.catalog.serve import CatalogView

# Source -> words with the product that spoke most for it, words without.
_WORDS: Mapping[str, tuple[str, str]] = {
    "item_knn": ("Often viewed with {title}", "Goes with what you looked at"),
    "also_viewed": ("Also viewed with {title}", "Others also viewed"),
    "bought_together": ("Often bought with {title}", "Often bought together"),
    "transitions": ("Often viewed after {title}", "Often viewed next"),
    "session_knn": ("Because you viewed {title}", "Others like you went on to this"),
    "rp3beta": ("Because you viewed {title}", "Chosen for you"),
    "ease": ("Because you viewed {title}", "Chosen for you"),
    "gfcf": ("Because you viewed {title}", "Chosen for you"),
    "als": ("Because you viewed {title}", "Chosen for you"),
    "bpr": ("Because you viewed {title}", "Chosen for you"),
    "svd": ("Because you viewed {title}", "Chosen for you"),
    "user_knn": ("Because you viewed {title}", "Liked by customers like you"),
    "content": ("Similar to {title}", "Similar to what you looked at"),
    "buy_again": ("Buy again", "Buy again"),
    "recently_viewed": ("You viewed this", "You viewed this"),
    "popularity": ("Popular right now", "Popular right now"),
    "popular_in_group": ("Popular with customers like you", "Popular with customers like you"),
    "popular_in_category": ("Popular in its category", "Popular in its category"),
    "hybrid": ("Similar to {title}", "Chosen for you"),
    "trending": ("Trending now", "Trending now"),
    "category": ("Popular in {title}", "Popular in its category"),
    "catalog": ("From our range", "From our range"),
    "editorial": ("Chosen by our team", "Chosen by our team"),
    "pin": ("Chosen by our team", "Chosen by our team"),
    "exploration": ("New arrival", "New arrival"),
    "search": ("Matches your search", "Matches your search"),
}
_OTHER = ("Because you viewed {title}", "Chosen for you")


def reason(source: str, title: str | None) -> str:
    """Return the words for a source; `title`: the product or category that spoke most for it."""
    return reasons([(source, title)])[0]


def reasons(told: Iterable[tuple[str, str | None]]) -> list[str]:
    """Return `reason` of each (source, title): the language in force is asked for once a shelf."""
    language, words = get_language(), []
    for source, title in told:
        with_title, without = _told(source, language)
        words.append(without if title is None else with_title.replace("{title}", title))
    return words


def title_of(key: str, view: CatalogView) -> str:
    """Return a product's title, its key where it is not in the catalogue."""
    row = view.index.get(key)
    return view.titles[row] if row is not None and view.titles[row] else key


def category_title(key: str, view: CatalogView) -> str:
    """Return a category's title; one that the tree does not know is told by its key."""
    return view.category_titles.get(key) or key.rpartition("/")[2].replace("-", " ").title()


@lru_cache(maxsize=1024)
def _told(source: str, _language: str | None) -> tuple[str, str]:
    """Return the words of a source in the language in force: twelve a shelf are a tenth of it."""
    words = _WORDS.get(source) or _WORDS.get(source.partition("_")[0]) or _family(source)
    return gettext(words[0]), gettext(words[1])


def _family(source: str) -> tuple[str, str]:
    """Return the words of the kind of model: `item_knn_tfidf` is told as `item_knn`."""
    for name, words in _WORDS.items():
        if source.startswith(f"{name}_"):
            return words
    return _OTHER
