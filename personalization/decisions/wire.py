"""What `/v1/decide` and `/v1/recommendations` accept: every fault at once, with its path."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from personalization.decisions.errors import FilterUnsupported, RequestInvalid
from personalization.decisions.unknown import unknown
from personalization.lib.errors import Problem
from recommender.serve import ProductRule, rule_faults

MAX_COUNT = 100
# Limits far above what a page needs; they bound the work of one call.
_MAX_PLACEMENTS = 50
_MAX_FLAGS = 200
_MAX_LIST = 500
# A wholesaler's cart is no reason to refuse the page.
_MAX_CART = 2_000
# The page's last events that count in the answer (docs/api.md, Decisions out).
_MAX_RECENT = 20
_ID_LENGTH = 255
_KEY_LENGTH = 100
_PAGE_LENGTH = 4096
_EVENT_LENGTH = 200
_NOTHING: Mapping[str, Any] = {}
# Conditions of the `filter` of one placement: its work is theirs, and anybody may send one.
_MOST_CONDITIONS = 10
_COUNTRY = re.compile(r"[A-Za-z]{2}")
# More digits are no count of anything, and slow to convert.
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Action:
    """One event of `context.recent`: an order names several items. `at_s` None: now."""

    event: str
    items: tuple[str, ...]
    at_s: float | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """One placement that the page asks for.

    `count` None: as many as the placement says. `items`: what to put in order, such as the results
    of a search; None: choose from all. `filter`: a rule on products.
    """

    key: str
    item: str | None = None
    count: int | None = None
    exclude: tuple[str, ...] = ()
    items: tuple[str, ...] | None = None
    filter: ProductRule | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for decisions."""

    user_id: str = ""
    user_token: str = ""
    anonymous_id: str = ""
    # None: the page does not say, the profile does
    cart: tuple[str, ...] | None = None
    recent: tuple[Action, ...] = ()
    restrict: Mapping[str, Any] = field(default_factory=dict)
    # what rules read of the request, by the keys of docs/rules.md, and `country`
    context: Mapping[str, str] = field(default_factory=dict)
    placements: tuple[Wanted, ...] = ()
    flags: tuple[str, ...] = ()
    # what one shelf shows the later ones leave out, as long as they have others
    deduplicate: bool = False
    explain: bool = False
    # paths that this version does not know, noted for an explanation alone
    unknown: tuple[str, ...] = ()


class _Reader:
    """Reads values out of JSON and notes what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.unsupported: list[Problem] = []

    def fault(self, path: str, problem: str) -> None:
        self.problems.append(Problem(path, problem))

    def text(self, value: Any, path: str, length: int = _ID_LENGTH) -> str:
        """Return a text; numbers are taken as shops write their ids, nothing is ""."""
        if value is None:
            return ""
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or len(value) > length or "\x00" in value:
            self.fault(path, f"is a text of at most {length} characters without NUL")
            return ""
        return value

    def country(self, value: Any, path: str) -> str:
        """Return a country as two letters; nothing is ""."""
        text = self.text(value, path)
        if text and not _COUNTRY.fullmatch(text):
            self.fault(path, "is a country's code of two letters such as DE (ISO 3166)")
            return ""
        return text

    def texts(self, value: Any, path: str, most: int = _MAX_LIST) -> tuple[str, ...]:
        """Return a list of texts that are not empty."""
        return tuple(
            text
            for at, entry in enumerate(self.entries(value, path, most))
            if (text := self.required(entry, f"{path}[{at}]"))
        )

    def required(self, value: Any, path: str, length: int = _ID_LENGTH) -> str:
        """Return a text that is not empty."""
        before = len(self.problems)
        text = self.text(value, path, length)
        if not text and len(self.problems) == before:
            self.fault(path, "is missing or empty")
        return text

    def entries(self, value: Any, path: str, most: int) -> list[Any]:
        """Return a list; nothing is an empty one."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(path, "is a list")
            return []
        if len(value) > most:
            self.fault(path, f"has more than {most} entries")
            return []
        return value

    def mapping(self, value: Any, path: str) -> Mapping[str, Any]:
        """Return an object; nothing is an empty one."""
        if value is None:
            return _NOTHING
        if not isinstance(value, dict):
            self.fault(path, "is an object")
            return _NOTHING
        return value

    def flag(self, value: Any, path: str) -> bool:
        """Return true or false; nothing is false."""
        if value is None or isinstance(value, bool):
            return bool(value)
        self.fault(path, "is true or false")
        return False

    def count(self, value: Any, path: str) -> int | None:
        """Return a whole number, at most MAX_COUNT; nothing is None."""
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self.fault(path, f"is a whole number from 1; more than {MAX_COUNT} gives {MAX_COUNT}")
            return None
        return min(value, MAX_COUNT)

    def instant(self, value: Any, path: str) -> float | None:
        """Return an ISO 8601 time with its zone as seconds; nothing is None."""
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
            if at.tzinfo is not None:
                return at.timestamp()
        except (TypeError, ValueError, OverflowError):
            pass
        self.fault(path, "is a time such as 2026-03-01T12:00:00Z")
        return None

    def finish(self) -> None:
        """Raise what was noted, if anything."""
        if self.problems:
            msg = "the request cannot be read"
            raise RequestInvalid(msg, details=[*self.problems, *self.unsupported])
        if self.unsupported:
            msg = "a filter is no rule on products (docs/rules.md)"
            raise FilterUnsupported(msg, details=self.unsupported)


def parse_ask(data: Any) -> Ask:
    """Read a body of `POST /v1/decide`.

    Raises
    ------
    RequestInvalid
        Names every fault.
    FilterUnsupported
        Nothing else is wrong, but the `filter` of a placement cannot be applied.
    """
    if not isinstance(data, dict):
        msg = "the body must be a JSON object"
        raise RequestInvalid(msg)
    read = _Reader()
    context = read.mapping(data.get("context"), "context")
    explain = read.flag(data.get("explain"), "explain")
    ask = Ask(
        **_ids(read, data.get),
        cart=_cart(read, context.get("cart")),
        recent=_recent(read, context.get("recent")),
        restrict=_restrict(read, context.get("consent")),
        context=_words(read, context),
        placements=_placements(read, data.get("placements")),
        flags=read.texts(data.get("flags"), "flags", _MAX_FLAGS),
        deduplicate=read.flag(data.get("deduplicate"), "deduplicate"),
        explain=explain,
        unknown=unknown(data) if explain else (),
    )
    if not ask.placements and not ask.flags and not read.problems:
        read.fault("placements", "name at least one placement or flag")
    read.finish()
    return ask


# What a placement of a request may say; a misspelt member would be ignored for years.
_MEMBERS = frozenset({"key", "item", "count", "exclude", "items", "filter"})
_IDS = ("userId", "userToken", "anonymousId")
_LISTS = ("exclude", "items")
_QUERY = frozenset({*_IDS, *_LISTS, "item", "count", "writeKey", "explain"})


def parse_query(strategy: str, query: Mapping[str, str], lists: Mapping[str, Sequence[str]]) -> Ask:
    """Read the query string of `GET /v1/recommendations/{strategy}`.

    `lists` holds every value of `exclude` and `items`; each may name several with commas.
    """
    read = _Reader()
    for name in sorted(query.keys() - _QUERY):
        read.fault(name[:40], "is not a parameter of this call")
    text = query.get("count", "")
    if text and not _DIGITS.fullmatch(text):
        read.fault("count", f"is a whole number from 1; more than {MAX_COUNT} gives {MAX_COUNT}")
        text = ""
    explain = query.get("explain", "false")
    if explain not in {"true", "false"}:
        read.fault("explain", "is true or false")
    named = {
        name: [item for value in values for item in value.split(",") if item]
        for name, values in lists.items()
    }
    wanted = Wanted(
        key=strategy,
        item=read.text(query.get("item"), "item") or None,
        count=read.count(int(text), "count") if text else None,
        exclude=read.texts(named["exclude"], "exclude"),
        items=read.texts(named["items"], "items") if "items" in query else None,
    )
    ask = Ask(**_ids(read, query.get), placements=(wanted,), explain=explain == "true")
    read.finish()
    return ask


def _ids(read: _Reader, get: Callable[[str], Any]) -> dict[str, Any]:
    return {
        "user_id": read.text(get("userId"), "userId"),
        "user_token": read.text(get("userToken"), "userToken"),
        "anonymous_id": read.text(get("anonymousId"), "anonymousId"),
    }


def _words(read: _Reader, context: Mapping[str, Any]) -> dict[str, str]:
    """Return what rules read of the request; look at the rest too, so that faults are told."""
    if not context:
        return {}
    page = read.mapping(context.get("page"), "context.page")
    for name in ("url", "title", "referrer", "search"):
        if name in page:
            read.text(page[name], f"context.page.{name}", _PAGE_LENGTH)
    device = read.mapping(context.get("device"), "context.device")
    found = {
        "page.path": read.text(page.get("path"), "context.page.path", _PAGE_LENGTH),
        "device.type": read.text(device.get("type"), "context.device.type", _KEY_LENGTH),
        **{
            name: read.text(context.get(name), f"context.{name}", _KEY_LENGTH)
            for name in ("locale", "timezone")
        },
        "country": read.country(context.get("country"), "context.country"),
    }
    return {key: text for key, text in found.items() if text}


def _restrict(read: _Reader, value: Any) -> Mapping[str, Any]:
    consent = read.mapping(value, "context.consent")
    path = "context.consent.categoryPreferences"
    return read.mapping(consent.get("categoryPreferences"), path)


def _cart(read: _Reader, value: Any) -> tuple[str, ...] | None:
    return None if value is None else read.texts(value, "context.cart", _MAX_CART)


def _recent(read: _Reader, value: Any) -> tuple[Action, ...]:
    found = []
    for at, entry in enumerate(read.entries(value, "context.recent", _MAX_LIST)):
        path = f"context.recent[{at}]"
        if not isinstance(entry, dict):
            read.fault(path, "is an object with event and item")
            continue
        event = read.required(entry.get("event"), f"{path}.event", _EVENT_LENGTH)
        item = read.text(entry.get("item"), f"{path}.item")
        at_s = read.instant(entry.get("at"), f"{path}.at")
        items = read.texts(entry.get("items"), f"{path}.items")
        if item or items:
            found.append(Action(event, (item, *items) if item else items, at_s))
    if len(found) > _MAX_RECENT:
        found.sort(key=lambda action: -(action.at_s or float("inf")))
    return tuple(found[:_MAX_RECENT])


def _placements(read: _Reader, value: Any) -> tuple[Wanted, ...]:
    found: dict[str, Wanted] = {}
    for at, entry in enumerate(read.entries(value, "placements", _MAX_PLACEMENTS)):
        path = f"placements[{at}]"
        wanted = _wanted(read, entry, path)
        if wanted is None:
            continue
        if wanted.key in found:
            read.fault(path, f"{wanted.key!r} is asked for twice; answers are by key")
        found[wanted.key] = wanted
    return tuple(found.values())


def _wanted(read: _Reader, entry: Any, path: str) -> Wanted | None:
    if isinstance(entry, str):
        key = read.required(entry, path, _KEY_LENGTH)
        return Wanted(key) if key else None
    if not isinstance(entry, dict):
        read.fault(path, "is the key of a placement, or an object with key")
        return None
    for name in sorted(entry.keys() - _MEMBERS):
        read.fault(f"{path}.{name[:40]}", f"is not known; use {', '.join(sorted(_MEMBERS))}")
    key = read.required(entry.get("key"), f"{path}.key", _KEY_LENGTH)
    wanted = Wanted(
        key=key,
        item=read.text(entry.get("item"), f"{path}.item") or None,
        count=read.count(entry.get("count"), f"{path}.count"),
        exclude=read.texts(entry.get("exclude"), f"{path}.exclude"),
        items=None if entry.get("items") is None else read.texts(entry["items"], f"{path}.items"),
        filter=_filter(read, entry.get("filter"), f"{path}.filter"),
    )
    return wanted if key else None


def _filter(read: _Reader, rule: Any, path: str) -> ProductRule | None:
    if rule is None:
        return None
    found = rule_faults(rule)
    read.unsupported += [
        Problem(f"{path}.{one.path}" if one.path else path, one.problem) for one in found
    ]
    if found:
        return None
    asked = ProductRule.of(rule)
    if asked.size() > _MOST_CONDITIONS:
        problem = f"has more than {_MOST_CONDITIONS} conditions; a strategy may filter by more"
        read.unsupported.append(Problem(path, problem))
        return None
    return asked
