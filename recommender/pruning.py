"""Which model files are kept: those that serve, and enough of the past to go back to."""

from datetime import datetime, timedelta

import structlog

from personalization.lib import artifacts
from personalization.ops import fitprocess
from recommender import registry
from recommender.models import ModelVersion
from segments.learning import registry as learned

log = structlog.get_logger("recommender")

# Versions of each algorithm and state whose files stay beside the live one: ten nights to go back,
# and of those grown by the hour the last few.
KEPT = 10
KEPT_GROWN = 3
# Files are written before their row; those of a training in progress are younger than this.
_GRACE = timedelta(days=1)


def prune_storage(*, now: datetime) -> int:
    """Delete stored files of versions beyond the newest KEPT, and of none; return how many models.

    Rows stay as history; promoting one whose files are gone is refused. Idempotent.
    """
    gone = artifacts.drop(kept(), before=now - _GRACE)
    if gone:
        log.info("model.files_dropped", models=gone)
    return gone


def prune_node() -> int:
    """Delete this node's copies of models whose files are not kept; return how many.

    So are the folders of fits that were killed.
    """
    fitprocess.drop_left()
    return artifacts.prune_cache(kept())


def kept() -> set[str]:
    """Return the hashes of files that may serve: live ones, and the newest of other states.

    Models of segments lie in the same storage and say for themselves what they need.
    """
    names = learned.kept()
    rows = ModelVersion.objects.order_by("-number").values_list(
        "algorithm", "status", "manifest__facts__mode", "manifest_sha256"
    )
    counted: dict[tuple[str, str, str | None], int] = {}
    for *kind, sha256 in rows:
        algorithm, status, mode = kind
        key = (algorithm, status, mode)
        place = counted[key] = counted.get(key, 0) + 1
        most = KEPT_GROWN if mode == registry.GROWN else KEPT
        if status == ModelVersion.Status.LIVE or place <= most:
            names.add(sha256)
    return names
