"""One line of a product feed turned into an item as `items.parse_item` takes it."""

from collections.abc import Mapping
from typing import Any

# What shops call these columns (Google Merchant, Shopify, Magento exports) -> our field.
_COLUMNS = {
    "id": "key",
    "sku": "key",
    "product_id": "key",
    "name": "title",
    "link": "url",
    "image": "image_url",
    "image_link": "image_url",
    "category": "categories",
    "product_type": "categories",
    "quantity": "stock",
    "inventory": "stock",
    "availability": "available",
}
_PLAIN = {"key", "title", "url", "image_url", "currency", "brand", "price"}
_YES = {"true", "1", "yes", "in stock", "in_stock", "instock"}
_NO = {"false", "0", "no", "out of stock", "out_of_stock", "outofstock"}


def item_of(row: Mapping[str | None, str | None]) -> dict[str, Any]:
    """Return the item of one CSV row; empty cells set nothing, unknown columns become attributes.

    `categories` are separated by `|`. A cell that cannot be read is passed on as text, so that
    `parse_item` names the fault.
    """
    item: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    for column, cell in row.items():
        if column is None or cell is None or not cell.strip():
            continue
        name = column.strip().lower()
        name = _COLUMNS.get(name, name)
        if name in _PLAIN:
            item[name] = cell.strip()
        elif name in {"stock", "price_minor"}:
            item[name] = _whole(cell.strip())
        elif name == "available":
            item[name] = _yes_no(cell.strip())
        elif name == "categories":
            item[name] = [part.strip() for part in cell.split("|") if part.strip()]
        else:
            attributes[name.removeprefix("attributes.")] = cell.strip()
    if attributes:
        item["attributes"] = attributes
    return item


def _whole(cell: str) -> int | str:
    try:
        return int(cell)
    except ValueError:
        return cell


def _yes_no(cell: str) -> bool | str:
    lowered = cell.lower()
    if lowered in _YES:
        return True
    return False if lowered in _NO else cell
