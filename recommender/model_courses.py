"""How a model went: over its versions, as it learned from more, and as its data moved."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from personalization.lib.charts import Chart, Scale, Series, line_chart
from recommender.engine.gate import LEAST_QUALITY_OF_LIVE
from recommender.engine.measures import AIM
from recommender.models import ModelVersion
from recommender.pages import NOTHING, cell
from segments.learning.engine import drift

# What a version recommends, by the hue of its line.
_HOW = (("coverage@20", "c2"), ("Gini@20", "c3"))
# (what there is more of, whether the last of it helped surely) -> what a person should know.
_MORE = {
    ("passes", True): "More passes would probably help",
    ("passes", False): "More passes would hardly help",
    ("customers", True): "More data would probably help",
    ("customers", False): "More of the same data would hardly help",
}
_SPREADS = {
    "products": "Interest over products, from bestsellers to new ones",
    "kinds": "Kinds of events",
    "hours": "Hours of the day (UTC)",
}
_TONES = {"steady": "good", "watch": "warn", "shifted": "bad", "unknown": ""}


def over_versions(versions: Sequence[ModelVersion]) -> dict[str, Any] | None:
    """Return the course of quality over versions, beside popularity's; None for fewer than two."""
    measured = [one for one in versions if one.metrics.get(AIM) is not None]
    if len(measured) < 2:  # noqa: PLR2004 -- a line has two ends
        return None
    mine = [float(one.metrics[AIM]) for one in measured]
    floor = [one.metrics.get("popularity", {}).get(AIM) for one in measured]
    size = [int(one.manifest["facts"]["interactions"]) for one in measured]
    return {
        **_charts(measured, mine, floor, size),
        "fell": mine[-1] < LEAST_QUALITY_OF_LIVE * max(mine),
        "rows": [
            (
                one,
                f"{quality:.4f}",
                f"{low:.4f}" if low else NOTHING,
                cell(one.metrics, "coverage@20"),
                cell(one.metrics, "Gini@20"),
                f"{count:,}",
            )
            for one, quality, low, count in zip(measured, mine, floor, size, strict=True)
        ][::-1],
    }


def _charts(
    measured: Sequence[ModelVersion],
    mine: Sequence[float],
    floor: Sequence[float | None],
    size: Sequence[int],
) -> dict[str, Chart | None]:
    """Return quality, what was learned from, and what is recommended, over versions."""
    ends = _named(measured[0]), _named(measured[-1])
    draw = partial(line_chart, places=[one.number for one in measured], across=ends)
    return {
        "quality": draw(
            [Series("model", mine), *([Series("popularity", floor, "c1")] if any(floor) else ())],
            summary=_from_to(AIM, ends, f"{mine[0]:.4f}", f"{mine[-1]:.4f}")
            + (f"; popularity {floor[-1]:.4f}" if floor[-1] else ""),
        ),
        "sizes": draw(
            [Series("interactions", size, "c2")],
            summary=_from_to("Interactions", ends, f"{size[0]:,}", f"{size[-1]:,}"),
            scale=Scale(whole=True),
        ),
        "spread": draw(
            [Series(name, [one.metrics.get(name) for one in measured], hue) for name, hue in _HOW],
            summary="; ".join(
                _from_to(name, ends, *(cell(measured[at].metrics, name) for at in (0, -1)))
                for name, _ in _HOW
            ),
            scale=Scale(least=1.0),
        ),
    }


def _named(version: ModelVersion) -> str:
    return f"v{version.number}"


def _from_to(what: str, ends: tuple[str, str], first: str, last: str) -> str:
    return f"{what} from {first} ({ends[0]}) to {last} ({ends[1]})"


def learning(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the learning curve and what it says; None where a version has none."""
    if not told:
        return None
    by = told["by"]
    numbers, values = zip(*told["points"], strict=True)
    step = f"from {numbers[-2]:,} to {numbers[-1]:,} {by} it gained {told['gain']:+.4f}"
    said = _MORE[by, bool(told["sure"])]
    return {
        "by": by,
        # Each point is several times as much as the one before it, and named below.
        "chart": line_chart(
            [Series(AIM, values)],
            across=[*(f"{n:,}" for n in numbers[:-1]), f"{numbers[-1]:,} {by}"],
            summary=f"{AIM} {values[0]:.4f} after {numbers[0]:,} {by}, {values[-1]:.4f} after"
            f" {numbers[-1]:,}",
        ),
        "rows": [(f"{n:,}", f"{v:.4f}") for n, v in zip(numbers, values, strict=True)],
        "questions": f"{told['questions']:,}",
        "sure": told["sure"],
        "words": f"{said}: {step}{'' if told['sure'] else ', noise or next to nothing'}.",
    }


def drifted(version: ModelVersion, others: Sequence[ModelVersion]) -> dict[str, Any] | None:
    """Return how far the last days were from those before, now and at each version.

    None for what watches no drift, as blends do.
    """
    if "drift" not in version.metrics:
        return None
    mine = version.metrics["drift"] or ()
    told = {one["feature"] for one in mine}
    watched = [one for one in others if one.metrics.get("drift")]
    worst = [float(one.metrics["drift"][0]["psi"]) for one in watched]
    return {
        "chart": _drift_chart(watched, worst),
        "rows": [
            (_SPREADS[one["feature"]], f"{one['psi']:.3f}", one["verdict"], _TONES[one["verdict"]])
            for one in mine
        ]
        + [
            (said, NOTHING, "too few to judge", "")
            for what, said in _SPREADS.items()
            if what not in told
        ],
        "course": [
            (one, f"{psi:.3f}", _SPREADS[one.metrics["drift"][0]["feature"]])
            for one, psi in zip(watched, worst, strict=True)
        ][::-1],
    }


def _drift_chart(watched: Sequence[ModelVersion], worst: Sequence[float]) -> Chart | None:
    if not watched:
        return None
    ends = _named(watched[0]), _named(watched[-1])
    return line_chart(
        [Series("PSI", worst)],
        places=[one.number for one in watched],
        across=ends,
        summary=_from_to("Largest index", ends, f"{worst[0]:.3f}", f"{worst[-1]:.3f}"),
        guide=drift.SHIFTED,
    )
