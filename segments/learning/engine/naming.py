"""What distinguishes a cluster, and a name made of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from segments.learning.engine.catalogue import BY_NAME
from segments.learning.engine.features import Floats, Ints

# Standardised differences below it are not worth a word (Cohen 1988: .2 small, .5 medium).
LEAST_DIFFERENCE = 0.4
WORDS = 2
NOISE_TITLE = "like nobody else"


@dataclass(frozen=True, slots=True)
class Trait:
    """One feature of one cluster.

    `difference` from all customers in standard deviations of the scaled feature; `median` of the
    members in the feature's unit, `overall` of everybody; nan where undefined.
    """

    feature: str
    difference: float
    median: float
    overall: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields; what is undefined becomes None."""
        return {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def traits_of(
    names: Sequence[str], values: Floats, scaled: Floats, labels: Ints
) -> dict[int, list[Trait]]:
    """Return label -> its traits, the largest difference first.

    `values` (n, d) features with nan, `scaled` (n, d) without, `labels` (n,) stable ids.
    """
    spread = scaled.std(axis=0)
    spread[spread == 0] = 1.0
    middle = scaled.mean(axis=0)
    overall = _medians(values)
    found = {}
    for label in np.unique(labels).tolist():
        mine = labels == label
        off = (scaled[mine].mean(axis=0) - middle) / spread
        medians = _medians(values[mine])
        traits = [
            Trait(name, float(off[d]), float(medians[d]), float(overall[d]))
            for d, name in enumerate(names)
        ]
        found[label] = sorted(traits, key=lambda one: (-abs(one.difference), one.feature))
    return found


def titles(traits: dict[int, list[Trait]]) -> dict[int, str]:
    """Return label -> a name of its own: what differs most, one word a family of features.

    Two clusters that would be called the same go on to further differences, then to their number.
    """
    made: dict[int, str] = {}
    for label, listed in traits.items():
        if label < 0:
            made[label] = NOISE_TITLE
            continue
        words = _words(listed)
        taken = set(made.values())
        title = ""
        for count in range(WORDS, len(words) + 1):
            title = _sentence(words[:count])
            if title not in taken:
                break
        title = title or _sentence(words[:WORDS]) or "average"
        made[label] = title if title not in taken else f"{title} ({label})"
    return made


def _words(traits: Sequence[Trait]) -> list[str]:
    seen: set[str] = set()
    words = []
    for one in traits:
        about = BY_NAME[one.feature]
        if abs(one.difference) < LEAST_DIFFERENCE or about.family in seen:
            continue
        seen.add(about.family)
        words.append(about.high if one.difference > 0 else about.low)
    return words


def _sentence(words: Sequence[str]) -> str:
    said = ", ".join(words)
    return said[:1].upper() + said[1:]


def _medians(values: Floats) -> Floats:
    found = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        known = values[:, column][~np.isnan(values[:, column])]
        if len(known):
            found[column] = np.median(known)
    return found
