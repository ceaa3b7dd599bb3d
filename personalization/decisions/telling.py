"""A logged decision in words: for whom, on what grounds, what was shown and what lost, and why."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from personalization.catalog import serve as catalogue
from personalization.consent.models import Purpose
from personalization.content import serve as content
from personalization.content.models import Campaign
from personalization.customers.selectors import customer_page
from personalization.decisions.selectors import Explanation
from recommender import names
from recommender.models import Strategy
from recommender.outcomes import lists_shown
from recommender.reasons import title_of
from segments.audiences import teller
from segments.models import Segment

_REASONS = {
    "personal": "Personal: what this visitor did may count, and did.",
    "no_consent": "Not personal: the visitor has not allowed personalization. Only the page itself"
    " counted.",
    "profile_unavailable": "Not personal: neither Redis nor the database could say who this is, or"
    " what was allowed.",
}
_SOURCES = {
    "redis": "from memory (Redis)",
    "postgres": "from the database, since Redis had none",
    "stranger": "none: the shop has not seen this visitor before",
    "unavailable": "none: it could not be read",
    "nobody": "none: the page sent no id",
}
_LOST = {
    "lower_priority": "lost: another campaign has a higher priority, or is older",
    "not_started": "lost: it had not begun",
    "over": "lost: its time was over",
}
# Reason or source of a decision -> why no audience took in its visitor.
_NOBODY = {
    "no_consent": "it has an audience, and the visitor has not allowed personalization",
    "profile_unavailable": "it has an audience, and the profile could not be read",
    "stranger": "it has an audience, and the shop had not seen this visitor before",
    "nobody": "it has an audience, and the page sent no id",
}
_ERRORS = {"placement_unknown": "There was no such placement, or it was not active."}
_DEGRADED = {
    "config:remembered": "The server had started without its database, and went by the last"
    " configuration on its disk.",
    "profile:unavailable": "The profile could not be read.",
    "segments:late": "A segment may have changed by the clock, and no worker had looked.",
    "content:failed": "The audience of a campaign could not be decided: it took nobody in.",
    "recommend:budget": "Time was up: the list made ahead for the strategy answered.",
    "recommend:failed": "The recommender failed: the list made ahead for the strategy answered.",
    "model_missing": "This model was not there to answer: {}.",
    "strategy_unknown": "There was no such strategy: {}.",
}
_KINDS = {
    "view": "looked at",
    "order": "bought",
    "add": "put into the cart",
    "remove": "took out of the cart",
    "wishlist": "put on the wish list",
    "review": "reviewed",
    "search": "searched for",
}


def told(found: Explanation) -> dict[str, Any]:
    """Return what the page of one decision shows. About ten queries, whatever it holds."""
    row, body = found.decision, found.decision.body
    return {
        "at": row.at,
        "version": row.config_version,
        "customer": _customer(row.customer_id),
        "profile": _SOURCES.get(body.get("source", ""), body.get("source", "")),
        "reason": _REASONS.get(body.get("reason", ""), body.get("reason", "")),
        "purposes": _purposes(int(body.get("mask", 0))),
        "segments": _segments(body.get("segments") or ()),
        "cart": [_title(item) for item in body.get("cart") or ()],
        "recent": [_action(one, row.at) for one in body.get("recent") or ()],
        "placements": _placements(found),
        "models": [
            (names.named(key), number) for key, number in (body.get("models") or {}).items()
        ],
        "degraded": [missing(code) for code in body.get("degraded") or ()],
        "ms": body.get("ms"),
        "cut": bool(body.get("cut")),
    }


def missing(code: str) -> str:
    """Return what a part of an answer that fell back means."""
    begin, _, rest = code.partition(":")
    if code in _DEGRADED:
        return _DEGRADED[code]
    return _DEGRADED[begin].format(names.plain(rest)) if begin in _DEGRADED else code


def _customer(customer_id: int | None) -> dict[str, Any] | None:
    page = customer_page(customer_id) if customer_id is not None else None
    return {"id": page.customer.pk, "title": page.title} if page else None


def _purposes(mask: int) -> list[dict[str, Any]]:
    return [
        {"title": one.title, "allowed": bool(mask & 1 << one.bit)}
        for one in Purpose.objects.order_by("bit")
    ]


def _segments(keys: Sequence[str]) -> list[tuple[str, int | None]]:
    """Return (title, id of its page) of segments; a key alone where it is gone."""
    known = {one.key: one for one in Segment.objects.filter(key__in=keys)}
    return [(known[key].title, known[key].pk) if key in known else (key, None) for key in keys]


def _placements(found: Explanation) -> list[dict[str, Any]]:
    body = found.decision.body
    asked: Mapping[str, str] = body.get("placements") or {}
    pages: Mapping[str, str] = body.get("items") or {}
    lists = lists_shown(found.decision.id)
    drawn = {(place, item): share for place, item, share in body.get("explored") or ()}
    decided = {(place, item): share for place, item, share in body.get("kept") or ()} | drawn
    strategies = dict(Strategy.objects.filter(key__in=asked.values()).values_list("key", "title"))
    campaigns = _campaigns(found.candidates.values())
    outside = _outside(found)
    return [
        {
            "key": key,
            "page": _title(pages[key]) if key in pages else "",
            "error": _error(what),
            "candidates": [
                _candidate(one, campaigns, outside) for one in found.candidates.get(key, ())
            ],
            "content": key in found.candidates,
            "strategy": strategies.get(what, ""),
            "answer": what,
            "items": [
                _item(item, source, decided.get((key, item))) for item, source in lists.get(key, ())
            ],
            "explored": [
                _item(item, "exploration", share)
                for (place, item), share in drawn.items()
                if place == key and key not in lists
            ],
        }
        for key, what in asked.items()
    ]


def _campaigns(candidates: Iterable[Sequence[content.Candidate]]) -> dict[str, Campaign]:
    keys = {one.campaign for group in candidates for one in group}
    return {one.key: one for one in Campaign.objects.filter(key__in=keys)}


def _candidate(
    one: content.Candidate, known: Mapping[str, Campaign], outside: Mapping[str, str]
) -> dict[str, Any]:
    row = known.get(one.campaign)
    return {
        "title": row.title if row else one.campaign,
        "id": row.pk if row else None,
        "priority": one.priority,
        "lost": outside[one.campaign] if one.lost == "audience" else _LOST.get(one.lost, one.lost),
    }


def _outside(found: Explanation) -> dict[str, str]:
    """Return, by campaign with an audience, why a visitor is none of it, in a sentence."""
    if not found.audiences:
        return {}
    body, tell = found.decision.body, teller()
    why = _NOBODY.get(body.get("reason", "")) or _NOBODY.get(body.get("source", ""))
    return {
        key: f"lost: {why or 'the visitor was not in its audience'}. It is for: {tell(rule)}"
        for key, rule in found.audiences.items()
    }


def _item(item: str, source: str, share: float | None) -> dict[str, Any]:
    return {
        "key": item,
        "title": _title(item),
        "why": names.plain(source),
        "chance": f"{share:.1%}" if share else "",
    }


def _error(what: str) -> str:
    kind, _, code = what.partition(":")
    return _ERRORS.get(code, code) if kind == "error" else ""


def _action(one: Sequence[Any], at: datetime) -> dict[str, Any]:
    kind, item, at_s = one
    when = datetime.fromtimestamp(at_s, UTC)
    return {"what": _KINDS.get(kind, kind), "title": _title(item), "at": when, "before": at}


def _title(item: str) -> str:
    return title_of(item, catalogue.view())
