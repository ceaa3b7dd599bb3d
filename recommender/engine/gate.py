"""Whether a candidate may serve: against its data, popularity, and the live model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Half the data gone is a broken import, not a quiet week.
LEAST_SHARE_OF_LIVE = 0.5
# Below it NDCG of two models differs by chance alone (standard error about .05).
LEAST_USERS = 30
# Weeks differ; a fall beyond this is a fault. Both were measured on their own last days.
LEAST_QUALITY_OF_LIVE = 0.7
# One product with more than half of all interest is a tag that fires everywhere; a shop of few
# products may be so.
MOST_TOP_SHARE = 0.5
LEAST_ITEMS_FOR_SHARE = 20
_QUALITY = "NDCG@20"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one version: sizes of its data, its metrics (`popularity` among them).

    `newest_s`: time of the newest interaction, `top_share`: share of the weight that its loudest
    item has, `settings`: all that decides what the same data gives; None where a version of old
    does not say.
    """

    interactions: int
    items: int
    metrics: Mapping[str, Any] = field(default_factory=dict)
    newest_s: float | None = None
    top_share: float | None = None
    settings: Mapping[str, Any] | None = None


def objection(candidate: Evidence, live: Evidence | None, *, is_popularity: bool) -> str:
    """Return why the candidate must not serve, "" when it may."""
    if not candidate.interactions:
        return "there are no interactions to learn from"
    strange = _strange(candidate) or (_shrunk_or_stale(candidate, live) if live else "")
    if strange:
        return strange
    found = _as_shown(candidate.metrics)
    quality, users = found.get(_QUALITY), found.get("users", 0)
    if quality is None or users < LEAST_USERS:
        return ""
    floor = found.get("popularity", {}).get(_QUALITY)
    if not is_popularity and floor is not None and quality <= floor:
        return f"{_QUALITY} {quality:.4f} does not beat popularity's {floor:.4f}"
    return _against_live(candidate.metrics, live.metrics) if live else ""


def _as_shown(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metrics of what pages show: new items alone, where enough customers met any.

    A model whose very answer is what the visitor has met has none of those.
    """
    new: Mapping[str, Any] = metrics.get("discovery") or {}
    served = "popularity" in new and new.get("users", 0) >= LEAST_USERS
    return new if served else metrics


def grown_objection(candidate: Evidence, live: Evidence | None) -> str:
    """Return why a model grown by the newest events must not serve; its base was gated before."""
    if not candidate.interactions:
        return "there are no interactions to learn from"
    return _stale(candidate, live) if live else ""


def _strange(candidate: Evidence) -> str:
    share = candidate.top_share
    if share is None or candidate.items < LEAST_ITEMS_FOR_SHARE or share <= MOST_TOP_SHARE:
        return ""
    return f"one product has {share:.0%} of all interest; does a tag send it on every page?"


def _shrunk_or_stale(candidate: Evidence, live: Evidence) -> str:
    for name in ("interactions", "items"):
        now, before = getattr(candidate, name), getattr(live, name)
        if now < LEAST_SHARE_OF_LIVE * before:
            return f"only {now:,} {name}, the live model had {before:,}; is an import broken?"
    return _stale(candidate, live)


def _stale(candidate: Evidence, live: Evidence) -> str:
    if candidate.newest_s is None or live.newest_s is None:
        return ""
    same = candidate.settings == live.settings and candidate.interactions == live.interactions
    if same and candidate.newest_s <= live.newest_s:
        return "nothing new happened since the live model was trained; do events arrive?"
    return ""


def _against_live(candidate: Mapping[str, Any], live: Mapping[str, Any]) -> str:
    now, before = _as_shown(candidate), _as_shown(live)
    if (now is candidate) != (before is live):  # one of them has no such figures
        now, before = candidate, live
    if before.get("users", 0) < LEAST_USERS:
        return ""
    quality, was = now.get(_QUALITY), before.get(_QUALITY)
    if quality is not None and was is not None and quality < LEAST_QUALITY_OF_LIVE * was:
        return f"{_QUALITY} {quality:.4f} fell from the live model's {was:.4f}"
    return ""
