"""Rules in words: one English sentence a rule, translatable phrase by phrase.

Every phrase goes through `translate`, or `plural` where a number bends it, with its parts named, so
that a language may put them in another order. `describe` reads the same tree that executors do.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from segments.engine.amounts import (
    NEVER,
    ON_DAYS,
    SCORES,
    SIZE,
    SOME,
    TIMES,
    Forms,
    Plural,
    english,
    grammatical,
    in_unit,
)
from segments.engine.catalogue import COUNTS, TITLES, Attribute, Catalogue
from segments.engine.language import Condition, Group, Leaf, Matcher, Node, Not, Window
from segments.engine.values import SECOND_US, is_number

Translate = Callable[[str], str]
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIGURES: Mapping[str, str] = {**COUNTS, "lt": "less than"}
# Of a list that must be had whole; of any other, one is enough.
_ALL = ("{some} and {last}", "{some} and {more} more")
_ANY = ("{some} or {last}", "{some} or {more} more")
_AGGREGATES: Mapping[str, str] = {
    "sum": "the sum of {prop}",
    "avg": "the average {prop}",
    "min": "the smallest {prop}",
    "max": "the largest {prop}",
    "first": "the first {prop}",
    "last": "the latest {prop}",
    "distinct": "the number of different values of {prop}",
}
_NEAR = ("today", "today or yesterday")
_MOST_LISTED = 5
_SLOT = re.compile(r"\{(\w+)\}")


def describe(
    node: Node, catalogue: Catalogue, translate: Translate = str, plural: Plural = english
) -> str:
    """Return the sentence: "Customers who … and who … ."."""
    teller = _Teller(catalogue, translate, plural)
    return teller.say("Customers who {what}.", what=teller.node(node, top=True))


def describe_part(
    node: Node, catalogue: Catalogue, translate: Translate = str, plural: Plural = english
) -> str:
    """Return the words of one condition, to stand alone: "did Order Completed at least …"."""
    return _Teller(catalogue, translate, plural).node(node, top=True)


class _Teller:
    """Says one tree in the words of one catalogue."""

    def __init__(self, catalogue: Catalogue, translate: Translate, plural: Plural) -> None:
        self.say = _sayer(translate)
        self._plural = plural
        self._catalogue = catalogue
        self._zone = ZoneInfo(catalogue.time_zone)
        self._titles = {
            kind: {one.key: one.title for one in rows}
            for kind, rows in (
                ("segment", catalogue.segments),
                ("list", catalogue.lists),
                ("score", catalogue.scores),
            )
        }
        self._traits = {one.key: one for one in catalogue.traits}

    def node(self, node: Node, *, top: bool = False) -> str:
        """Return the words of any part of a rule, after "who"."""
        if isinstance(node, Leaf):
            return _LEAVES[node.kind](self, node)
        if isinstance(node, Not):
            return self.say("are not among those who {what}", what=self.node(node.child))
        return self._group(node, top=top)

    def _group(self, node: Group, *, top: bool) -> str:
        parts = [self.node(child) for child in node.children]
        if len(parts) == 1:
            return parts[0]
        word = self.say("and" if node.op == "and" else "or")
        nested = any(
            isinstance(child, Group) and len(child.children) > 1 for child in node.children
        )
        text = f", {word} ".join(parts) if nested else f" {word} ".join(parts)
        return text if top else f"({text})"

    # --- Leaves ---

    def count(self, leaf: Leaf) -> str:
        """Return the words of `count`."""
        return self._counted(leaf, TIMES)

    def distinct_days(self, leaf: Leaf) -> str:
        """Return the words of `distinct_days`."""
        return self._counted(leaf, ON_DAYS)

    def aggregate(self, leaf: Leaf) -> str:
        """Return the words of `aggregate`."""
        figure = self.say(_AGGREGATES[leaf.agg], prop=self._property(leaf.prop, leaf.matchers[0]))
        return self.say(
            "did {what} {when} so that {figure} is {many}",
            what=self.matcher(leaf.matchers[0]),
            when=self.window(leaf.window),
            figure=figure,
            many=self._number(leaf),
        )

    def first_time(self, leaf: Leaf) -> str:
        """Return the words of `first_time`."""
        return self.say(
            "did {what} for the first time {when}",
            what=self.matcher(leaf.matchers[0]),
            when=self.window(leaf.window),
        )

    def sequence(self, leaf: Leaf) -> str:
        """Return the words of `sequence`."""
        text = self.say(
            "did {what} {when}", what=self.matcher(leaf.matchers[0]), when=self.window(leaf.window)
        )
        for matcher, within in zip(leaf.matchers[1:], leaf.withins[1:], strict=True):
            step = self.matcher(matcher)
            if within is None:
                text += self.say(", then {what}", what=step)
            else:
                text += self.say(", then {what} within {span}", what=step, span=self.span(within))
        return text

    def then_not(self, leaf: Leaf) -> str:
        """Return the words of `then_not`."""
        did, missed = leaf.matchers
        return self.say(
            "did {what} {when} and then, for {span}, not {other}",
            what=self.matcher(did),
            when=self.window(leaf.window),
            span=self.span(leaf.after),
            other=self.matcher(missed),
        )

    def stopped(self, leaf: Leaf) -> str:
        """Return the words of `stopped`."""
        return self.say(
            "did {what} {before} but not {since}",
            what=self.matcher(leaf.matchers[0]),
            before=self._last(leaf.window.a),
            since=self._last(leaf.window.b),
        )

    def regularly(self, leaf: Leaf) -> str:
        """Return the words of `regularly`."""
        return self.bent(
            (
                "did {what} in the last period of {span}",
                "did {what} in at least {least} of the last {periods} periods of {span}",
            ),
            leaf.periods,
            what=self.matcher(leaf.matchers[0]),
            least=leaf.min_periods,
            periods=leaf.periods,
            span=self.span(leaf.after),
        )

    def profile(self, leaf: Leaf) -> str:
        """Return the words of `profile`."""
        attribute = self._traits.get(leaf.key)
        title = self.say(attribute.title) if attribute else leaf.key
        return self.say(
            "have a profile where {what}", what=self._compared(title, leaf.op, leaf.value)
        )

    def request(self, leaf: Leaf) -> str:
        """Return the words of `context`."""
        what = self._compared(leaf.key, leaf.op, leaf.value)
        return self.say("ask from a place where {what}", what=what)

    def product(self, leaf: Leaf) -> str:
        """Return the words of `product`."""
        what = self._compared(leaf.key, leaf.op, leaf.value)
        return self.say("look at a product whose {what}", what=what)

    def segment(self, leaf: Leaf) -> str:
        """Return the words of `segment`."""
        return self.say("are in the segment {name}", name=self._title("segment", leaf.key))

    def on_list(self, leaf: Leaf) -> str:
        """Return the words of `list`."""
        return self.say("are on the list {name}", name=self._title("list", leaf.key))

    def score(self, leaf: Leaf) -> str:
        """Return the words of `score`."""
        name = self._title("score", leaf.key)
        if leaf.op in SCORES:
            low, high = _ends(leaf.value)
            return self.say(SCORES[leaf.op], name=name, low=_shown(low), many=_shown(high))
        return self.say("have a score {name} of {many}", name=name, many=self._number(leaf))

    def bucket(self, leaf: Leaf) -> str:
        """Return the words of `bucket`."""
        low, high = leaf.value
        return self.say(
            "fall between {low} % and {high} % of the random split {name}",
            low=_figure(low * 100),
            high=_figure(high * 100),
            name=f"“{leaf.key}”",
        )

    # --- Parts ---

    def matcher(self, matcher: Matcher) -> str:
        """Return the words for which events."""
        known = self._catalogue.events.get(matcher.event)
        name = f"“{known.title if known else matcher.event}”"
        if matcher.prefix:
            name = self.say("anything that begins with {name}", name=name)
        if not matcher.where:
            return name
        and_ = f" {self.say('and')} "
        where = and_.join(self._condition(one, matcher) for one in matcher.where)
        return self.say("{name} (where {where})", name=name, where=where)

    def window(self, window: Window) -> str:
        """Return the words for when."""
        if window.type == "last" or (window.type == "between" and not window.b):
            return self._last(window.a)
        if window.type == "between":
            return self.say(
                "between {far} and {near} ago", far=self.span(window.a), near=self.span(window.b)
            )
        if window.type == "calendar_days":
            if window.a <= len(_NEAR):
                return self.say(_NEAR[window.a - 1])
            return self.bent(
                ("today and on the day before", "today and on the {days} days before"),
                window.a - 1,
                days=window.a - 1,
            )
        if window.type == "absolute":
            start, end = (_moment(at, self._zone) for at in (window.a, window.b))
            return self.say("from {start} to {end}", start=start, end=end)
        return self.say("ever")

    def span(self, micros: int) -> str:
        """Return a span in the largest unit that divides it: "7 days", "90 minutes"."""
        unit, count = in_unit(micros)
        return self.bent(unit.span, count, count=_figure(count))

    def bent(self, forms: Forms, number: float, **parts: object) -> str:
        """Return the phrase that a number asks for, in the reader's language."""
        return _filled(self._plural(*forms, grammatical(number)), parts)

    def _last(self, micros: int) -> str:
        unit, count = in_unit(micros)
        return self.bent(unit.last, count, count=_figure(count))

    def _condition(self, one: Condition, matcher: Matcher) -> str:
        return self._compared(self._property(one.key, matcher), one.op, one.value)

    def _property(self, key: str, matcher: Matcher) -> str:
        names = [matcher.event]
        if matcher.prefix:
            names = [name for name in self._catalogue.events if name.startswith(matcher.event)]
        known: Attribute | None = self._catalogue.properties(names).get(key)
        return self.say(known.title) if known else key

    def _compared(self, title: str, op: str, value: Any) -> str:
        if op == "size":
            return self.bent(SIZE, value, title=title, count=_figure(value))
        if op == "within_last":
            unit, count = in_unit(round(value * SECOND_US))
            return f"{title} {self.bent(unit.within, count, count=_figure(count))}"
        phrase = self.say(TITLES[op])
        if op in ("exists", "not_exists"):
            return f"{title} {phrase}"
        return f"{title} {phrase} {self._value(op, value)}"

    def _value(self, op: str, value: Any) -> str:
        if op == "between":
            return self.say("{low} and {high}", low=self._told(value[0]), high=self._told(value[1]))
        if op == "weekday":
            return self._listed([self.say(_DAYS[int(day) - 1]) for day in value])
        if isinstance(value, list):
            return self._listed(
                [self._told(one) for one in value], _ALL if op == "all_of" else _ANY
            )
        return self._told(value)

    def _told(self, value: Any) -> str:
        return self.say("yes" if value else "no") if isinstance(value, bool) else _shown(value)

    def _listed(self, words: list[str], joint: tuple[str, str] = _ANY) -> str:
        if len(words) > _MOST_LISTED:
            more = len(words) - _MOST_LISTED
            # English has one form for both; others bend what is left out
            forms = (joint[1], joint[1])
            return self.bent(forms, more, some=", ".join(words[:_MOST_LISTED]), more=more)
        if len(words) == 1:
            return words[0]
        return self.say(joint[0], some=", ".join(words[:-1]), last=words[-1])

    def _counted(self, leaf: Leaf, phrases: Mapping[str, Forms]) -> str:
        what, when = self.matcher(leaf.matchers[0]), self.window(leaf.window)
        low, high = _ends(leaf.value)
        # of nought to some the lower end says nothing, and of equal ends one is enough
        op = leaf.op
        if op == "between" and (low <= 0 or low == high):
            op = "lte" if low != high else "eq"
        if (op, high) in NEVER:
            return self.say("never did {what} {when}", what=what, when=when)
        if (op, high) in SOME:
            return self.say("did {what} {when}", what=what, when=when)
        many = self.bent(phrases[op], high, low=_shown(low), many=_shown(high))
        return self.say("did {what} {many} {when}", what=what, many=many, when=when)

    def _number(self, leaf: Leaf) -> str:
        phrase = self.say(_FIGURES[leaf.op])
        if leaf.op == "between":
            both = self.say(
                "{low} and {high}", low=self._told(leaf.value[0]), high=self._told(leaf.value[1])
            )
            return f"{phrase} {both}"
        return f"{phrase} {self._told(leaf.value)}"

    def _title(self, kind: str, key: str) -> str:
        return f"“{self._titles[kind].get(key, key)}”"


_LEAVES: Mapping[str, Callable[[_Teller, Leaf], str]] = {
    "count": _Teller.count,
    "distinct_days": _Teller.distinct_days,
    "aggregate": _Teller.aggregate,
    "first_time": _Teller.first_time,
    "sequence": _Teller.sequence,
    "then_not": _Teller.then_not,
    "stopped": _Teller.stopped,
    "regularly": _Teller.regularly,
    "profile": _Teller.profile,
    "segment": _Teller.segment,
    "score": _Teller.score,
    "context": _Teller.request,
    "bucket": _Teller.bucket,
    "list": _Teller.on_list,
    "product": _Teller.product,
}


def _sayer(translate: Translate) -> Callable[..., str]:
    def say(phrase: str, **parts: object) -> str:
        return _filled(translate(phrase), parts)

    return say


def _filled(phrase: str, parts: Mapping[str, object]) -> str:
    # one pass, and no str.format: a part is a marketer's text and may hold braces
    return _SLOT.sub(lambda slot: str(parts.get(slot[1], slot[0])), phrase)


def _ends(value: Any) -> tuple[Any, Any]:
    """Return what a number is compared with as two ends, which are one but for `between`."""
    low, high = value if isinstance(value, list) else (value, value)
    return low, high


def _shown(value: Any) -> str:
    if is_number(value):
        return _figure(value)
    return f"“{value}”" if isinstance(value, str) else str(value)


def _figure(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _moment(micros: int, zone: ZoneInfo) -> str:
    at = datetime.fromtimestamp(micros / SECOND_US, UTC)
    # the calendar ends: what the zone would carry beyond it is told in UTC
    with suppress(OverflowError):
        at = at.astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M %Z}"
