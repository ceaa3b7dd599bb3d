"""Learned models that look at customers unlike those they learnt from, for whoever watches."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from segments.learning.engine import drift
from segments.learning.engine.catalogue import BY_NAME
from segments.models.learning import LearnedModel, Observation

# Chance alone moves the index of eleven bins by 10 (1/n + 1/m): .04 of so many, .2 of a hundred.
LEAST_CUSTOMERS = 500
_ANSWERS = "its own answers"


@dataclass(frozen=True, slots=True)
class Drifted:
    """A live model of which something has shifted; `what` moved most, with its `psi`.

    `others`: how many more of its inputs have shifted. `as_of`: the scoring that noticed.
    """

    key: str
    version: int
    what: str
    psi: float
    others: int
    as_of: datetime

    def __str__(self) -> str:
        more = f" and {self.others} more" if self.others else ""
        return f"{self.key} v{self.version}: {self.what} (PSI {self.psi:.2f}){more}"


def drifted_models() -> list[Drifted]:
    """Return the live models whose inputs or answers have shifted, the worst first. One query.

    By the latest scoring of each; of fewer than LEAST_CUSTOMERS customers nothing is said.
    """
    latest = (
        Observation.objects.filter(model__status=LearnedModel.Status.LIVE)
        .order_by("model_id", "-as_of")
        .distinct("model_id")
        .values_list("model__key", "model__version", "customers", "drift", "as_of")
    )
    found = []
    for key, version, customers, seen, as_of in latest:
        moved = _shifted(seen) if customers >= LEAST_CUSTOMERS else []
        if moved:
            (what, psi), others = moved[0], len(moved) - 1
            found.append(Drifted(key, version, what, psi, others, as_of))
    return sorted(found, key=lambda one: (-one.psi, one.key))


def _shifted(seen: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Return (what, PSI) of all that an observation found shifted, the largest first."""
    held = [(_name(one["feature"]), one["psi"]) for one in seen.get("features", ())]
    if seen.get("score") is not None:
        held.append((_ANSWERS, seen["score"]))
    return sorted(
        (one for one in held if drift.verdict(one[1]) == "shifted"), key=lambda one: -one[1]
    )


def _name(feature: str) -> str:
    """Return what a feature is called; one that the catalogue has no more keeps its name."""
    known = BY_NAME.get(feature)
    return feature if known is None else known.meaning.partition(";")[0]
