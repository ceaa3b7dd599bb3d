"""One request for recommendations: who asks, about what, and what must not be shown, with why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from personalization.catalog.serve import CatalogView
from recommender.engine.queries import DECAY, KIND_WEIGHTS, MAX_RECENT
from recommender.engine.rulemasks import ProductRule
from recommender.engine.strategies import StrategySpec
from recommender.masks import Request

# A page or a cart names an item as strongly as an added one does.
_SEED_WEIGHT = KIND_WEIGHTS["add"]
_DAY_S = 86_400.0
_SEEN = frozenset({"view", "dwell"})

# A visitor's action: fact kind, item, seconds since the epoch.
Action = tuple[str, str, float]
# What a model is asked about: item, weight, age in days.
Seed = tuple[str, float, float]


@dataclass(frozen=True, slots=True)
class Visit:
    """What one request brings.

    Parameters
    ----------
    recent
        The visitor's latest actions, newest first.
    item
        The item of the page.
    bought
        Item -> when last bought.
    shown
        Item -> how often it was shown lately without a click.
    segments
        Keys of the segments that the visitor is in.
    context
        Request fields by the keys of docs/rules.md (`device.type`, `local_time.hour`).
    given
        Items to put in order, best first; None: choose from all.
    rule
        A further rule on products, of this request alone.
    seed
        What chance is drawn by: equal seeds on one day give equal answers.
    """

    recent: Sequence[Action] = ()
    item: str | None = None
    cart: Sequence[str] = ()
    bought: Mapping[str, float] = field(default_factory=dict)
    shown: Mapping[str, int] = field(default_factory=dict)
    segments: Sequence[str] = ()
    context: Mapping[str, Any] = field(default_factory=dict)
    country: str = ""
    exclude: Collection[str] = ()
    given: Sequence[str] | None = None
    rule: ProductRule | None = None
    count: int = 12
    personal: bool = True
    seed: str = ""
    now_s: float = 0.0

    def impersonal(self) -> "Visit":
        """Return what is left of it where nothing personal may count."""
        return Visit(
            item=self.item,
            cart=self.cart,
            context=self.context,
            country=self.country,
            exclude=self.exclude,
            given=self.given,
            rule=self.rule,
            count=self.count,
            personal=False,
            now_s=self.now_s,
        )

    def request(self) -> Request:
        """Return what rules read of it."""
        return Request(self.context, self.country, round(self.now_s * 1e6))

    def seeds(self) -> dict[str, list[Seed]]:
        """Return seed name -> what it names; recent actions decay by their place in the list."""
        found: dict[str, list[Seed]] = {
            "item": [(self.item, _SEED_WEIGHT, 0.0)] if self.item else []
        }
        if self.personal:
            found["cart"] = [(key, _SEED_WEIGHT, 0.0) for key in self.cart[:MAX_RECENT]]
            found["recent"] = [
                (key, KIND_WEIGHTS[kind] * DECAY**place, max(0.0, self.now_s - at_s) / _DAY_S)
                for place, (kind, key, at_s) in enumerate(self.recent[:MAX_RECENT])
                if kind in KIND_WEIGHTS
            ]
        return found


def excluded(visit: Visit, spec: StrategySpec, view: CatalogView) -> dict[str, str]:
    """Return item -> why it must not be shown to this visitor now; the first reason counts."""
    found = dict.fromkeys(visit.exclude, "excluded")
    if spec.rules.exclude_cart:
        _tell(found, visit.cart, "in_cart")
    if visit.item:
        found.setdefault(visit.item, "page_item")
    own = dict(spec.rules.readmission_days)
    for key, at_s in visit.bought.items():
        days = _days(key, own, view) if own else None
        if at_s > visit.now_s - _DAY_S * (spec.exclude_bought_days if days is None else days):
            found.setdefault(key, "bought")
    if spec.rules.exclude_seen:
        _tell(found, [key for kind, key, _ in visit.recent if kind in _SEEN], "seen")
    return found


def _tell(found: dict[str, str], keys: Collection[str], why: str) -> None:
    for key in keys:
        found.setdefault(key, why)


def _days(key: str, own: Mapping[str, int], view: CatalogView) -> int | None:
    """Return after how many days something bought may be shown again, by its categories."""
    row = view.index.get(key)
    if row is None:
        return None
    days = [own[category] for category in view.shelves[row] if category in own]
    # a refill that is also a gift set comes back when the first of both may
    return min(days) if days else None
