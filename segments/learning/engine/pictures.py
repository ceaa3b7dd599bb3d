"""Pictures of models as plain numbers: where points and bars lie in their boxes.

Templates draw them as SVG; nothing here knows of HTML. Coordinates have one decimal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Hues that a page has for clusters; beyond it they repeat, numbers still tell clusters apart.
HUES = 8
MAP_SIDE = 320
_MARGIN = 12
# Standard deviations at the end of a profile bar.
_MOST_DIFFERENCE = 2.5
BAR_WIDTH = 200


@dataclass(frozen=True, slots=True)
class Dot:
    """One customer on the map."""

    x: float
    y: float
    hue: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: from `x`, `width` long; `up` whether it says more rather than less."""

    x: float
    width: float
    up: bool
    label: str
    said: str


def hue(label: int) -> str:
    """Return the name of a cluster's hue: `c0` to `c7`, `noise`."""
    return "noise" if label < 0 else f"c{label % HUES}"


def dots(points: Sequence[Sequence[float]]) -> list[Dot]:
    """Return (x, y, label) points in a square of MAP_SIDE, y upwards, noise below the others."""
    if not points:
        return []
    xs, ys = [one[0] for one in points], [one[1] for one in points]
    across = (max(xs) - min(xs)) or 1.0
    up = (max(ys) - min(ys)) or 1.0
    room = MAP_SIDE - 2 * _MARGIN
    ordered = sorted(points, key=lambda one: one[2] >= 0)
    return [
        Dot(
            round(_MARGIN + (x - min(xs)) / across * room, 1),
            round(MAP_SIDE - _MARGIN - (y - min(ys)) / up * room, 1),
            hue(int(label)),
        )
        for x, y, label in ordered
    ]


def profile(traits: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[Bar]:
    """Return bars of a cluster's largest differences, around the middle of BAR_WIDTH.

    `words`: feature -> what is said of it.
    """
    half = BAR_WIDTH / 2
    found = []
    for one in traits:
        held = max(-_MOST_DIFFERENCE, min(_MOST_DIFFERENCE, one["difference"]))
        length = round(abs(held) / _MOST_DIFFERENCE * half, 1)
        up = one["difference"] > 0
        found.append(
            Bar(
                half if up else round(half - length, 1),
                length,
                up,
                words.get(one["feature"], one["feature"]),
                f"{one['difference']:+.1f} standard deviations",
            )
        )
    return found


def shares(listed: Sequence[Mapping[str, Any]], words: Mapping[str, str]) -> list[Bar]:
    """Return bars of (feature, share), the longest fills BAR_WIDTH."""
    most = max((one["share"] for one in listed), default=1.0) or 1.0
    return [
        Bar(
            0.0,
            round(one["share"] / most * BAR_WIDTH, 1),
            True,  # noqa: FBT003 -- a fact of the bar
            words.get(one["feature"], one["feature"]),
            f"{one['share']:.1%}",
        )
        for one in listed
    ]
