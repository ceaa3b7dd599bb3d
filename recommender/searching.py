"""The search for better settings: a run of one slot tries some of each model, the log decides.

What does better than the settings in force, by more than noise, is what later trainings use; the
gate judges what they train as always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction

from personalization.lib.errors import Problem, Unprocessable
from personalization.lib.progress import Report, silent
from personalization.ops import fitprocess
from personalization.ops import services as jobs
from personalization.ops.models import JobRun
from recommender import runs, services, trying, tuned, weighing
from recommender.engine.search import SPACES
from recommender.models import ModelVersion
from segments.learning import results

log = structlog.get_logger("recommender")

RUN_KIND = "recommender.search"
# The week's search begins on Sunday at this hour (UTC), so that the night trains what it finds and
# growing by the hour, which asks for the settings of the base, waits no longer than that.
_SUNDAY, _HOUR = 7, 21
# A search ends after one and a half times its minutes: well within its task's time and its evening.
MOST_MINUTES = 30
_MOST_BY_HAND = 24 * 60
_TRYING = "recommender.trying"


@dataclass(frozen=True, slots=True)
class Searched:
    """What became of one model: the settings adopted ({}: its own again), or None and `reason`.

    `told`: figures, see `engine.tuning.Verdict`.
    """

    model: str
    settings: Mapping[str, Any] | None
    reason: str
    told: Mapping[str, Any]
    seconds: float


def search_weekly(*, slot: str, actor: str, now: datetime) -> list[Searched] | None:
    """Search what is due for `slot`, or for this week; None: nothing to do, or not now.

    Once a week on Sunday evening, where RECOMMENDER_SEARCH_MINUTES allows any and something serves;
    not beside a training.
    """
    minutes = settings.RECOMMENDER_SEARCH_MINUTES
    if not slot:
        due = now.isoweekday() == _SUNDAY and now.hour >= _HOUR and minutes > 0
        if not due or not ModelVersion.objects.filter(status=ModelVersion.Status.LIVE).exists():
            return None
        if jobs.is_at_work(services.RUN_KIND):
            return None
    return search(slot=slot or f"weekly {now:%G-W%V}", actor=actor, now=now, minutes=minutes)


def search(
    *,
    slot: str,
    actor: str,
    now: datetime,
    minutes: float,
    models: Sequence[str] | None = None,
    report: Report = silent,
) -> list[Searched] | None:
    """Search `minutes` for better settings and adopt what is found; None when the slot was run.

    One run row a slot. A resumed run goes on after the trials in its checkpoint, as of the moment
    that it began with, for what is left of its minutes. `models`: None for those that are due at
    night; those without settings to search are left out.

    Raises
    ------
    Unprocessable
        There is no such model, none of them has settings to search, or no such minutes.
    Cancelled, FittingError
        The run is marked so.
    """
    names = _names(models)
    if not 0 < minutes <= _MOST_BY_HAND:
        msg = f"a search cannot take {minutes:g} minutes: give it more than 0, at most a day"
        raise Unprocessable(msg, details=[Problem("minutes", "must be above 0, at most a day")])
    params = {"models": names, "minutes": minutes}
    with runs.running(RUN_KIND, slot, params, now) as run:
        if run is None:
            return None
        as_of = runs.as_of(run, now)
        with fitprocess.folder() as folder:
            report("reading the log", 0, 0)
            runs.lay_out(run, folder, as_of)
            return _Search(run, folder, actor, as_of, report).work()


def has_settings(model: str) -> bool:
    """Whether a model has settings to search."""
    return model in SPACES


def _names(models: Sequence[str] | None) -> list[str]:
    if models is None:
        return [name for name in services.due_models() if name in SPACES]
    unknown = [name for name in models if name not in SPACES]
    if unknown or not models:
        what = ", ".join(unknown) or "nothing"
        msg = f"no settings to search of {what}; there are of {', '.join(SPACES)}"
        raise Unprocessable(msg, details=[Problem("models", name) for name in unknown])
    return list(dict.fromkeys(models))


class _Search:
    """One run at work. Its checkpoint holds `trials` by model, and `models` that are done."""

    def __init__(
        self, run: JobRun, folder: Path, actor: str, as_of: datetime, report: Report
    ) -> None:
        self._run, self._folder, self._actor = run, folder, actor
        self._as_of, self._report = as_of, report
        self._known: dict[str, list[dict[str, Any]]] = dict(run.checkpoint.get("trials", {}))
        self._done: dict[str, Any] = dict(run.checkpoint.get("models", {}))
        self._total_s = 60.0 * run.params["minutes"]
        self._noted = -1

    def work(self) -> list[Searched]:
        """Have a process search each model that is due; adopt what it finds."""
        names: list[str] = self._run.params["models"]
        due = [name for name in names if name not in self._done]
        spent = sum(one["seconds"] for one in self._done.values())
        jobs.advance(self._run.pk, done=int(spent), total=int(self._total_s))
        trying.write(
            self._folder,
            left_s=max(self._total_s - spent, 0.0),
            in_force=tuned.found(),
            fixed=weighing.fixed(),
            known=self._known,
        )
        with fitprocess.started(_TRYING, self._folder, due) as wait:
            for name in due:
                self._report(f"trying {name}", int(self._spent_s(())), int(self._total_s))
                self._wait(wait, name)
                self._adopt(Searched(name, **results.result(self._folder / name)))
        return [Searched(**self._done[name]) for name in names]

    def _wait(self, wait: fitprocess.Wait, name: str) -> None:
        self._noted = -1
        before = list(self._known.get(name, ()))

        def beat() -> None:
            fresh = trying.trials(self._folder, name)
            if len(fresh) == self._noted:
                jobs.advance(self._run.pk)
                return
            self._noted = len(fresh)
            self._known[name] = before + fresh
            self._advance(self._known[name])
            self._report(
                f"trying {name}: {len(self._known[name])} settings",
                int(self._spent_s(self._known[name])),
                int(self._total_s),
            )

        wait(name, beat)

    def _adopt(self, found: Searched) -> None:
        """Note what became of a model, and adopt it, both or neither."""
        self._known.pop(found.model, None)
        self._done[found.model] = asdict(found)
        with transaction.atomic():
            self._advance(())
            if found.settings is not None:
                tuned.adopt(
                    found.model,
                    dict(found.settings),
                    told=found.told,
                    run_id=self._run.pk,
                    actor=self._actor,
                    at=self._as_of,
                )
        log.info("model.searched", model=found.model, reason=found.reason, **found.told)

    def _advance(self, trials: Sequence[Mapping[str, Any]]) -> None:
        jobs.advance(
            self._run.pk,
            done=int(self._spent_s(trials)),
            checkpoint={"trials": self._known, "models": self._done},
        )

    def _spent_s(self, trials: Sequence[Mapping[str, Any]]) -> float:
        return float(sum(one["seconds"] for one in (*self._done.values(), *trials)))
