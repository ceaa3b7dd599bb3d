"""Training: a run of one slot reads the log once, fits each model, the gate decides."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from django.conf import settings

from personalization.catalog.services import count_unknown_items
from personalization.events import extraction
from personalization.lib.errors import AppError, Problem, Unprocessable
from personalization.ops import pulse
from personalization.ops import services as jobs
from personalization.ops.errors import Cancelled
from personalization.ops.models import JobRun
from recommender import dataset, fitting, registry
from recommender.dataset import Dataset
from recommender.engine.algorithms import RECIPES, SERVED
from recommender.models import ModelVersion

log = structlog.get_logger("recommender")

RUN_KIND = "recommender.train"
# How often a fitting process is asked after: heartbeat, and the longest that a cancel waits.
_POLL_S = 0.5
Report = Callable[[str, int, int], None]


class FittingError(AppError):
    """The fitting process ended without a result."""

    code = "fitting_failed"


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of one model: `status` live or rejected, `reason` why."""

    model: str
    number: int
    status: str
    reason: str
    metrics: Mapping[str, Any]


def slot_at(now: datetime) -> str:
    """Return the slot that is due: one a night; one an hour while nothing serves yet."""
    if ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).exists():
        return f"nightly {now:%Y-%m-%d}"
    return f"first {now:%Y-%m-%d %H}h"


def retrain(*, slot: str, actor: str, now: datetime) -> list[Trained] | None:
    """Train all models for `slot`, or for the one that is due; None when there is nothing to do.

    A shop whose log is empty starts no run, so that its first events find the slot free.
    """
    if not slot and not extraction.any_touch(kinds=dataset.KINDS, until=now):
        return None
    return train(slot=slot or slot_at(now), actor=actor, now=now)


def train(
    *,
    slot: str,
    actor: str,
    now: datetime,
    models: Sequence[str] = SERVED,
    report: Report = lambda _stage, _done, _total: None,
) -> list[Trained] | None:
    """Train models from the log and promote those that pass; None when the slot was run before.

    One run row a slot, so two beats train once. A resumed run goes on after the models that its
    checkpoint lists. Cancelling ends the fitting process within half a second. What serves is
    replaced by a verified better one or not at all.

    Raises
    ------
    Unprocessable
        There is no such model.
    Cancelled, FittingError
        The run is marked so.
    """
    unknown = [name for name in models if name not in RECIPES]
    if unknown:
        known = ", ".join(RECIPES)
        msg = f"no model is called {unknown[0]!r}; there are {known}"
        raise Unprocessable(msg, details=[Problem("models", name) for name in unknown])
    run = jobs.start_run(kind=RUN_KIND, slot=slot, params={"models": list(models)})
    if run is None:
        return None
    try:
        trained = _train(run, models, actor=actor, now=now, report=report)
    except Cancelled:
        raise
    except Exception as error:
        jobs.fail(run.pk, error=f"{type(error).__name__}: {error}")
        raise
    jobs.succeed(run.pk, result={"models": [asdict(one) for one in trained]})
    return trained


def _train(
    run: JobRun, models: Sequence[str], *, actor: str, now: datetime, report: Report
) -> list[Trained]:
    done: dict[str, Any] = dict(run.checkpoint.get("models", {}))
    total = len(models) + 1
    report("reading the log", 0, total)
    jobs.advance(run.pk, done=len(done), total=total)
    with pulse.beating(run.pk) as check:
        data = dataset.read(until=now, progress=lambda _rows: check())
        count_unknown_items(
            extraction.unknown_items(kinds=dataset.KINDS, until=now) if data.unknown else {}
        )
    for place, name in enumerate(models, 1):
        report(f"fitting {name}", place, total)
        if name in done:
            continue
        trained = _train_one(run, name, data, actor=actor, now=now)
        done[name] = asdict(trained)
        jobs.advance(run.pk, done=place + 1, checkpoint={"models": done})
        log.info("model.trained", model=name, number=trained.number, status=trained.status)
    report("done", total, total)
    return [Trained(**done[name]) for name in models]


def _train_one(run: JobRun, name: str, data: Dataset, *, actor: str, now: datetime) -> Trained:
    part = data.of(name)
    Path(settings.LOCAL_DIR).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fit-", dir=settings.LOCAL_DIR) as made:
        folder = Path(made)
        fitting.write_task(folder, name, part, as_of_s=now.timestamp())
        _fit(run, folder)
        arrays, metrics = fitting.read_result(folder)
    facts = {
        "interactions": len(part),
        "users": int(np.unique(part.users).size),
        "items": int(np.unique(part.items).size),
        "from_s": float(part.at_s.min()) if len(part) else None,
        "until_s": now.timestamp(),
    }
    version = registry.register(
        name=name,
        arrays=arrays,
        item_keys=data.keys,
        facts=facts,
        metrics=metrics,
        run_id=run.pk,
        now=now,
    )
    version = registry.gate(version, actor=actor, now=now)
    return Trained(name, version.number, version.status, version.reason, metrics)


def _fit(run: JobRun, folder: Path) -> None:
    """Run the fitting process; the run row hears that it lives, a cancel ends it."""
    command = [sys.executable, "-m", "recommender.fitting", str(folder)]
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=settings.BASE_DIR, stdout=subprocess.DEVNULL, stderr=stderr
        )
        try:
            while True:
                try:
                    code = process.wait(_POLL_S)
                    break
                except subprocess.TimeoutExpired:
                    jobs.advance(run.pk)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if code:
        tail = (folder / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
        msg = f"the fitting process ended with {code}: {''.join(tail)}"
        raise FittingError(msg)
