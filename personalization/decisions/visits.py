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
from personalization.events.serve import schema
from recommender.serve import Visit, country_of, known_fields, shown_lately


def visit_of(
    ask: Ask,
    who: Visitor,
    actions: Sequence[Action],
    *,
    segments: Sequence[str],
    now: datetime,
    draw: str,
) -> Visit:
    """Return what all shelves of a decision have in common; the page's word beats the profile's.

    `segments`: keys of those that the visitor is in. `draw` is what chance is drawn by where there
    is no unit: of one name for all strangers, all would be shown the same new products the whole
    day.
    """
    profile = who.profile
    return Visit(
        recent=actions,
        cart=tuple(profile.get("cart", ())) if ask.cart is None else ask.cart,
        bought=_bought(profile, ask, actions),
        segments=segments,
        shown=_shown(ask, profile, now.timestamp()) if who.personal else {},
        context=fields(ask, profile, now),
        country=_country(ask, profile),
        personal=who.personal,
        seed=who.unit if who.personal else "",
        draw=draw,
        now_s=now.timestamp(),
    )


def at(visit: Visit, wanted: Wanted, *, count: int, shown_above: Sequence[str]) -> Visit:
    """Return the visit that the shelf of one placement is filled for.

    `shown_above`: what the shelves before it show, where the page asks that none of it comes again.
    """
    return replace(
        visit,
        item=wanted.item,
        exclude=wanted.exclude,
        given=wanted.items,
        rule=wanted.filter,
        count=count,
        shown_above=shown_above,
    )


def _bought(profile: Mapping[str, Any], ask: Ask, actions: Sequence[Action]) -> Mapping[str, float]:
    """Return item -> when last bought; an order on the page counts in this very answer."""
    remembered: Mapping[str, float] = profile.get("bought", {})
    if not ask.recent:
        return remembered
    ordered = [(at_s, item) for kind, item, at_s in actions if kind == "order"]
    return {**remembered, **{item: at_s for at_s, item in sorted(ordered)}}


def _shown(ask: Ask, profile: Mapping[str, Any], now_s: float) -> Mapping[str, int]:
    """Return item -> how often it was shown since its last click or purchase.

    The page's events are sent to ingestion, too: of the page only those count that are newer than
    all that the profile has seen. Of showings without a time, or of a clock that is ahead, nobody
    can tell: the profile's count or theirs, whichever is more.
    """
    remembered = shown_lately(profile, now_s)
    if not ask.recent:
        return remembered
    seen_s, fact_of = profile.get("last_seen", 0.0), schema().fact
    fresh = [one for one in ask.recent if one.at_s is None or one.at_s > seen_s]
    newer, undated, wanted = Counter[str](), Counter[str](), set[str]()
    for one in fresh:
        if one.event == EXPOSED:
            (newer if one.at_s is not None and one.at_s <= now_s else undated).update(one.items)
        elif one.event == CLICKED or fact_of(one.event) == "order":
            wanted.update(one.items)
    named = (remembered.keys() | newer.keys() | undated.keys()) - wanted
    return {item: newer[item] + max(remembered.get(item, 0), undated[item]) for item in named}


def fields(ask: Ask, profile: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """Return what rules read of the request; where the page is silent the profile may know."""
    found = known_fields(ask.context, profile, at)
    if ask.cart is not None:
        found["cart"] = list(ask.cart)
    return found


def _country(ask: Ask, profile: Mapping[str, Any]) -> str:
    """Return the visitor's country: as the page says, as events told, else the locale's."""
    locale = ask.context.get("locale") or profile.get("locale") or ""
    return country_of((ask.context.get("country"), profile.get("country")), locale)
