"""What one decision tells the recommender of the visitor and the page."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from personalization.decisions.engine.recent import Action
from personalization.decisions.visitors import Visitor
from personalization.decisions.wire import Ask, Wanted
from personalization.events.engine.taxonomy import CLICKED, EXPOSED
from personalization.lib import clock
from recommender.serve import Visit, country_of, known_fields
from segments import serve as segments


def visit_of(
    ask: Ask, who: Visitor, actions: Sequence[Action], *, now: datetime, draw: str
) -> Visit:
    """Return what all shelves of a decision have in common; the page's word beats the profile's.

    `draw` is what chance is drawn by where there is no unit: of one name for all strangers, all
    would be shown the same new products the whole day.
    """
    profile = who.profile
    return Visit(
        recent=actions,
        cart=tuple(profile.get("cart", ())) if ask.cart is None else ask.cart,
        bought=_bought(profile, ask, actions),
        segments=_segments(who, now),
        shown=_shown(ask) if who.personal else {},
        context=_fields(ask, profile, now),
        country=_country(ask, profile),
        personal=who.personal,
        seed=who.unit if who.personal else "",
        draw=draw,
        now_s=now.timestamp(),
    )


def at(visit: Visit, wanted: Wanted, *, count: int) -> Visit:
    """Return the visit that the shelf of one placement is filled for."""
    return replace(
        visit,
        item=wanted.item,
        exclude=wanted.exclude,
        given=wanted.items,
        rule=wanted.filter,
        count=count,
    )


def _bought(profile: Mapping[str, Any], ask: Ask, actions: Sequence[Action]) -> Mapping[str, float]:
    """Return item -> when last bought; an order on the page counts in this very answer."""
    remembered: Mapping[str, float] = profile.get("bought", {})
    if not ask.recent:
        return remembered
    ordered = [(at_s, item) for kind, item, at_s in actions if kind == "order"]
    return {**remembered, **{item: at_s for at_s, item in sorted(ordered)}}


def _segments(who: Visitor, now: datetime) -> tuple[str, ...]:
    found = segments.members(who.parts, now_us=clock.to_us(now)) if who.parts else ()
    return tuple(one.key for one in found)


def _shown(ask: Ask) -> Mapping[str, int]:
    """Return item -> how often the page's last events showed it without a click on it."""
    if not ask.recent:
        return {}
    clicked = {item for one in ask.recent if one.event == CLICKED for item in one.items}
    seen = Counter(item for one in ask.recent if one.event == EXPOSED for item in one.items)
    return {item: times for item, times in seen.items() if item not in clicked}


def _fields(ask: Ask, profile: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return what rules read of the request; where the page is silent the profile may know."""
    found = known_fields(ask.context, profile, at)
    if ask.cart is not None:
        found["cart"] = list(ask.cart)
    return found


def _country(ask: Ask, profile: Mapping[str, Any]) -> str:
    """Return the visitor's country: as the page says, as events told, else the locale's."""
    locale = ask.context.get("locale") or profile.get("locale") or ""
    return country_of((ask.context.get("country"), profile.get("country")), locale)
