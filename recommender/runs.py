"""What runs over the log share: their row while they work, a folder, the log laid out in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from personalization.ops import pulse
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from recommender import dataset, fitting, tuned, weighing
from recommender.dataset import Dataset
from recommender.engine.base import SideInfo
from recommender.engine.cases import FoldIn
from recommender.engine.training import Limits, Log


@contextmanager
def running(
    kind: str, slot: str, params: Mapping[str, Any], now: datetime
) -> Iterator[JobRun | None]:
    """Hold the run of a slot while the block works, and say how it ended; None: it was run."""
    run = jobs.start_run(kind=kind, slot=slot, params={**params, "as_of": now.isoformat()})
    if run is None:
        yield None
        return
    try:
        yield run
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    run.refresh_from_db(fields=["checkpoint"])
    jobs.succeed(run.pk, result={"models": list(run.checkpoint.get("models", {}).values())})


def as_of(run: JobRun, now: datetime) -> datetime:
    """Return the moment that a run began with; one resumed by newer code may not know it."""
    return datetime.fromisoformat(run.params.get("as_of", now.isoformat()))


def lay_out(run: JobRun, home: Path, until: datetime, *, sources: tuple[str, ...] = ()) -> Dataset:
    """Read the log and what is known beside it into a folder; return it."""
    with pulse.beating(run.pk) as check:
        data = dataset.read(until=until, progress=lambda _rows: check())
        write(home, data, until, sources=sources)
        return data


def limits() -> Limits:
    """Return what one fit may take."""
    return Limits(settings.TRAIN_MODEL_SECONDS, settings.TRAIN_MODEL_GB * 1e9)


def write(
    home: Path, data: Dataset, until: datetime, *, sources: tuple[str, ...], beside: bool = True
) -> None:
    """Lay out a data set for a fitting process, and what is known beside it unless told not to."""
    groups = dataset.groups_of(data) if beside else None
    side = dataset.side_of(data.keys) if beside else SideInfo()
    fold, gap_s = FoldIn(weighing.recent_decay()), weighing.visit_gap_s()
    fitting.write_log(
        home,
        Log(data.data, data.kinds, side, fold, data.met_in, gap_s),
        task=fitting.Task(until.timestamp(), limits(), sources, tuned.changes()),
        labels=(groups.labels, groups.combos, groups.places) if groups else None,
    )
