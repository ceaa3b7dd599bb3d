"""Rules in words: one English sentence a rule, translatable phrase by phrase.

Every phrase goes through `translate`, with its parts named, so that a language may put them in
another order. `describe` reads the same tree that executors do.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from segments.engine.catalogue import COUNTS, TITLES, Attribute, Catalogue
from segments.engine.language import Condition, Group, Leaf, Matcher, Node, Not, Window
from segments.engine.values import SECOND_US, is_number

Translate = Callable[[str], str]
_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIGURES: Mapping[str, str] = {**COUNTS, "lt": "less than"}
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


def describe(node: Node, catalogue: Catalogue, translate: Translate = str) -> str:
    """Return the sentence: "Customers who … and who … ."."""
    teller = _Teller(catalogue, translate)
    return teller.say("Customers who {what}.", what=teller.node(node, top=True))


def describe_part(node: Node, catalogue: Catalogue, translate: Translate = str) -> str:
    """Return the words of one condition, to stand alone: "did Order Completed at least …"."""
    return _Teller(catalogue, translate).node(node, top=True)


class _Teller:
    """Says one tree in the words of one catalogue."""

    def __init__(self, catalogue: Catalogue, translate: Translate) -> None:
        self.say = _sayer(translate)
        self._catalogue = catalogue
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
        what, when = self.matcher(leaf.matchers[0]), self.window(leaf.window)
        if (leaf.op, leaf.value) in (("eq", 0), ("lt", 1), ("lte", 0)):
            return self.say("never did {what} {when}", what=what, when=when)
        if (leaf.op, leaf.value) in (("gte", 1), ("gt", 0)):
            return self.say("did {what} {when}", what=what, when=when)
        many = self._times(leaf)
        return self.say("did {what} {many} {when}", what=what, many=many, when=when)

    def distinct_days(self, leaf: Leaf) -> str:
        """Return the words of `distinct_days`."""
        return self.say(
            "did {what} on {many} days {when}",
            what=self.matcher(leaf.matchers[0]),
            many=self._number(leaf),
            when=self.window(leaf.window),
        )

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
            "did {what} in the last {before} but not in the last {since}",
            what=self.matcher(leaf.matchers[0]),
            before=self.span(leaf.window.a),
            since=self.span(leaf.window.b),
        )

    def regularly(self, leaf: Leaf) -> str:
        """Return the words of `regularly`."""
        return self.say(
            "did {what} in at least {least} of the last {periods} periods of {span}",
            what=self.matcher(leaf.matchers[0]),
            least=leaf.min_periods,
            periods=leaf.periods,
            span=self.span(leaf.after),
        )

    def profile(self, leaf: Leaf) -> str:
        """Return the words of `profile`."""
        attribute = self._traits.get(leaf.key)
        title = attribute.title if attribute else leaf.key
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
        return self.say(
            "have a score {name} of {many}",
            name=self._title("score", leaf.key),
            many=self._number(leaf),
        )

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
        if window.type == "last":
            return self.say("in the last {span}", span=self.span(window.a))
        if window.type == "between":
            return self.say(
                "between {far} and {near} ago", far=self.span(window.a), near=self.span(window.b)
            )
        if window.type == "calendar_days":
            if window.a <= len(_NEAR):
                return self.say(_NEAR[window.a - 1])
            return self.say("today and on the {days} days before", days=window.a - 1)
        if window.type == "absolute":
            return self.say("from {start} to {end}", start=_moment(window.a), end=_moment(window.b))
        return self.say("ever")

    def span(self, micros: int) -> str:
        """Return a span in the largest unit that divides it: "7 days", "90 minutes"."""
        seconds = micros / SECOND_US
        for name, size in _UNITS:
            if seconds >= size and seconds % size == 0:
                count = int(seconds // size)
                return f"{count:,} {self.say(name if count == 1 else name + 's')}"
        return f"{_figure(seconds)} {self.say('seconds')}"

    def _condition(self, one: Condition, matcher: Matcher) -> str:
        return self._compared(self._property(one.key, matcher), one.op, one.value)

    def _property(self, key: str, matcher: Matcher) -> str:
        names = [matcher.event]
        if matcher.prefix:
            names = [name for name in self._catalogue.events if name.startswith(matcher.event)]
        known: Attribute | None = self._catalogue.properties(names).get(key)
        return known.title if known else key

    def _compared(self, title: str, op: str, value: Any) -> str:
        phrase = self.say(TITLES[op])
        if op in ("exists", "not_exists"):
            return f"{title} {phrase}"
        return f"{title} {phrase} {self._value(op, value)}"

    def _value(self, op: str, value: Any) -> str:
        if op == "between":
            return self.say("{low} and {high}", low=_shown(value[0]), high=_shown(value[1]))
        if op == "within_last":
            return self.span(round(value * SECOND_US))
        if op == "weekday":
            return self._listed([self.say(_DAYS[int(day) - 1]) for day in value])
        if isinstance(value, list):
            return self._listed([_shown(one) for one in value])
        return _shown(value)

    def _listed(self, words: list[str]) -> str:
        if len(words) > _MOST_LISTED:
            more = len(words) - _MOST_LISTED
            return self.say(
                "{some} or {more} more", some=", ".join(words[:_MOST_LISTED]), more=more
            )
        if len(words) == 1:
            return words[0]
        return self.say("{some} or {last}", some=", ".join(words[:-1]), last=words[-1])

    def _times(self, leaf: Leaf) -> str:
        if leaf.op == "eq" and leaf.value == 1:
            return self.say("exactly once")
        return self.say("{many} times", many=self._number(leaf))

    def _number(self, leaf: Leaf) -> str:
        words = COUNTS if leaf.kind in ("count", "distinct_days") else _FIGURES
        phrase = self.say(words[leaf.op])
        if leaf.op == "between":
            both = self.say(
                "{low} and {high}", low=_shown(leaf.value[0]), high=_shown(leaf.value[1])
            )
            return f"{phrase} {both}"
        return f"{phrase} {_shown(leaf.value)}"

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
        # one pass, and no str.format: a part is a marketer's text and may hold braces
        return _SLOT.sub(lambda slot: str(parts.get(slot[1], slot[0])), translate(phrase))

    return say


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return _figure(value)
    return f"“{value}”" if isinstance(value, str) else str(value)


def _figure(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.6f}".rstrip("0").rstrip(".")


def _moment(micros: int) -> str:
    at = datetime.fromtimestamp(micros / SECOND_US, UTC)
    return f"{at:%Y-%m-%d %H:%M} UTC"
