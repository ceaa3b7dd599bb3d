"""One product as a shop sends it, checked field by field.

Answers which columns an item sets, or every fault it has. A field that is absent is left as it is,
so that a shop can send `{"key": "sku1", "stock": 3}`; it knows nothing of what is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from personalization.lib.errors import Problem
from personalization.lib.money import MAX_MINOR, to_minor
from personalization.lib.storable import shown, unstorable

# A product's free attributes; keeps a catalogue of a million products in single-digit gigabytes.
MAX_ATTRIBUTES_BYTES = 8 * 1024
MAX_CATEGORIES = 20
_INT32 = 2**31 - 1
# A feed of other columns than ours would have an answer of a hundred times its size.
_MOST_UNKNOWN = 5


def parse_item(item: object) -> tuple[dict[str, Any], list[Problem]]:
    """Return (columns that the item sets, its problems); columns count only without problems.

    `price` in major units needs `currency` in the same item; `price_minor` does not.
    """
    if not isinstance(item, Mapping):
        return {}, [Problem("", "a product is an object")]
    columns: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, check in _FIELDS.items():
        if name not in item:
            continue
        try:
            columns[name] = check(item[name])
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    problems += _unknown([str(name) for name in item if name not in _FIELDS])
    if "key" not in item:
        problems.append(Problem("key", "missing"))
    if "price" in columns:
        problems += _resolve_price(columns)
    return columns, problems


def _unknown(names: Sequence[str]) -> list[Problem]:
    """Tell of unknown fields: the known ones once, and few by name."""
    told = ["unknown field; known: " + ", ".join(FIELDS)] + ["unknown field"] * (_MOST_UNKNOWN - 1)
    problems = [Problem(shown(name), words) for name, words in zip(names, told, strict=False)]
    more = len(names) - len(problems)
    return [*problems, *([Problem("", f"{more} more unknown fields")] if more else [])]


def _resolve_price(columns: dict[str, Any]) -> list[Problem]:
    price = columns.pop("price")
    if "price_minor" in columns:
        return [Problem("price", "send price or price_minor, not both")]
    if price is None:
        columns["price_minor"] = None
        return []
    if not columns.get("currency"):
        return [Problem("price", "needs currency in the same item; or send price_minor")]
    minor = to_minor(price, columns["currency"])
    if minor is None or minor < 0:
        return [Problem("price", "not an amount of 0 or more")]
    columns["price_minor"] = minor
    return []


def _text(limit: int, *, required: bool = False) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            msg = "must be text"
            raise ValueError(msg)  # noqa: TRY004 -- the caller turns ValueError into a problem
        text: str = value.strip()
        if required and not text:
            msg = "must not be empty"
            raise ValueError(msg)
        if len(text) > limit:
            msg = f"longer than {limit} characters"
            raise ValueError(msg)
        _storable(text)
        return text

    return check


def _url(value: Any) -> str:
    text = _text(1000)(value)
    # Storefronts put it into href and src: javascript: and data: must not come in by a feed.
    if text and not text.startswith(("https://", "http://", "/")):
        msg = "must start with https://, http:// or /"
        raise ValueError(msg)
    return text


def _currency(value: Any) -> str:
    text = _text(3)(value).upper()
    if text and not (len(text) == 3 and text.isascii() and text.isalpha()):  # noqa: PLR2004 -- ISO 4217
        msg = "must be an ISO 4217 code such as EUR"
        raise ValueError(msg)
    return text


def _whole(low: int, high: int) -> Callable[[Any], int | None]:
    def check(value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            msg = f"must be a whole number from {low} to {high}, or null"
            raise ValueError(msg)
        return value

    return check


def _yes_no(value: Any) -> bool:
    if not isinstance(value, bool):
        msg = "must be true or false"
        raise ValueError(msg)  # noqa: TRY004 -- the caller turns ValueError into a problem
    return value


def _categories(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_CATEGORIES:
        msg = f"must be a list of at most {MAX_CATEGORIES} category keys, the main one first"
        raise ValueError(msg)
    return list(dict.fromkeys(map(_text(100, required=True), value)))


def _attributes(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        msg = "must be an object"
        raise ValueError(msg)
    if len(_storable(value)) > MAX_ATTRIBUTES_BYTES:
        msg = f"larger than {MAX_ATTRIBUTES_BYTES} bytes"
        raise ValueError(msg)
    for fault in unstorable(value):
        msg = f"{fault.path} {fault.problem}"
        raise ValueError(msg)
    return value


def _storable(value: Any) -> bytes:
    """Return the value as JSON; PostgreSQL stores neither NUL nor lone surrogates."""
    try:
        body = orjson.dumps(value)
    except TypeError as error:
        msg = "holds something that JSON cannot carry (a lone surrogate, NaN or too large a number)"
        raise ValueError(msg) from error
    if b"\\u0000" in body.replace(b"\\\\", b""):
        msg = "holds a NUL character"
        raise ValueError(msg)
    return body


def _price(value: Any) -> Any:
    return value


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "key": _text(100, required=True),
    "title": _text(300, required=True),
    "url": _url,
    "image_url": _url,
    "price": _price,
    "price_minor": _whole(0, MAX_MINOR),
    "currency": _currency,
    "stock": _whole(-_INT32, _INT32),
    "available": _yes_no,
    "brand": _text(100),
    "categories": _categories,
    "attributes": _attributes,
}
FIELDS = tuple(_FIELDS)
