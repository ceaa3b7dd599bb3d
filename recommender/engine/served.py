"""What pages get of a model that searches part of its items, beside what ranking all would give.

Figures of a version rank the whole catalogue; a large factor model does not (`engine.factors`).
"""

from typing import Any

import numpy as np

from recommender.engine.base import Algorithm, Config
from recommender.engine.cases import Cases, FoldIn
from recommender.engine.factors import Factors
from recommender.engine.lists import Lists
from recommender.engine.measures import AIM, COUNT, each

# The share that is found varies by a tenth a question at most: a standard error below .005.
MOST = 500
KEPT = f"kept@{COUNT}"
_SEED = 42


def as_served(
    model: Algorithm, config: Config, cases: Cases, fold: FoldIn, full: Lists
) -> dict[str, Any] | None:
    """Return what the model as it is stored finds, None where it ranks all of its items.

    `cases`: whose truths their history does not hold. `full`: the best of each by a ranking of all,
    without that history. `kept@20`: the share of these that is found, None where there are none;
    NDCG@20 of either; how many `questions` were asked.
    """
    if not isinstance(model, Factors):
        return None
    stored = type(model).from_arrays(model.to_arrays(), config)
    if not stored.searches:
        return None
    places = np.arange(len(cases))
    if len(places) > MOST:
        places = np.sort(np.random.default_rng(_SEED).choice(places, MOST, replace=False))
    cases, full = cases.take(places), full.take(places).head(COUNT)
    found = Lists(np.full_like(full.rows, -1), np.zeros_like(full.scores))
    kept = np.full(len(cases), np.nan)
    for place, query in enumerate(cases.queries(fold)):
        top = stored.recommend(query, full.rows.shape[1])
        found.rows[place, : len(top.rows)], found.scores[place, : len(top.rows)] = top
        best = full.rows[place][full.rows[place] >= 0]
        if len(best):
            kept[place] = np.isin(best, top.rows).mean()
    return {
        KEPT: None if np.isnan(kept).all() else round(float(np.nanmean(kept)), 6),
        AIM: _mean(found, cases),
        f"{AIM} in full": _mean(full, cases),
        "questions": len(cases),
    }


def _mean(lists: Lists, cases: Cases) -> float | None:
    values = each(lists, cases)[AIM]
    return None if np.isnan(values).all() else round(float(np.nanmean(values)), 6)
