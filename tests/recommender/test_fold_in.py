"""Queries of few and of many items are folded alike."""

import numpy as np
import pytest

from recommender.engine import base
from recommender.engine.popularity import Popularity


@pytest.mark.parametrize("length", [0, 1, 5, 100])
def test_fold_in__few_or_many__gives_the_same_query(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(length)
    model = Popularity(np.zeros(0, np.int32), np.zeros(0, np.float32), 50)
    rows = rng.integers(-5, 60, length)
    weights = rng.normal(size=length).astype(np.float32)
    weights[:2] = [np.nan, np.inf][:length]

    few = model.fold_in(rows, weights)
    monkeypatch.setattr(base, "_FEW", -1)
    many = model.fold_in(rows, weights)

    np.testing.assert_array_equal(few.rows, many.rows)
    np.testing.assert_array_equal(few.weights, many.weights)
    assert (few.rows.dtype, few.weights.dtype) == (many.rows.dtype, many.weights.dtype)
