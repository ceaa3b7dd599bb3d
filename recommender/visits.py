"""One request for recommendations: who asks, about what, and what must not be shown, with why."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from django.conf import settings

from personalization.catalog.serve import CatalogView
from personalization.customers.engine import showings
from personalization.lib import clock
from recommender.engine.queries import KIND_WEIGHTS, MAX_RECENT
from recommender.engine.rulemasks import ProductRule
from recommender.engine.strategies import AGAIN, StrategySpec
from recommender.masks import Request
from recommender.weighing import kind_weights, recent_decay
from segments import serve as segments

# A page or a cart names an item as strongly as an added one does.
_AS_NAMED = "add"
_DAY_S = 86_400.0
_SEEN = frozenset({"view", "dwell"})
# ISO 3166
_COUNTRY = re.compile(r"[A-Za-z]{2}")

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
    shown_above
        What the page shows on other shelves already: it comes last, only where nothing else is left
        for a place. Items to put in order are shown all the same.
    rule
        A further rule on products, of this request alone.
    seed
        What chance is drawn by: equal seeds on one day give equal answers.
    draw
        What chance is drawn by where there is no seed or nothing personal may count; it says
        nothing of the visitor.
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
    shown_above: Sequence[str] = ()
    rule: ProductRule | None = None
    count: int = 12
    personal: bool = True
    seed: str = ""
    draw: str = ""
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
            shown_above=self.shown_above,
            rule=self.rule,
            count=self.count,
            personal=False,
            draw=self.draw,
            now_s=self.now_s,
        )

    def request(self) -> Request:
        """Return what rules read of it."""
        return Request(self.context, self.country, round(self.now_s * 1e6))

    def seeds(self) -> dict[str, list[Seed]]:
        """Return seed name -> what it names; recent actions decay by their place in the list."""
        weights = kind_weights()
        named = weights[_AS_NAMED]
        found: dict[str, list[Seed]] = {"item": [(self.item, named, 0.0)] if self.item else []}
        if self.personal:
            found["cart"] = [(key, named, 0.0) for key in self.cart[:MAX_RECENT]]
            found["recent"] = self.recent_seeds(KIND_WEIGHTS)
            found["bought"] = [
                (key, weights["order"], max(0.0, self.now_s - at_s) / _DAY_S)
                for key, at_s in self._purchases()
            ]
        return found

    def recent_seeds(self, kinds: Collection[str]) -> list[Seed]:
        """Return the recent actions of some fact kinds, such as those a model learned from."""
        if not self.personal:
            return []
        weights, decay, now_s = kind_weights(), recent_decay(), self.now_s
        return [
            (key, weights[kind] * decay**place, max(0.0, now_s - at_s) / _DAY_S)
            for place, (kind, key, at_s) in enumerate(self.recent[:MAX_RECENT])
            if kind in weights and kind in kinds
        ]

    def _purchases(self) -> list[tuple[str, float]]:
        """Return each purchase that is known, newest first: of the latest actions, and before."""
        latest = [(key, at_s) for kind, key, at_s in self.recent if kind == "order"]
        told = {key for key, _ in latest}
        latest += [(key, at_s) for key, at_s in self.bought.items() if key not in told]
        return sorted(latest, key=lambda one: -one[1])


def visit_of(
    parts: Mapping[str, Any],
    *,
    seed: str,
    count: int,
    now: datetime,
    told: Mapping[str, Any] = MappingProxyType({}),
    country: str = "",
) -> Visit:
    """Return the visit that a decision would make of a customer by the profile document alone.

    Parameters
    ----------
    parts
        What serving reads of the customer (`customers.documents`); empty for a stranger.
    told, country
        What a page would tell of the request, where somebody tries that out.
    """
    profile: Mapping[str, Any] = parts.get("profile", {})
    members = segments.members(parts, now_us=clock.to_us(now))
    return Visit(
        recent=[(kind, key, at_s) for kind, key, at_s in profile.get("recent", ())],
        cart=tuple(profile.get("cart", ())),
        bought=profile.get("bought", {}),
        shown=shown_lately(profile, now.timestamp()),
        segments=tuple(one.key for one in members),
        context=known_fields(told, profile, now),
        country=country_of((country, profile.get("country")), profile.get("locale") or ""),
        count=count,
        seed=seed,
        now_s=now.timestamp(),
    )


def shown_lately(profile: Mapping[str, Any], now_s: float) -> dict[str, int]:
    """Return item -> how often it was shown since its last click or purchase, by the profile."""
    oldest_s = now_s - showings.DAYS * _DAY_S
    held: Mapping[str, Sequence[int]] = profile.get("shown", {})
    return {item: times for item, (times, last_s) in held.items() if last_s >= oldest_s}


def country_of(told: Iterable[str | None], locale: str) -> str:
    """Return the first country told, in capitals, else that of a locale; "" for none.

    What is no code of two letters, such as a country's name, must not hide every product.
    """
    language, _, territory = locale.replace("_", "-").rpartition("-")
    named = (*told, language and territory)
    return next((one.upper() for one in named if one and _COUNTRY.fullmatch(one)), "")


def known_fields(
    context: Mapping[str, Any], profile: Mapping[str, Any], at: datetime
) -> dict[str, Any]:
    """Return what rules read of a request: `context`, and where it is silent the profile.

    Hour and weekday are those of the visitor's time zone, else, or where nobody knows it, of the
    shop's.
    """
    named = context.get("timezone") or profile.get("timezone") or ""
    local = at.astimezone(clock.zone(named) or clock.zone(settings.SHOP_TIME_ZONE))
    found = {
        **context,
        "local_time.hour": local.hour,
        "local_time.weekday": local.isoweekday(),
    }
    if "device.type" not in found and profile.get("device_type"):
        found["device.type"] = profile["device_type"]
    return found


def excluded(visit: Visit, spec: StrategySpec, view: CatalogView) -> dict[str, str]:
    """Return item -> why it must not be shown to this visitor now; the first reason counts."""
    found = dict.fromkeys(visit.exclude, "excluded")
    if spec.rules.exclude_cart:
        _tell(found, visit.cart, "in_cart")
    if visit.item:
        found.setdefault(visit.item, "page_item")
    own = dict(spec.rules.readmission_days)
    # a shelf of what is due again waits as long as each item's own interval, not for all alike
    again = {source.algorithm for source in spec.sources} == {AGAIN}
    usual = 0 if again else spec.exclude_bought_days
    for key, at_s in visit.bought.items():
        days = _days(key, own, view) if own else None
        if at_s > visit.now_s - _DAY_S * (usual if days is None else days):
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
