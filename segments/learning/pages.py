"""What the page of a learned model shows, put together: figures, pictures, tables, times."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings

from personalization.lib import money
from personalization.lib.charts import Scale, Series, days, line_chart, square_chart
from segments.learning import registry
from segments.learning.engine import drift, pictures
from segments.learning.engine.catalogue import BY_NAME
from segments.learning.engine.classifiers import CLASSIFIERS
from segments.learning.engine.clusters import ALGORITHMS, NOISE
from segments.learning.engine.grouping import SURE
from segments.learning.engine.naming import NOISE_TITLE
from segments.models.learning import LearnedModel, Observation, Score

# Scorings that trends show.
_LATEST = 60
_TOP = 10
_FLOORS = {"popularity": "what is bought most", "leaning": "the customer's favourite"}
_TONES = {"steady": "good", "watch": "warn", "shifted": "bad", "unknown": ""}
_SAID = {one.name: one.meaning.partition(";")[0] for one in BY_NAME.values()}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with what it is and how it was come by."""

    title: str
    value: str
    note: str


def page_of(model: LearnedModel) -> dict[str, Any]:
    """Return the context of the template of a model's page; every number with time and window."""
    facts = model.manifest["facts"]
    seen = list(model.observations.order_by("-as_of")[:_LATEST])[::-1]
    until_us, from_us = facts.get("until_us"), facts.get("from_us")
    return {
        "title_of": registry.recipe_of(model).title,
        "figures": _figures(model, facts),
        "learnt_from": _day(from_us),
        "learnt_until": _day(until_us),
        "customers": facts.get("customers", 0),
        "events": facts.get("events", 0),
        "one_in": facts.get("one_in", 1),
        "seed": facts.get("seed"),
        "protocol": model.metrics.get("protocol", ""),
        "scored_at": seen[-1].as_of if seen else None,
        "drift": _drift(seen),
        **_OF_KIND[model.kind](model, seen),
    }


def quality(model: LearnedModel) -> str:
    """Return the figure that a model is judged by, in a word, for lists."""
    held = model.metrics
    if model.kind == LearnedModel.Kind.CLUSTER:
        return f"{held['k']} clusters, rules right {held['accuracy']:.0%}"
    if model.kind == LearnedModel.Kind.PROPENSITY:
        best = held["algorithms"][held["best"]]
        return f"AUC {_number(best['auc'])}, log loss {_number(best['log_loss'])}"
    if model.kind == LearnedModel.Kind.VALUE:
        total = held.get("tested", {}).get("total")
        return "untested" if total is None else f"total off by {total:+.1%}"
    if model.kind == LearnedModel.Kind.CATEGORY:
        return f"first guess right {held['algorithms'][held['best']]['hit']:.0%}"
    return f"AUC {_number(held['auc'])}"


def _figures(model: LearnedModel, facts: Mapping[str, Any]) -> list[Figure]:
    held = model.metrics
    until = _day(facts.get("until_us")) or "?"
    if model.kind == LearnedModel.Kind.CLUSTER:
        tried = held["candidates"]
        # a method that finds the number was judged on a sample, where it may have found another
        taken = tried if len(tried) == 1 else [c for c in tried if c["k"] == held["k"]]
        found = [
            Figure("Clusters", str(held["k"]), f"{held['customers']:,} customers, {until}"),
            Figure("Told right by rules", f"{held['accuracy']:.1%}", "of customers, all rules"),
        ]
        for one in taken:
            found += [
                Figure("Separation", _number(one["silhouette"]), "silhouette, -1 to 1"),
                Figure("Stability", _number(one["stability"]), "bootstrap ARI, up to 1"),
            ]
        if "noise" in held:
            found.append(Figure("Noise", f"{held['noise']:.1%}", "like nobody else, in no cluster"))
        if "unsure" in held:
            note = f"no cluster is {SURE:.0%} probable"
            found.append(Figure("Between clusters", f"{held['unsure']:.1%}", note))
        return found
    if model.kind == LearnedModel.Kind.PROPENSITY:
        best = held["algorithms"][held["best"]]
        test = held["folds"][0]
        note = f"tested on {test['test_rows']:,} customers as of {_day(test['test_from_us'])}"
        return [
            Figure("AUC", _number(best["auc"]), note),
            Figure("Log loss", _number(best["log_loss"]), _floor(held["base"]["log_loss"])),
            Figure("Brier", _number(best["brier"]), _floor(held["base"]["brier"])),
            Figure("Calibration error", _number(best["ece"]), "ECE, ten bins of equal size"),
        ]
    if model.kind == LearnedModel.Kind.LOOKALIKE:
        note = f"five-fold cross-validation, {until}"
        return [
            Figure("AUC", _number(held["auc"]), note),
            Figure("Calibration error", _number(held["ece"]), "half members, half others"),
            Figure("Members", f"{held['members']:,}", "learnt from"),
            Figure("Others", f"{held['others']:,}", "drawn by lot"),
        ]
    return []


def _cluster(model: LearnedModel, seen: Sequence[Observation]) -> dict[str, Any]:
    clusters = [
        {
            **one,
            "hue": pictures.hue(one["label"]),
            "bars": pictures.profile(one["traits"], _SAID),
            "medians": [
                (
                    _SAID[t["feature"]],
                    _amount(t["feature"], t["median"]),
                    _amount(t["feature"], t["overall"]),
                )
                for t in one["traits"]
            ],
            "json": json.dumps(one["rule"], indent=1) if one["rule"] else "",
        }
        for one in model.metrics["clusters"]
    ]
    titles = {str(NOISE): NOISE_TITLE} | {str(one["label"]): one["title"] for one in clusters}
    labels = sorted({label for one in seen for label in one.sizes}, key=int)
    moments = [one.as_of for one in seen]
    explained = model.metrics.get("explained", [])
    return {
        "clusters": clusters,
        "dots": pictures.dots(model.metrics["map"]),
        "map_side": pictures.MAP_SIDE,
        "explained": f"{sum(explained[:2]):.0%}",
        "candidates": model.metrics["candidates"],
        "chosen_k": model.metrics["k"],
        "finds_k": ALGORITHMS[model.algorithm].finds_k,
        "soft": ALGORITHMS[model.algorithm].soft,
        "chart": line_chart(
            [
                Series(
                    titles.get(label, label),
                    [one.sizes.get(label, 0) for one in seen],
                    pictures.hue(int(label)),
                )
                for label in labels
            ],
            places=[at.timestamp() for at in moments],
            across=days(moments[0], moments[-1]) if moments else (),
            summary="Customers in each cluster at each scoring; the numbers are below",
            scale=Scale(whole=True),
        ),
        "sizes": [(one.as_of, [one.sizes.get(label, 0) for label in labels]) for one in seen],
        "size_titles": [titles.get(label, label) for label in labels],
    }


def _propensity(model: LearnedModel, _seen: Sequence[Observation]) -> dict[str, Any]:
    held = model.metrics
    rows = [
        {
            "title": CLASSIFIERS[name].title,
            "best": name == held["best"],
            "cells": [_number(one[what]) for what in ("log_loss", "brier", "ece", "auc")],
            "raw": [_number(one["raw"][what]) for what in ("log_loss", "brier", "ece")],
        }
        for name, one in held["algorithms"].items()
    ]
    base = held["base"]
    floor = {
        "title": "the base rate for everybody",
        "best": False,
        "cells": [_number(base[what]) for what in ("log_loss", "brier", "ece", "auc")],
        "raw": ["-"] * 3,
    }
    return {
        "compared": [*rows, floor],
        "chart": square_chart(
            "calibration",
            [(100 * said, 100 * came) for said, came, _ in held["curve"]],
            summary="Predicted against observed shares; the numbers are below",
            # Up to the largest of either, so that rare things can be seen; a hundredth at least.
            scale=Scale(least=1.0, unit=" %"),
        ),
        "curve_rows": [(f"{s:.1%}", f"{c:.1%}", f"{n:,}") for s, c, n in held["curve"]],
        "weights": pictures.shares(held["weights"], _SAID),
        "bar_width": pictures.BAR_WIDTH,
        "folds": [
            {
                "from": _day(one["test_from_us"]),
                "test": one["test_rows"],
                "train": one["train_rows"],
                "share": f"{one['share']:.1%}",
            }
            for one in held["folds"]
        ],
        "top": _top(model.key),
    }


def _value(model: LearnedModel, _seen: Sequence[Observation]) -> dict[str, Any]:
    held = model.metrics
    rows = []
    for title, name in (("BG/NBD + Gamma-Gamma", "tested"), ("naive rate", "naive")):
        if name in held:
            one = held[name]
            total = "-" if one["total"] is None else f"{one['total']:+.1%}"
            rows.append((title, _money(one["mae"]), _money(one["rmse"]), total))
    params = {**held["params"], **held["params_worth"]}
    return {
        "tested": rows,
        "untested": held.get("untested", ""),
        "buyers": held.get("buyers"),
        "params": [(name, f"{value:,.4g}") for name, value in params.items()],
        "top": _top(model.key, money_too=True),
    }


def _category(model: LearnedModel, _seen: Sequence[Observation]) -> dict[str, Any]:
    held = model.metrics
    rows = [
        (CLASSIFIERS[name].title, name == held["best"], *_guessed(one))
        for name, one in held["algorithms"].items()
    ]
    rows += [(_FLOORS[name], False, *_guessed(one)) for name, one in held["floors"].items()]
    names = model.manifest["facts"].get("names", {})
    return {"guesses": rows, "rows": held["rows"], "categories": sorted(names.values())}


def _guessed(one: Mapping[str, float]) -> tuple[str, ...]:
    """Return log loss, that before calibration, ECE, and the share of right first guesses."""
    measured = (_number(one.get(name)) for name in ("log_loss", "raw_log_loss", "ece"))
    return *measured, f"{one['hit']:.1%}"


def _lookalike(model: LearnedModel, _seen: Sequence[Observation]) -> dict[str, Any]:
    return {"top": _top(f"lookalike:{model.key}")}


_OF_KIND: dict[str, Callable[[LearnedModel, Sequence[Observation]], dict[str, Any]]] = {
    LearnedModel.Kind.CLUSTER.value: _cluster,
    LearnedModel.Kind.PROPENSITY.value: _propensity,
    LearnedModel.Kind.VALUE.value: _value,
    LearnedModel.Kind.CATEGORY.value: _category,
    LearnedModel.Kind.LOOKALIKE.value: _lookalike,
}


def _drift(seen: Sequence[Observation]) -> dict[str, Any] | None:
    """Return the latest drift and its course; None where a model watches none."""
    watched = [one for one in seen if one.drift.get("features")]
    if not watched:
        return None
    latest = watched[-1]
    worst = [one.drift["features"][0]["psi"] for one in watched]
    first, last = days(watched[0].as_of, latest.as_of)
    score = latest.drift.get("score")
    return {
        "as_of": latest.as_of,
        "score": None if score is None else f"{score:.3f}",
        "score_tone": _TONES[drift.verdict(score)] if score is not None else "",
        "score_verdict": drift.verdict(score) if score is not None else "",
        "chart": line_chart(
            [Series("PSI", worst)],
            places=[one.as_of.timestamp() for one in watched],
            across=(first, last),
            summary=f"Largest PSI of a feature at each scoring: {worst[0]:.3f} ({first}) to"
            f" {worst[-1]:.3f} ({last}), shifted from {drift.SHIFTED}",
            guide=drift.SHIFTED,
        ),
        "rows": [
            {**one, "tone": _TONES[one["verdict"]], "said": _SAID[one["feature"]]}
            for one in latest.drift["features"][:_TOP]
        ],
    }


def _top(key: str, *, money_too: bool = False) -> list[dict[str, Any]]:
    """Return the customers with the highest scores of a key."""
    rows = Score.objects.filter(key=key).order_by("-value")[:_TOP]
    return [
        {
            "customer_id": one.customer_id,
            "value": _money(one.value) if money_too else f"{one.value:.3f}",
            "as_of": one.as_of,
        }
        for one in rows
    ]


def _amount(feature: str, value: float | None) -> str:
    if value is None:
        return "-"
    unit = BY_NAME[feature].unit
    if unit == "minor":
        return _money(value)
    if unit == "share":
        return f"{value:.0%}"
    return f"{value:,.0f} {unit}" if unit == "days" else f"{value:,.1f}".removesuffix(".0")


def _money(minor: float | None) -> str:
    if minor is None:
        return "-"
    digits = money.digits(settings.SHOP_CURRENCY)
    return f"{minor / 10**digits:,.{digits}f} {settings.SHOP_CURRENCY}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _floor(value: float | None) -> str:
    return f"base rate {_number(value)}"


def _day(at_us: int | None) -> str:
    if at_us is None:
        return ""
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M UTC")
