"""The fact: what folds understand of an event, whatever the shop calls it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

EXPOSED = "Decision Exposed"
CLICKED = "Decision Clicked"
# Sent with a token, which ingestion verifies and replaces by its claims (`events.proofs`).
TOKEN_EVENTS = frozenset({EXPOSED, CLICKED})
# What a column holds of an item's id, and of a source.
_MOST_CHARS = 100


class Fact(NamedTuple):
    """One event as folds see it.

    A named tuple: a frozen dataclass of this width costs five times as much to make.

    `kind` is view, add, remove, order, refund, cancel, wishlist, review, search, dwell or ""
    (counts by name alone). `items` holds (product key, quantity, price in minor units or None).
    `value_minor` is the worth of an order or refund in minor units of `currency`; None where the
    event does not say. `position` is (epoch, transaction, place) in the log; `props` what rules may
    read of it (`events.engine.registered`), None for nothing.
    """

    identity_id: int
    customer_id: int
    message_id: str
    occurred_us: int
    name: str
    kind: str
    items: tuple[tuple[str, int, int | None], ...]
    value_minor: int | None
    currency: str
    order_id: str
    traits: Mapping[str, Any] | None
    device_type: str
    country: str
    region: str
    locale: str
    timezone: str
    session: str
    purposes: int
    flags: int
    position: tuple[int, int, int] = (0, 0, 0)
    props: Mapping[str, Any] | None = None


class FoldedBatch(NamedTuple):
    """What projections of the group `profile` are given, with the customers locked.

    `facts` may be folded for personalization; of a customer in `causes` they are the whole log and
    what was held of it is void. `states` are the profiles after the fold; `purposes` what is in
    force for whom. `horizon` is (epoch, transaction): everything below it was seen.
    """

    facts: Sequence[Fact]
    states: Mapping[int, Mapping[str, Any]]
    purposes: Mapping[int, int]
    causes: Mapping[int, str]
    horizon: tuple[int, int]


def decision_of(fact: Fact) -> Mapping[str, Any] | None:
    """Return the verified decision of an exposure or a click; None where nothing was recommended.

    A list without a strategy is a content block.
    """
    decision = (fact.props or {}).get("$decision")
    return decision if isinstance(decision, dict) and decision.get("strategy") else None


def shown_in(fact: Fact, most: int) -> list[tuple[str, str]]:
    """Return (item, source) of the first places of an exposure, as ingestion has checked them."""
    entries = ((fact.props or {}).get("items") or ())[:most]
    pairs = (
        (one.get("id"), one.get("source", "")) if isinstance(one, dict) else one for one in entries
    )
    return [(str(item)[:_MOST_CHARS], str(source)[:_MOST_CHARS]) for item, source in pairs]


def clicked_in(fact: Fact) -> str:
    """Return the item of a click, "" for none."""
    return str((fact.props or {}).get("item") or "")[:_MOST_CHARS]
