"""Decision tokens that events bring back: checked, turned into what was decided."""

from datetime import datetime
from typing import Any

from personalization.events.attribution import Known, Person
from personalization.events.engine.taxonomy import EXPOSED
from personalization.events.engine.wire import Draft
from personalization.lib import tokens
from personalization.lib.errors import Problem

_PATH = "properties.token"


def proven(
    draft: Draft, person: Person, known: Known, *, now: datetime
) -> dict[str, Any] | list[Problem]:
    """Return the properties of an exposure or click with its token verified, or the faults.

    The token itself is not kept: its claims are, under `properties.decision`, so that facts need no
    signature later. A stranger's unit is the anonymousId itself, and stays good for tokens made
    before a log-in.
    """
    units = {known[key].assignment_key for key in person.keys if key in known}
    units |= {value for value in (person.device, person.user) if value is not None}
    claims, problem = _claims(draft.properties["token"], units, now)
    if claims is None:
        return [Problem(_PATH, problem)]
    problems = _list_faults(draft, claims)
    if problems:
        return problems
    kept = {key: value for key, value in draft.properties.items() if key != "token"}
    return {**kept, "decision": _as_json(claims)}


def _claims(token: str, units: set[str], now: datetime) -> tuple[tokens.Claims | None, str]:
    """Claims of the token for the first unit that it fits, else why it fits none."""
    problem = "belongs to nobody; send the anonymousId that the decision was made for"
    for unit in sorted(units):
        try:
            return tokens.verify(token, unit=unit, now=now), ""
        except tokens.TokenInvalid as error:
            problem = f"{error.message}; send the token of a decision made for this visitor"
            if error.code != "token_foreign":
                break
    return None, problem


def _list_faults(draft: Draft, claims: tokens.Claims) -> list[Problem]:
    """Check the list that an exposure shows against the digest in its token."""
    if draft.name != EXPOSED or claims.items_digest == bytes(8):
        return []
    shown = [_shown(entry) for entry in draft.properties.get("items") or ()]
    pairs = [pair for pair in shown if pair is not None]
    if len(pairs) == len(shown) and tokens.items_digest(pairs) == claims.items_digest:
        return []
    return [Problem("properties.items", "is not the list of the decision; send items as answered")]


def _shown(entry: Any) -> tuple[str, str] | None:
    """(item, source) of one element: an object as the decision answered it, or a pair."""
    if type(entry) is dict:
        entry = [entry.get("id"), entry.get("source", "")]
    if type(entry) is not list or len(entry) != len(("item", "source")):
        return None
    item, source = entry
    return (item, source) if type(item) is str and type(source) is str else None


def _as_json(claims: tokens.Claims) -> dict[str, Any]:
    return {
        "id": str(claims.decision_id),
        "placement": claims.placement,
        "experiment": claims.experiment,
        "arm": claims.arm,
        "propensity": claims.propensity,
        "strategy": claims.strategy,
        "modelVersion": claims.model_version,
    }
