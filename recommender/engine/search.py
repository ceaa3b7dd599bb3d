"""Settings found under a time budget: a model's most sensitive ones, on the validation part.

The budget ends the search after whichever trial is running; the settings to beat are tried first,
so that it never returns worse ones. Equal seeds and numbers of trials give equal settings.

References
----------
Bergstra et al., "Algorithms for hyper-parameter optimization", NeurIPS 2011, section 4 (the tree
of Parzen estimators), as Optuna has it (Akiba et al., KDD 2019).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recommender.engine.lazy import optuna

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial


@dataclass(frozen=True, slots=True)
class Span:
    """Values of one setting, both ends included; `log`: as many between 1 and 2 as between 2 and 4.

    Whole numbers where both ends are.
    """

    low: float
    high: float
    log: bool = False


_MATRIX = {"user_power": Span(0.0, 1.0)}
_DECAY = {"half_life_days": Span(7.0, 1_000.0, log=True)}
SPACES: Mapping[str, Mapping[str, Span]] = {
    "popularity": _DECAY,
    "buy_again": {**_DECAY, "prior": Span(1.0, 1e3, log=True), "waiting": Span(0.0, 1.0)},
    "item_knn": {
        **_MATRIX,
        **_DECAY,
        "neighbours": Span(50, 1_000, log=True),
        "k1": Span(0.5, 100.0, log=True),
        "b": Span(0.0, 1.0),
    },
    "item_knn_cosine": {**_MATRIX, **_DECAY, "neighbours": Span(50, 1_000, log=True)},
    "item_knn_asymmetric": {
        **_MATRIX,
        **_DECAY,
        "alpha": Span(0.3, 0.8),
        "shrink": Span(0.1, 100.0, log=True),
    },
    "rp3beta": {
        **_DECAY,
        "alpha": Span(0.3, 1.2),
        "beta": Span(0.0, 0.9),
        "neighbours": Span(100, 1_000, log=True),
    },
    "transitions": {
        **_DECAY,
        "decay": Span(0.3, 1.0),
        "row_power": Span(0.0, 1.0),
        "column_power": Span(0.0, 0.6),
        "query_decay": Span(0.3, 1.0),
    },
    "session_knn": {
        "neighbours": Span(50, 1_500, log=True),
        "query_decay": Span(0.4, 1.0),
        "near": Span(1.0, 20.0, log=True),
        "rare": Span(0.0, 1.5),
    },
    "user_knn": {"neighbours": Span(50, 1_500, log=True), "rare": Span(0.0, 1.5)},
    "als": {
        "factors": Span(16, 512, log=True),
        "alpha": Span(1.0, 80.0, log=True),
        "ridge": Span(1.0, 100.0, log=True),
    },
    "svd": {"factors": Span(16, 512, log=True), "popularity_power": Span(0.0, 1.0)},
    "ease": {"ridge": Span(10.0, 3_000.0, log=True)},
    "gfcf": {"factors": Span(16, 512, log=True), "alpha": Span(0.0, 1.0)},
    "hybrid": {"support": Span(1.0, 50.0, log=True)},
}

Settings = dict[str, Any]


def searched(
    space: Mapping[str, Span],
    start: Mapping[str, Any],
    value_of: Callable[[Settings], float],
    *,
    spent: Callable[[], bool],
    trials: int = 200,
    seed: int = 42,
) -> tuple[Settings, float]:
    """Return the settings of `space` with the highest value, and it.

    Parameters
    ----------
    start
        The settings to beat; those beyond the space are moved to its nearest end, those that are
        missing are drawn.
    value_of
        What settings are worth; one that raises ValueError is worth nothing.
    spent
        Whether the budget is used up; asked after each trial.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    begun = {name: _within(span, start[name]) for name, span in space.items() if name in start}
    study.enqueue_trial(begun)

    def ask(trial: "Trial") -> float:
        return value_of({name: _drawn(trial, name, span) for name, span in space.items()})

    def stop(running: "Study", _: "FrozenTrial") -> None:
        if spent():
            running.stop()

    study.optimize(ask, n_trials=trials, callbacks=[stop], catch=(ValueError,))
    return dict(study.best_params), float(study.best_value)


def _drawn(trial: "Trial", name: str, span: Span) -> float:
    if isinstance(span.low, int) and isinstance(span.high, int):
        return trial.suggest_int(name, span.low, span.high, log=span.log)
    return trial.suggest_float(name, span.low, span.high, log=span.log)


def _within(span: Span, value: float) -> float:
    moved = min(max(value, span.low), span.high)
    return int(moved) if isinstance(span.low, int) and isinstance(span.high, int) else moved
