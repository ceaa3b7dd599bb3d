"""Cases of consent, withdrawn, granted and as a trait, with a person's word on the members."""

from collections.abc import Iterator

from tests.segments.casefiles import Case
from tests.segments.corpus_tools import (
    HOUR,
    HOUR_BACK,
    T0,
    Rule,
    Sent,
    counted,
    worked,
)


def consent() -> Iterator[Case]:
    withdraw, grant = {"withdraw": ["u"]}, {"grant": ["u"]}
    people: Rule = {"profiles": {"u": {"tier": "gold"}, "v": {}}}
    yield worked(
        "withdrawn-is-no-member",
        counted(HOUR_BACK),
        {T0: "u", T0 + 1: "", T0 + 2: "", T0 + 3: "u", T0 + HOUR - 1: "u", T0 + HOUR: ""},
        sent=[Sent("u", T0)],
        happens={T0 + 1: withdraw, T0 + 3: grant},
        **people,
    )
    yield worked(
        "withdrawn-events-never-count",
        counted(HOUR_BACK, "gte", 2),
        {T0 + 2: "", T0 + 3: "", T0 + 4: "u", T0 + HOUR - 1: "u", T0 + HOUR: ""},
        sent=[Sent("u", T0), Sent("u", T0 + 2), Sent("u", T0 + 4)],
        happens={T0 + 1: withdraw, T0 + 3: grant},
        **people,
    )
    yield worked(
        "withdrawn-absence-is-no-membership",
        counted(HOUR_BACK, "eq", 0),
        {T0 - 1: "u v", T0 + 1: "v", T0 + HOUR + 1: "v", T0 + HOUR + 2: "u v"},
        sent=[Sent("u", T0)],
        happens={T0 + 1: withdraw, T0 + HOUR + 2: grant},
        **people,
    )
    yield worked(
        "withdrawn-traits-too",
        {"kind": "profile", "key": "tier", "op": "eq", "value": "gold"},
        {T0: "u", T0 + 1: "", T0 + 2: "u"},
        happens={T0 + 1: withdraw, T0 + 2: grant},
        **people,
    )
    yield worked(
        "withdrawn-late-event-of-granted-time",
        counted(HOUR_BACK),
        {T0 + 2: "", T0 + 3: "", T0 + 5: "u", T0 + HOUR: "u", T0 + HOUR + 1: ""},
        # happened before the withdrawal, arrived during it: it does not count; the other one does
        sent=[Sent("u", T0, late=2), Sent("u", T0 + 1, late=4)],
        happens={T0 + 1: withdraw, T0 + 3: grant},
        **people,
    )
    yield worked(
        "withdrawn-not",
        {"not": counted(HOUR_BACK)},
        {T0: "v", T0 + 1: "v", T0 + 2: "v", T0 + HOUR: "u v"},
        sent=[Sent("u", T0)],
        happens={T0 + 1: withdraw, T0 + 2: grant},
        **people,
    )

    for op, first, later in (("eq", "u w", "w"), ("neq", "v", "u v")):
        yield worked(
            f"consent-{op}",
            {"kind": "profile", "key": "consent.marketing", "op": op, "value": True},
            {T0: first, T0 + 1: later},
            profiles={
                "u": {"consent.marketing": True},
                "v": {"consent.marketing": False},
                "w": {"consent.marketing": True, "consent.analytics": False},
            },
            happens={T0 + 1: {"traits": {"u": {"consent.marketing": False}}}},
        )
    yield from _consent_untold()


def _consent_untold() -> Iterator[Case]:
    """What a profile does not tell is missing, of a consent too: only `not_exists` holds."""
    conditions: tuple[tuple[str, Rule, str, str], ...] = (
        ("eq-true", {"op": "eq", "value": True}, "yes", "no yes"),
        ("eq-false", {"op": "eq", "value": False}, "no", ""),
        ("neq-true", {"op": "neq", "value": True}, "no", ""),
        ("in-false", {"op": "in", "value": [False]}, "no", ""),
        ("not-in-true", {"op": "not_in", "value": [True]}, "no", ""),
        ("exists", {"op": "exists"}, "no yes", "no yes"),
        ("not-exists", {"op": "not_exists"}, "none other untold", "none other untold"),
    )
    for purpose in ("analytics", "personalization", "marketing"):
        key = f"consent.{purpose}"
        for name, condition, first, later in conditions:
            yield worked(
                f"consent-untold-{purpose}-{name}",
                {"kind": "profile", "key": key, **condition},
                {T0: first, T0 + 1: later},
                profiles={
                    "no": {key: False},
                    "none": {key: None},
                    "other": {"tier": "gold"},
                    "untold": {},
                    "yes": {key: True},
                },
                happens={T0 + 1: {"traits": {"no": {key: True}}}},
            )
    # who is met by an event alone tells nothing either
    yield worked(
        "consent-untold-stranger",
        {"and": [counted(HOUR_BACK), {"not": _allows_marketing()}]},
        {T0: "s u", T0 + 1: "s", T0 + HOUR: ""},
        sent=[Sent("s", T0), Sent("u", T0), Sent("v", T0)],
        profiles={"u": {"consent.marketing": False}, "v": {"consent.marketing": True}},
        happens={T0 + 1: {"traits": {"u": {"consent.marketing": True}}}},
    )


def _allows_marketing() -> Rule:
    return {"kind": "profile", "key": "consent.marketing", "op": "eq", "value": True}
