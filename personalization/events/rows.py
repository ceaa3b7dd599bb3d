"""A draft, its person and its mask -> the row of the log."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from personalization.catalog import serve as catalogue
from personalization.consent.serve import PERSONALIZATION
from personalization.customers import serve as customers
from personalization.events import agents, log, numbers, places, proofs
from personalization.events.attribution import Known, Person
from personalization.events.engine import flags as bits
from personalization.events.engine import stored
from personalization.events.engine.facts import product_keys
from personalization.events.engine.schema import Schema
from personalization.events.engine.taxonomy import TOKEN_EVENTS
from personalization.events.engine.wire import Draft
from personalization.events.sending import Sending
from personalization.lib.errors import Problem


class Candidate(NamedTuple):
    """A draft that consent lets in."""

    draft: Draft
    person: Person
    mask: int


def row_of(
    candidate: Candidate, known: Known, schema: Schema, sending: Sending
) -> log.Row | list[Problem]:
    """Return the row of one event, as `log.insert` wants it; or why its token does not hold."""
    draft, person = candidate.draft, candidate.person
    properties = draft.properties
    if draft.name in TOKEN_EVENTS and draft.type == "track":
        proven = proofs.proven(draft, person, known, now=sending.received_at)
        if isinstance(proven, list):
            return proven
        properties = proven
    flags, place = _surroundings_of(draft, sending)
    flags |= draft.flags
    context = stored.context(draft, place, sending.sent_text)
    stamps = catalogue.view().stamps(product_keys(properties)) if properties else []
    if stamps:
        # what the catalogue says now is what rules will read of it, whatever becomes of it
        context["products"] = stamps
    traits, device = draft.traits, person.device if person.user is not None else None
    if traits and not sending.caller.secret:
        traits = _settable(traits)
    # a picture of described types alone: other names come from strangers, without end
    described = properties and schema.known(draft.name) is not None
    if described and numbers.pictures.outlying(draft.name, properties):
        flags |= bits.OUTLIER
    if person.claimed is not None:
        flags |= bits.CLAIMED
        context["claimed"] = person.claimed
    if not candidate.mask & PERSONALIZATION:
        flags |= bits.MINIMISED
        properties, context = stored.minimised(draft.name, properties, context, schema)
        traits = device = None
    if sending.imported:
        flags |= bits.IMPORTED
    key = person.key
    return {
        "d": draft.day,
        "m": draft.message_id,
        "s": person.shard,
        "i": known[key].identity_id if key is not None else None,
        "v": device,
        "k": draft.type,
        "n": draft.name,
        "o": draft.occurred_at,
        "p": candidate.mask,
        "f": flags,
        "pr": properties,
        "tr": traits,
        "cx": context,
    }


def _settable(traits: dict[str, Any]) -> dict[str, Any] | None:
    """Return the traits without those that only the shop's server may set."""
    declared = customers.traits()
    kept = {
        key: value
        for key, value in traits.items()
        if key not in declared or not declared[key].server_only
    }
    return kept or None


def _surroundings_of(draft: Draft, sending: Sending) -> tuple[int, Mapping[str, Any]]:
    """Return flags and place: the call's for a browser, the event's own for a server."""
    if sending.classified is not None:
        return _as_classified(draft, sending, sending.classified)
    if not sending.caller.secret:
        agent = sending.user_agent or _text(draft.context, "userAgent")
        return _surroundings(sending.address, agent, sending.country, sending.region)
    agent = _text(draft.context, "userAgent")
    return _surroundings(_text(draft.context, "ip"), agent, _country(draft), "")


def _as_classified(
    draft: Draft, sending: Sending, classified: tuple[bool, str]
) -> tuple[int, Mapping[str, Any]]:
    """Return flags and place of an event whose user agent is gone."""
    bot, device = classified
    if sending.caller.secret:
        found = _surroundings(_text(draft.context, "ip"), "", _country(draft), "")
    else:
        found = _surroundings(sending.address, "", sending.country, sending.region)
    flags, place = found
    if device:
        place = {**place, "device": {"type": device}}
    return flags | (bits.BOT if bot else 0), place


def _country(draft: Draft) -> str:
    location = draft.context.get("location")
    return _text(location, "country") if type(location) is dict else ""


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key)
    return value[: agents.MAX_LENGTH] if type(value) is str else ""


@lru_cache(maxsize=4096)
def _surroundings(
    address: str, agent: str, country: str, region: str
) -> tuple[int, Mapping[str, Any]]:
    bot, device = agents.classified(agent)
    country, region = places.located(address, country=country, region=region)
    place: dict[str, Any] = {"country": country, "region": region}
    place["address"] = places.truncated(address)
    place = {key: value for key, value in place.items() if value}
    if device:
        place["device"] = {"type": device}
    return (bits.BOT if bot else 0), place
