"""What the page of a trained version shows: figures side by side, courses, settings, origin."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from recommender import model_courses, registry
from recommender.engine import parts, rerank, secondlook
from recommender.engine.algorithms import RECIPES
from recommender.engine.measures import AIM
from recommender.engine.served import KEPT
from recommender.engine.training import BLENDS
from recommender.models import FoundSettings, ModelVersion
from recommender.pages import NOTHING, cell
from segments import selectors as segments

# Versions that the course of a model shows.
_LATEST = 40
_FIGURES = ("Recall@20", "NDCG@20", "HR@20", "MRR@20", "MAP@20", "coverage@20", "Gini@20", "users")
# Of `parts.bands`; the others say how many: "history 5-9".
_BANDS = {
    "history 0": "nothing",
    "light fifth": "the fifth with the least",
    "heavy fifth": "the fifth with the most",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One version's figures beside the others': its title and a cell for each of the rows."""

    title: str
    cells: tuple[str, ...]


def model_page(version: ModelVersion) -> dict[str, Any]:
    """Return the context of a model's page: figures side by side, its course, its origin."""
    facts = version.manifest["facts"]
    others = list(
        ModelVersion.objects.filter(algorithm=version.algorithm).order_by("-number")[:_LATEST]
    )[::-1]
    serving = next((one for one in others if one.status == ModelVersion.Status.LIVE), None)
    told, base = registry.measured(version), facts.get("base")
    columns = _columns(version, told, serving)
    return {
        "columns": columns,
        "figures": [
            (name, [column.cells[place] for column in columns])
            for place, name in enumerate(_FIGURES)
        ],
        "protocol": told.get("protocol", ""),
        "served": _served(told.get("as_served")),
        "parts": _parts(version),
        "course": model_courses.over_versions(others),
        "learning": model_courses.learning(version.metrics.get("learning")),
        "drift": model_courses.drifted(version, others),
        "data": _data(facts),
        "config": sorted(_plain(facts.get("config", {})).items()),
        "settings": _settings(version),
        "libraries": sorted(facts.get("libraries", {}).items()),
        "arrays": [
            (name, one["dtype"], one["shape"], one["bytes"], one["sha256"])
            for name, one in sorted(version.manifest["arrays"].items())
        ],
        "sources": _sources(version),
        "reranker": _reranker(version),
        "base": base,
        "can_roll_back": version.status == ModelVersion.Status.LIVE,
    }


def _columns(
    version: ModelVersion, told: Mapping[str, Any], serving: ModelVersion | None
) -> list[Column]:
    """Return figures side by side; `told`: its own, or those of what it grew from."""
    base = version.manifest["facts"].get("base")
    mine = f"version {base['number']}, at the training of the night" if base else "this version"
    found = [(mine, told), ("popularity, same questions", told.get("popularity", {}))]
    if told.get("without_reranker"):
        found.append(("the blend alone, without its re-ranker", told["without_reranker"]))
    if told.get("discovery"):
        found.append((f"{mine}, products new to the customer only", told["discovery"]))
    if serving is not None and serving.pk != version.pk:
        found.append(
            (f"version {serving.number}, which serves now, on its own test days", serving.metrics)
        )
    return [Column(title, tuple(cell(told, name) for name in _FIGURES)) for title, told in found]


def _served(told: Mapping[str, Any] | None) -> str:
    """Return how near what pages get is to the figures, in words; "" where it is the same."""
    if not told or told[KEPT] is None:
        return ""
    return (
        "Pages search this model by its principal directions first and get"
        f" {100 * told[KEPT]:.1f} % of the best 20 that ranking the whole catalogue finds:"
        f" {AIM} {cell(told, AIM)} of products new to the customer, against"
        f" {cell(told, f'{AIM} in full')}, on {told['questions']:,} of the questions."
    )


def _parts(version: ModelVersion) -> dict[str, Any] | None:
    """Return for whom it does better or worse than for everybody; None where nobody is told."""
    told = version.metrics.get("parts")
    if not told:
        return None
    names = _names_of([row["part"] for row in told["groups"]])
    groups = [_part(row, names[row["part"]]) for row in told["groups"]]
    bands = [_part(row, _band(row["part"])) for row in told["bands"]]
    headed = (("Segments and countries", groups), ("By what they had done before", bands))
    return {
        "everybody": (
            cell(version.metrics, "users"),
            *(f"{version.metrics[figure]:.4f}" for figure in parts.FIGURES),
        ),
        "figures": parts.FIGURES,
        "headed": [(heading, rows) for heading, rows in headed if rows],
        "grouped": bool(groups),
        "few": told["few"],
        "further": told["further"],
        "least": parts.LEAST,
    }


def _part(row: Mapping[str, Any], title: str) -> dict[str, Any]:
    difference, chance = row["difference"], row["chance"]
    verdict, tone = "no sure difference", ""
    if abs(difference) > chance:
        verdict, tone = ("better", "good") if difference > 0 else ("worse", "warn")
    return {
        "title": title,
        "cells": [cell(row, name) for name in ("users", *parts.FIGURES)],
        "difference": f"{difference:+.4f} (chance ±{chance:.4f})",
        "verdict": verdict,
        "tone": tone,
    }


def _names_of(labels: Sequence[str]) -> dict[str, str]:
    """Return what people call groups, by the label that models know them by."""
    split = {label: label.partition(":") for label in labels}
    titles = segments.titles([key for kind, _, key in split.values() if kind == "segment"])
    return {
        label: titles.get(key, f"{key} (deleted since)") if kind == "segment" else f"Country {key}"
        for label, (kind, _, key) in split.items()
    }


def _band(name: str) -> str:
    return _BANDS.get(name) or name.removeprefix("history ").replace("-", " to ") + " actions"


def _sources(version: ModelVersion) -> list[dict[str, str]]:
    """Return what a blend is made of, beside what each source reaches alone."""
    told = version.manifest["facts"].get("blend", {})
    weights: dict[str, float] = dict(told.get("sources", ()))
    alone = version.metrics.get("sources", {})
    names = sorted({*weights, *alone}, key=lambda name: (-weights.get(name, 0.0), name))
    return [
        {
            "name": name,
            "weight": f"{weights[name]:.2f}" if name in weights else NOTHING,
            "quality": cell(alone.get(name, {}), AIM),
        }
        for name in names
    ]


# What else trees read of a candidate (`rerank.KNOWN`), for people.
_LOOKED_AT = (
    "how popular it is, how fast it rises and how new it is",
    "how often and how lately the visitor met it",
    "how long the visitor is known",
    "how its attributes and price compare with what the visitor met",
    "and how much more than usual it is taken on such a device, at such an hour, in that country",
)


def _reranker(version: ModelVersion) -> str:
    """Return whether a blend's first candidates are put in order once more, in words."""
    if version.algorithm not in BLENDS:
        return ""
    told = version.manifest["facts"].get("reranker")
    if told is None:
        return "None: this version was trained before blends had one."
    if "left_out" in told:
        return f"None: {told['left_out']}. The blend's own order serves."
    if not secondlook.is_readable(told):
        return "Not in use: another release made it. The blend's own order serves."
    sources = told["features"][: -len(rerank.KNOWN)]
    return (
        f"It has one: {told['trees']} trees put the first {rerank.DEPTH} candidates in a new order."
        f" They look at what {', '.join(sources)} and the blend said of a product,"
        f" {', '.join(_LOOKED_AT)}."
    )


def _data(facts: Mapping[str, Any]) -> dict[str, str]:
    share, base = facts.get("top_share"), facts.get("base")
    since = f"version {base['number']}; the figures below are of that time alone" if base else ""
    return {
        **({"Learned since": since} if since else {}),
        "Interactions": f"{facts['interactions']:,}",
        "Customers": f"{facts.get('users', 0):,}",
        "Products": f"{facts['items']:,}",
        "Window": f"{_moment(facts.get('from_s'))} to {_moment(facts.get('until_s'))}",
        "Newest interaction": _moment(facts.get("newest_s")),
        "Most dominant product": NOTHING if share is None else f"{100 * share:.1f} % of all weight",
    }


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if not isinstance(value, dict | list)}


def _settings(version: ModelVersion) -> dict[str, Any] | None:
    """Return which settings differ from the model's own, and what a search found; None: nothing."""
    if version.algorithm not in RECIPES:
        return None
    own = RECIPES[version.algorithm].config.to_json()
    mine = _plain(version.manifest["facts"].get("config", {}))
    found = FoundSettings.objects.filter(algorithm=version.algorithm).first()
    later = found.settings if found else {}
    rows = [
        (name, _short(value), _short(own.get(name)), _short(later.get(name, own.get(name))))
        for name, value in sorted(mine.items())
        if value != own.get(name) or name in later
    ]
    if not rows and found is None:
        return None
    return {"rows": rows, "found": found, "gain": _gain(found.told) if found else ""}


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _gain(told: Mapping[str, Any]) -> str:
    """Return what found settings gained, in words."""
    if "gain" not in told:
        return ""
    low, high = told["interval"]
    return (
        f"{AIM} {told[AIM]:.4f} against {told['default']:.4f} with its own settings:"
        f" {told['gain']:+.4f} ({low:+.4f} to {high:+.4f}) on {told['questions']:,} questions that"
        f" they were not chosen on, the best of {told['trials']:,} tried"
    )


def _moment(at_s: float | None) -> str:
    if at_s is None:
        return NOTHING
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
