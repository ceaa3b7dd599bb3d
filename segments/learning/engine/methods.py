"""Methods of clustering as people choose among them: what each is for, what can be set of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segments.learning.engine.catalogue import NAMES


@dataclass(frozen=True, slots=True)
class Method:
    """One algorithm of `clusters.ALGORITHMS`; `reads` names the settings that it understands."""

    title: str
    meaning: str
    reads: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its value when nothing is said (0: found from the data), and its range."""

    least: float
    most: float
    default: float

    def takes(self, value: float) -> bool:
        """Whether it may be so: in the range, or what stands for nothing said."""
        return value == self.default or self.least <= value <= self.most


SETTINGS: dict[str, Setting] = {
    # beyond it no page tells them apart, and nobody acts on them
    "k": Setting(2, 20, 0),
    "least_share": Setting(0.002, 0.5, 0.02),
    # points are clipped at 5 interquartile ranges: farther apart everything is one region
    "reach": Setting(0.01, 50, 0),
}
METHODS: dict[str, Method] = {
    "kmeans": Method("k-means", "Compact groups; everybody belongs to the nearest middle.", "k"),
    "minibatch": Method(
        "k-means that learns on",
        "As k-means, but each night moves the groups of the night before.",
        "k",
    ),
    "gaussian_mixture": Method(
        "Gaussian mixture (soft)",
        "Groups that overlap: everybody has a probability of each, which rules can read.",
        "k",
    ),
    "agglomerative": Method(
        "Agglomerative (Ward)",
        "Merges those nearest to each other, step by step, in a sample of 5,000; everybody else"
        " belongs to the nearest group.",
        "k",
    ),
    "hdbscan": Method(
        "HDBSCAN",
        "Finds dense groups of any density and their number; who is like nobody else stays out.",
        "least_share",
    ),
    "dbscan": Method(
        "DBSCAN",
        "Finds groups that are all equally dense and their number; who is like nobody else stays"
        " out.",
        "reach",
    ),
}


def faults(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, what is wrong) of a recipe's `algorithm`, `features` and settings."""
    found: list[tuple[str, str]] = []
    method = METHODS.get(config["algorithm"])
    if method is None:
        found.append(("algorithm", f"is one of {', '.join(METHODS)}"))
    for name, setting in SETTINGS.items():
        value = config.get(name, setting.default)
        if method is not None and name != method.reads and value != setting.default:
            fix = f"{config['algorithm']} has no such setting; leave it out"
            found.append((name, fix))
        elif not setting.takes(value):
            found.append((name, f"must lie between {setting.least:g} and {setting.most:g}"))
    features = config.get("features", ())
    unknown = [name for name in features if name not in NAMES]
    if unknown:
        fix = f"there is no feature {unknown[0]!r}; docs/algorithms/clusters.md lists all"
        found.append(("features", fix))
    twice = [name for name, times in Counter(features).items() if times > 1]
    if twice:
        found.append(("features", f"{twice[0]!r} is named twice; it would count double"))
    return found
