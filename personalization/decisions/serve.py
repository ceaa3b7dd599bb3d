"""The decision pipeline: from memory and one profile read to an answer, with reasons.

No query of its own, no write, nothing raised for lack of personalization: what fails or comes too
late gives its fallback and is named in `degraded`.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings

from personalization.access.serve import Caller
from personalization.consent.serve import purposes
from personalization.content import serve as content
from personalization.decisions import errors, shelves, visits
from personalization.decisions.engine.ids import decision_id
from personalization.decisions.engine.recent import Action, merged
from personalization.decisions.visitors import Visitor, visitor
from personalization.decisions.wire import Ask, Wanted
from personalization.events.serve import schema
from personalization.lib import clock, tokens
from personalization.lib.http import error_body
from personalization.lib.metrics import DECISION_SECONDS, DECISIONS
from personalization.ops import serve as config
from recommender.serve import Visit, strategies
from segments import serve as segments
from segments.why import reasons

log = structlog.get_logger("decisions")

_STAGES = {
    stage: DECISION_SECONDS.labels(stage) for stage in ("total", "profile", "content", "recommend")
}
_ANSWERS = {late: DECISIONS.labels("yes" if late else "no") for late in (False, True)}
# The placement that tokens of GET /v1/recommendations name: that call has none.
DIRECT = "recommendations"


@dataclass(slots=True)
class Decision:
    """One decision while it is made, and afterwards what the log needs of it."""

    id: UUID
    at: datetime
    ask: Ask
    visitor: Visitor
    snapshot: config.Snapshot
    started_s: float
    # the segments that the visitor is in at that moment, flips that have passed included
    members: Sequence[segments.Member] = ()
    actions: list[Action] = field(default_factory=list)
    # what its shelves have in common; none before the first of them
    visit: Visit | None = None
    # the visitor as audiences read one; none before the first of them
    seen: segments.Seen | None = None
    # what its shelves show so far, where none of it may come again
    shown: dict[str, None] = field(default_factory=dict)
    # (placement, item, propensity) of what chance could have replaced and did not
    kept: list[tuple[str, str, float]] = field(default_factory=list)
    models: dict[str, int] = field(default_factory=dict)
    degraded: dict[str, None] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    placements: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)

    @property
    def late(self) -> bool:
        """Whether the budget is spent."""
        spent_ms = (time.perf_counter() - self.started_s) * 1000
        return bool(spent_ms >= settings.DECISION_BUDGET_MS)


def decide(ask: Ask, caller: Caller | None, *, gpc: bool, now: datetime) -> Decision:
    """Return the decision on every placement and flag of `ask`."""
    decision = _opened(ask, caller, gpc=gpc, now=now)
    known = content.placements(decision.snapshot)
    for wanted in ask.placements:
        placement = known.get(wanted.key)
        if placement is None or not placement.active:
            words = "is not active" if placement else "does not exist"
            error = errors.PlacementUnknown(f"placement {wanted.key!r} {words}")
            decision.placements[wanted.key] = error_body(error)
        elif placement.kind == content.CONTENT:
            decision.placements[wanted.key] = _content(decision, placement)
        else:
            decision.placements[wanted.key] = _shelf(decision, wanted, placement)
    for key in ask.flags:
        decision.flags[key] = error_body(errors.FlagUnknown(f"flag {key!r} does not exist"))
    return _closed(decision)


def recommend(ask: Ask, caller: Caller | None, *, gpc: bool, now: datetime) -> Decision:
    """Return the decision on one strategy, which `ask` names as its only placement.

    Raises
    ------
    StrategyUnknown
        Nothing is published under that key.
    """
    wanted = ask.placements[0]
    spec = strategies().get(wanted.key)
    if spec is None or not spec.active:
        msg = f"strategy {wanted.key!r} does not exist or is not active"
        raise errors.StrategyUnknown(msg)
    decision = _opened(ask, caller, gpc=gpc, now=now)
    placement = content.LivePlacement(
        key=DIRECT,
        kind=content.RECOMMENDATIONS,
        strategy=wanted.key,
        count=12,
        default_content={},
        active=True,
        campaigns=(),
    )
    decision.placements[DIRECT] = _shelf(decision, wanted, placement)
    return _closed(decision)


def answer(decision: Decision) -> dict[str, Any]:
    """Return the body of `POST /v1/decide`."""
    body = _frame(decision) | {"placements": decision.placements, "flags": decision.flags}
    return body | {"degraded": list(decision.degraded)}


def direct_answer(decision: Decision) -> dict[str, Any]:
    """Return the body of `GET /v1/recommendations/{strategy}`."""
    shelf = decision.placements[DIRECT]
    return {**_frame(decision), **shelf, "degraded": list(decision.degraded)}


def _frame(decision: Decision) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "decisionId": str(decision.id),
        "configVersion": decision.snapshot.version,
        "modelVersions": decision.models,
    }
    if decision.ask.explain:
        frame["explain"] = _explained(decision)
    return frame


def _opened(ask: Ask, caller: Caller | None, *, gpc: bool, now: datetime) -> Decision:
    """Read the configuration and the visitor, and join what the page and the profile know."""
    started_s = time.perf_counter()
    snapshot = config.current()
    who = visitor(ask, caller, gpc=gpc, now=now)
    decision = Decision(
        id=decision_id(int(now.timestamp() * 1000), os.urandom(10)),
        at=now,
        ask=ask,
        visitor=who,
        snapshot=snapshot,
        started_s=started_s,
    )
    if snapshot.remembered:
        decision.degraded["config:remembered"] = None
    if who.source == "unavailable":
        decision.degraded["profile:unavailable"] = None
    if who.parts:
        now_us = clock.to_us(now)
        decision.members = segments.members(who.parts, now_us=now_us)
        if segments.unsure(who.parts, now_us=now_us):
            decision.degraded["segments:late"] = None
    if who.personal:
        decision.actions = merged(_page_actions(ask, now), who.profile.get("recent", ()))
    _measure(decision, "profile", started_s)
    return decision


def _closed(decision: Decision) -> Decision:
    _measure(decision, "total", decision.started_s)
    for stage, seconds in decision.stages.items():
        _STAGES[stage].observe(seconds)
    _ANSWERS[bool(decision.degraded)].inc()
    return decision


def _measure(decision: Decision, stage: str, since_s: float) -> None:
    spent_s = time.perf_counter() - since_s
    decision.stages[stage] = decision.stages.get(stage, 0.0) + spent_s


def _page_actions(ask: Ask, now: datetime) -> list[Action]:
    """Return `context.recent` as actions, newest first; a time ahead of ours counts as now."""
    if not ask.recent:
        return []
    now_s, fact_of = now.timestamp(), schema().fact
    actions = [
        (fact_of(one.event), item, now_s if one.at_s is None else min(one.at_s, now_s))
        for one in ask.recent
        for item in one.items
    ]
    actions.sort(key=lambda action: -action[2])
    return actions


def _content(decision: Decision, placement: content.LivePlacement) -> dict[str, Any]:
    """Return the block of the best live campaign that is for the visitor, or the default."""
    since_s = time.perf_counter()
    now_s = decision.at.timestamp()
    won = content.winner(placement, now_s, partial(_admitted, decision))
    body: dict[str, Any] = {
        "campaign": won.key if won else None,
        "block": won.block if won else None,
        "content": dict(won.content if won else placement.default_content),
        "items": [],
        "reason": "campaign" if won else "default",
    }
    _sign(decision, body, tokens.Claims(decision.id, placement.key, arm=won.key if won else ""))
    if decision.ask.explain:
        candidates = content.candidates(placement, now_s, body["campaign"])
        body["explain"] = {"candidates": candidates}
    _measure(decision, "content", since_s)
    return body


def _admitted(decision: Decision, audience: segments.Audience) -> bool:
    """Whether the visitor is in an audience at the moment of the decision.

    Who is not known, or has not allowed it, is in none: not even in one of those who are not
    something.
    """
    who = decision.visitor
    if not who.personal or who.customer_id is None:
        return False
    if decision.seen is None:
        decision.seen = segments.Seen(
            who.profile,
            decision.members,
            assignment_key=who.unit,
            mask=who.mask,
            request=lambda: visits.fields(decision.ask, who.profile, decision.at),
            now_us=clock.to_us(decision.at),
        )
    try:
        return decision.seen.admitted(audience)
    except Exception:
        # fallback edge: an audience that cannot be decided costs its campaign, not the page
        log.exception("audience.failed", decision=str(decision.id))
        decision.degraded["content:failed"] = None
        return False


def _shelf(decision: Decision, wanted: Wanted, placement: content.LivePlacement) -> dict[str, Any]:
    """Return recommendations, personal where the visitor allows it."""
    since_s = time.perf_counter()
    who = decision.visitor
    visit = visits.at(
        _visit(decision),
        wanted,
        count=wanted.count or placement.count,
        shown_above=tuple(decision.shown),
    )
    if decision.late:
        shelf = shelves.fallback(placement.strategy, visit, why="recommend:budget")
    else:
        shelf = shelves.filled(placement.strategy, visit, explain=decision.ask.explain)
    decision.models.update(shelf.models)
    decision.degraded.update(dict.fromkeys(shelf.degraded))
    decision.kept += [(placement.key, item, share) for item, share in shelf.kept.items()]
    if decision.ask.deduplicate:
        decision.shown.update(dict.fromkeys(item.id for item in shelf.items))
    body: dict[str, Any] = {
        "strategy": shelf.strategy,
        "items": shelf.items,
        "reason": who.reason,
    }
    _sign(decision, body, _shelf_claims(decision, placement, shelf))
    if decision.ask.explain:
        body["explain"] = {
            "candidates": _item_candidates(visit, shelf),
            "reranked": shelf.reranked,
        }
    _measure(decision, "recommend", since_s)
    return body


def _visit(decision: Decision) -> Visit:
    """Return what the shelves of a decision have in common, put together for the first of them."""
    if decision.visit is None:
        decision.visit = visits.visit_of(
            decision.ask,
            decision.visitor,
            decision.actions,
            segments=tuple(one.key for one in decision.members),
            now=decision.at,
            draw=decision.id.hex,
        )
    return decision.visit


def _shelf_claims(
    decision: Decision, placement: content.LivePlacement, shelf: shelves.Shelf
) -> tokens.Claims:
    first = shelf.items[0].source if shelf.items else ""
    return tokens.Claims(
        decision_id=decision.id,
        placement=placement.key,
        strategy=shelf.strategy,
        model_version=shelf.models.get(first, 0),
        items_digest=tokens.items_digest([(item.id, item.source) for item in shelf.items]),
    )


def _sign(decision: Decision, body: dict[str, Any], claims: tokens.Claims) -> None:
    """Add the token that exposures bring back; none without consent or a unit."""
    who = decision.visitor
    if who.personal and who.unit:
        body["token"] = tokens.sign(claims, unit=who.unit, now=decision.at)


def _item_candidates(visit: Visit, shelf: shelves.Shelf) -> list[dict[str, Any]]:
    """Return every item that was looked at, with why it lost."""
    found: list[tuple[str, float | None, str, str]] = [
        (item.id, item.score, item.source, "") for item in shelf.items
    ]
    found += [(one.id, one.score, one.source, one.lost) for one in shelf.lost]
    found += [(item, None, "", "excluded") for item in visit.exclude]
    found += [(visit.item, None, "", "page_item")] if visit.item else []
    seen: set[str] = set()
    rows = []
    for item, score, source, lost in found:
        if item not in seen:
            seen.add(item)
            rows.append({"id": item, "score": score, "source": source, "lost": lost})
    return rows


def _explained(decision: Decision) -> Mapping[str, Any]:
    who = decision.visitor
    return {
        "profileSource": who.source,
        "personal": who.personal,
        "reason": who.reason,
        "unit": who.unit,
        "customer": who.customer_id,
        "purposes": purposes().names(who.mask),
        "segments": _segments(decision),
        "unknown": list(decision.ask.unknown),
        "arms": [],
        "recent": [list(action) for action in decision.actions],
        "timingsMs": {
            stage: round(seconds * 1000, 3) for stage, seconds in decision.stages.items()
        },
    }


def _segments(decision: Decision) -> list[dict[str, Any]]:
    """Return the segments that the visitor is in, with the values that decided."""
    who, found = decision.visitor, decision.members
    if who.customer_id is None or not found:
        return []
    try:
        told = reasons(who.customer_id, [one.key for one in found], now=decision.at)
    except Exception:
        # fallback edge: an explanation without reasons beats none; the store may be away
        log.exception("decision.reasons_missing")
        told = {}
    return [
        {
            "key": one.key,
            "title": one.title,
            "version": one.version,
            "until": _moment(one.until),
            "known": one.known,
            "why": told.get(one.key),
        }
        for one in found
    ]


def _moment(at_s: float | None) -> str | None:
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat()
