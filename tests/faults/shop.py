"""A small shop with one shelf and trained models, and what its visitors must see of it.

Two tastes: who has looked at some products of one looks at others of it. So a shelf tells whether
its visitor is known: `item_knn` speaks for those alone who have looked at something, and to
everybody else `popularity` does.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.faults.deployment import Deployment
from tests.waiting import wait_for

SHELF = "home.recommended"
_ITEMS, _CROWD, _VIEWS, _DAYS = 12, 60, 5, 14
_PERSONAL, _FOR_ALL = "item_knn", "popularity"
# Events, models and configuration come within seconds; a processor may just have started.
_OPEN_WITHIN_S = 60.0
# Slow is not broken: once the budget is spent, the list that was made ahead is shown.
_LATE = "recommend:budget"
# What the process could not know; what it shows to a stranger then needs none of it.
_UNKNOWN = frozenset({"profile:unavailable", "config:remembered"})


def open_shop(deployment: Deployment, key: str) -> None:
    """Make products, a past and the shelf, and train; wait until it serves. `key`: a secret one."""
    products = [
        {"key": _item(taste, n), "title": _item(taste, n), "stock": 5}
        for taste in range(2)
        for n in range(_ITEMS)
    ]
    _accepted(deployment, key, "/api/products/", products)
    shelf = {"key": SHELF, "kind": "recommendations", "strategy": "for-you", "count": 5}
    _accepted(deployment, key, "/api/placements/", shelf)
    _accepted(deployment, key, "/v1/batch", {"batch": _past()})
    told = deployment.manage("train", "--models", _FOR_ALL, _PERSONAL)
    wait_for(
        "a shelf for each",
        lambda: not any(shelf_faults(deployment, key, n) for n in range(_CROWD)),
        _OPEN_WITHIN_S,
        lambda: f"{shelf_faults(deployment, key, 0)}\n{told}\n{deployment.told()}",
    )


def shelf_faults(deployment: Deployment, key: str, number: int) -> list[str]:
    """Ask once for a known visitor and once for a stranger; return what is wrong."""
    faults = []
    for ids, is_known in ((known(number), True), (stranger(number), False)):
        status, answer = deployment.call("POST", "/v1/decide", asked(ids), key=key)
        fault = shelf_fault(answer, is_known=is_known) if status == 200 else str((status, answer))
        faults += [f"{ids}: {fault}"] if fault else []
    return faults


def asked(ids: dict[str, str]) -> dict[str, Any]:
    """Return the body that asks for the shelf."""
    return {**ids, "placements": [SHELF]}


def known(number: int) -> dict[str, str]:
    """Return the ids of somebody who has looked at products of one taste."""
    return {"anonymousId": f"crowd-{number % _CROWD}"}


def stranger(number: int) -> dict[str, str]:
    """Return the ids of somebody who has done nothing."""
    return {"anonymousId": f"stranger-{number}"}


def shelf_fault(answer: dict[str, Any], *, is_known: bool) -> str:
    """Return what is wrong with the answer to a visitor, "" where nothing is.

    A known one must get what is theirs; a stranger what everybody does, even where nothing could be
    read of anybody.
    """
    shelf, degraded = answer["placements"][SHELF], set(answer["degraded"])
    sources = {item["source"] for item in shelf.get("items", ())}
    if not sources:
        return f"an empty shelf: {shelf}"
    if is_known and shelf["reason"] != "personal":
        return f"{shelf['reason']} for a known visitor, {degraded}"
    if unforeseen := degraded - {_LATE} - (frozenset() if is_known else _UNKNOWN):
        return f"degraded: {unforeseen}"
    if _LATE in degraded or sources == {_PERSONAL if is_known else _FOR_ALL}:
        return ""
    return f"shown by {sources}"


def _past() -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [
        {
            "type": "track",
            "event": "Product Viewed",
            **known(one),
            "messageId": f"past-{one}-{n}",
            "timestamp": (now - timedelta(days=1 + (one * _VIEWS + n) % _DAYS)).isoformat(),
            "properties": {"product_id": _item(one % 2, one // 2 + n * (1 + one % 5))},
        }
        for one in range(_CROWD)
        for n in range(_VIEWS)
    ]


def _item(taste: int, n: int) -> str:
    return f"{'ab'[taste]}{n % _ITEMS}"


def _accepted(deployment: Deployment, key: str, path: str, body: Any) -> None:
    status, answer = deployment.call("POST", path, body, key=key)
    assert status in (200, 201), answer
