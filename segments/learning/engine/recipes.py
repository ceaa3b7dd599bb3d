"""What a model is made by and what it gives: the words in which learning speaks of all kinds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from segments.learning.engine.arrays import Arrays
from segments.learning.engine.features import Floats, Ints
from segments.learning.engine.propensity import Target


@dataclass(frozen=True, slots=True)
class Recipe:
    """One model: `kind` as in LearnedModel.Kind; `config` plain JSON that the kind reads."""

    key: str
    kind: str
    title: str
    config: Mapping[str, Any] = field(default_factory=dict)


# What a shop has without asking.
RECIPES: dict[str, Recipe] = {
    one.key: one
    for one in (
        Recipe("customers", "cluster", "Kinds of customers", {"algorithm": "kmeans", "k": 0}),
        Recipe(
            "purchase_7d",
            "propensity",
            "Buys within 7 days",
            Target(7, 60, ("order",)).to_json(),
        ),
        Recipe(
            "purchase_30d",
            "propensity",
            "Buys within 30 days",
            Target(30, 120, ("order",)).to_json(),
        ),
        Recipe(
            "churn_14d",
            "propensity",
            "Does not come back within 14 days",
            Target(14, 45, absence=True).to_json(),
        ),
        Recipe(
            "churn_30d",
            "propensity",
            "Does not come back within 30 days",
            Target(30, 60, absence=True).to_json(),
        ),
        Recipe("value_90d", "value", "Revenue of the next 90 days, minor units", {"days": 90.0}),
        Recipe("next_category", "category", "Category bought from next", {"days": 30.0}),
    )
}


class CannotLearn(ValueError):  # noqa: N818 -- named for what happened, as the project's own
    """There is not enough to learn this from; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What learning gives: arrays and facts to apply it by, metrics to judge it by.

    `objection`: why it must not serve, "" when it may.
    """

    algorithm: str
    arrays: Arrays
    facts: Mapping[str, Any]
    metrics: Mapping[str, Any]
    objection: str = ""


@dataclass(frozen=True, slots=True)
class Before:
    """The clusters that served until now: ids of some customers, and the least unused one.

    `arrays`: the fitted state of the version to learn on from, where it has the same settings;
    `version`: its number.
    """

    customers: Ints
    labels: Ints
    least_id: int
    arrays: Arrays | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a model says: score key -> (customers, values); and how the crowd looked to it."""

    scores: dict[str, tuple[Ints, Floats]]
    sizes: dict[str, int] = field(default_factory=dict)
    drift: dict[str, Any] = field(default_factory=dict)
