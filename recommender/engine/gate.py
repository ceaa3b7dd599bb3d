"""Whether a candidate may serve: against its data, popularity, and the live model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Half the data gone is a broken import, not a quiet week.
LEAST_SHARE_OF_LIVE = 0.5
# Below it NDCG of two models differs by chance alone (standard error about .05).
LEAST_USERS = 30
# Weeks differ; a fall beyond this is a fault. Both were measured on their own last days.
LEAST_QUALITY_OF_LIVE = 0.7
_QUALITY = "NDCG@20"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one version: sizes of its data, its metrics (`popularity` among them)."""

    interactions: int
    items: int
    metrics: Mapping[str, Any]


def objection(candidate: Evidence, live: Evidence | None, *, is_popularity: bool) -> str:
    """Return why the candidate must not serve, "" when it may."""
    if not candidate.interactions:
        return "there are no interactions to learn from"
    if live is not None:
        for name in ("interactions", "items"):
            now, before = getattr(candidate, name), getattr(live, name)
            if now < LEAST_SHARE_OF_LIVE * before:
                return f"only {now:,} {name}, the live model had {before:,}; is an import broken?"
    quality, users = candidate.metrics.get(_QUALITY), candidate.metrics.get("users", 0)
    if quality is None or users < LEAST_USERS:
        return ""
    floor = candidate.metrics.get("popularity", {}).get(_QUALITY)
    if not is_popularity and floor is not None and quality <= floor:
        return f"{_QUALITY} {quality:.4f} does not beat popularity's {floor:.4f}"
    return _against_live(quality, live)


def _against_live(quality: float, live: Evidence | None) -> str:
    if live is None or live.metrics.get("users", 0) < LEAST_USERS:
        return ""
    before = live.metrics.get(_QUALITY)
    if before is not None and quality < LEAST_QUALITY_OF_LIVE * before:
        return f"{_QUALITY} {quality:.4f} fell from the live model's {before:.4f}"
    return ""
