"""What every algorithm must do, whatever it computes. Each algorithm's test calls `check_all`."""

import functools
import io
import tracemalloc

import numpy as np
import pytest

from recommender.engine.base import NOBODY, Algorithm, Config, Interactions, Query, SideInfo

N_USERS, N_ITEMS = 60, 40
AS_OF_S = 1_700_000_000.0
# What a fit allocates whatever the data: objects, buffers of a library.
FIXED_BYTES = 200_000


def interactions(seed: int = 7, *, size: int = 900) -> Interactions:
    """Two tastes: even users meet the lower half of the items, odd ones the upper half."""
    rng = np.random.default_rng(seed)
    users = rng.integers(0, N_USERS, size)
    taste = np.where(rng.random(size) < 0.9, users % 2, 1 - users % 2)
    items = taste * (N_ITEMS // 2) + rng.integers(0, N_ITEMS // 2 - 1, size)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        rng.choice(np.array([1, 3, 5], np.float32), size),
        AS_OF_S - rng.uniform(0, 30 * 86_400, size),
        N_USERS,
        N_ITEMS,
    )


@functools.cache
def crowd() -> Interactions:
    """Many more interactions than `interactions`: what grows with them outweighs what does not."""
    n_users, n_items, size = 2_000, 500, 20_000
    rng = np.random.default_rng(3)
    return Interactions(
        rng.integers(0, n_users, size, dtype=np.int32),
        np.minimum(rng.zipf(1.3, size), n_items).astype(np.int32) - 1,
        np.ones(size, np.float32),
        AS_OF_S - rng.uniform(0, 30 * 86_400, size),
        n_users,
        n_items,
    )


def side(n_items: int = N_ITEMS, n_users: int = N_USERS) -> SideInfo:
    """Two categories and brands by taste, a text and a price each; users of two countries."""
    half = N_ITEMS // 2
    return SideInfo(
        attributes=[[f"brand={row // half}"] for row in range(n_items)],
        categories=[[f"taste/{row // half}"] for row in range(n_items)],
        texts=[f"a thing of kind {row // half} numbered {row % 7}" for row in range(n_items)],
        prices=np.arange(n_items, dtype=np.float64) + 1,
        groups=[[f"country={row % 2}"] for row in range(n_users)],
    )


def empty(n_items: int = N_ITEMS) -> Interactions:
    nothing = np.zeros(0)
    return Interactions(
        nothing.astype(np.int32),
        nothing.astype(np.int32),
        nothing.astype(np.float32),
        nothing,
        0,
        n_items,
    )


def check_all(algorithm: type[Algorithm], config: Config) -> None:
    """Run every rule of the contract."""
    for rule in RULES:
        rule(algorithm, config)


@functools.cache
def _fit(algorithm: type[Algorithm], config: Config) -> Algorithm:
    return algorithm.fit(interactions(), config, as_of_s=AS_OF_S, side=side())


def _query(model: Algorithm, *rows: int) -> Query:
    return model.fold_in(np.array(rows), np.ones(len(rows), np.float32))


def _unseen_items_are_normal_input(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    query = _query(model, -1, N_ITEMS, 10**9, 3)
    assert query.rows.tolist() == [3]
    never_met = model.recommend(_query(model, N_ITEMS - 1), 5)
    assert np.isfinite(never_met.scores).all()


def _what_is_too_old_to_weigh_anything_is_normal_input(
    algorithm: type[Algorithm], config: Config
) -> None:
    with np.errstate(divide="raise", invalid="raise"):
        model = algorithm.fit(interactions(), config, as_of_s=AS_OF_S + 1e11, side=side())
        ranked = model.recommend(_query(model, 3), 5)
    assert np.isfinite(ranked.scores).all()


def _bad_weights_drop_out(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    weights = np.array([0, -1, np.nan, np.inf, 2], np.float32)
    assert model.fold_in(np.arange(5), weights).rows.tolist() == [4]


def _duplicates_add_up(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    twice = model.fold_in(np.array([2, 5, 2]), np.array([1, 1, 2], np.float32))
    assert dict(zip(twice.rows.tolist(), twice.weights.tolist(), strict=True)) == {2: 3, 5: 1}


def _answers_are_clean(algorithm: type[Algorithm], config: Config) -> None:
    """No padding (item 0, -1), no repetition, finite positive scores, best first."""
    model = _fit(algorithm, config)
    for count in (0, 1, 7, N_ITEMS, 10 * N_ITEMS):
        for rows in ((), (1,), (1, 25, 3)):
            ranked = model.recommend(_query(model, *rows), count)
            assert len(ranked.rows) == len(ranked.scores) <= min(count, N_ITEMS)
            assert len(set(ranked.rows.tolist())) == len(ranked.rows)
            assert not len(ranked.rows) or (0 <= ranked.rows.min() <= ranked.rows.max() < N_ITEMS)
            assert np.isfinite(ranked.scores).all()
            assert (ranked.scores > 0).all()
            assert (np.diff(ranked.scores) <= 0).all()


def _own_items_stay_away_unless_asked(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    query = _query(model, 0, 1, 2)
    assert not set(model.recommend(query, N_ITEMS).rows.tolist()) & {0, 1, 2}
    assert set(model.recommend(query, N_ITEMS, own=True).rows.tolist()) & {0, 1, 2}


def _filters_do_not_shorten(algorithm: type[Algorithm], config: Config) -> None:
    """What is not allowed never comes back, and others take its place."""
    model = _fit(algorithm, config)
    query = _query(model, 1)
    whole = model.recommend(query, N_ITEMS)
    allowed = np.ones(N_ITEMS, np.bool_)
    allowed[whole.rows[:-3]] = False
    left = model.recommend(query, 3, allowed=allowed)
    assert left.rows.tolist() == whole.rows[-3:].tolist()
    assert not len(model.recommend(query, 3, allowed=np.zeros(N_ITEMS, np.bool_)).rows)


def _score_agrees_with_recommend(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    query = _query(model, 1, 4)
    ranked = model.recommend(query, 10, own=True)
    assert model.score(query).shape == (N_ITEMS,)
    np.testing.assert_allclose(model.score(query)[ranked.rows], ranked.scores, rtol=1e-4)


def _equal_input_equal_bytes(algorithm: type[Algorithm], config: Config) -> None:
    model = algorithm.fit(interactions(), config, as_of_s=AS_OF_S, side=side())
    first, second = (one.to_arrays() for one in (_fit(algorithm, config), model))
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def _order_of_rows_does_not_matter(algorithm: type[Algorithm], config: Config) -> None:
    data = interactions()
    mixed = np.random.default_rng(1).permutation(len(data))
    shuffled = Interactions(
        data.users[mixed],
        data.items[mixed],
        data.weights[mixed],
        data.at_s[mixed],
        N_USERS,
        N_ITEMS,
    )
    model, other = (
        algorithm.fit(d, config, as_of_s=AS_OF_S, side=side()) for d in (data, shuffled)
    )
    query = _query(model, 2, 30)
    np.testing.assert_allclose(model.score(query), other.score(query), rtol=1e-4, atol=1e-6)


def _arrays_bring_it_back(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **model.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = algorithm.from_arrays(dict(arrays), type(config).from_json(config.to_json()))
    query = _query(model, 1, 22)
    before, after = (m.recommend(query, 12) for m in (model, again))
    assert before.rows.tolist() == after.rows.tolist()
    # implicit's own files bring the number of neighbours back as an array without a dimension
    assert all(array.ndim for array in model.to_arrays().values())


def _broken_arrays_are_refused(algorithm: type[Algorithm], config: Config) -> None:
    arrays = _fit(algorithm, config).to_arrays()
    longest = max(arrays, key=lambda name: len(arrays[name]))
    with pytest.raises(ValueError, match="fit together"):
        algorithm.from_arrays(arrays | {longest: arrays[longest][:-1]}, config)
    rows = next((name for name in arrays if name in {"indices", "order"}), None)
    if rows is None:
        return
    with pytest.raises(ValueError, match="fit together"):
        algorithm.from_arrays(arrays | {rows: arrays[rows] + 10_000}, config)


def _little_data_answers_sensibly(algorithm: type[Algorithm], config: Config) -> None:
    one = np.zeros(1)
    single = Interactions(
        one.astype(np.int32), one.astype(np.int32), one.astype(np.float32) + 1, one, 1, 1
    )
    for data in (empty(), empty(0), single):
        model = algorithm.fit(data, config, as_of_s=0.0)
        again = algorithm.from_arrays(model.to_arrays(), config)
        assert not len(again.recommend(_query(again, 0), 5).rows)


def _all_alike_histories_answer(algorithm: type[Algorithm], config: Config) -> None:
    users, items = (
        grid.ravel().astype(np.int32) for grid in np.meshgrid(np.arange(9), np.arange(6))
    )
    same = Interactions(users, items, np.ones(54, np.float32), items.astype(np.float64) - 6, 9, 6)
    model = algorithm.fit(same, config, as_of_s=0.0, side=side(6, 9))
    ranked = model.recommend(_query(model, 0), 3, own=algorithm.own_only)
    assert len(ranked.rows) == (1 if algorithm.own_only else 3)


def _nobody_is_a_query(algorithm: type[Algorithm], config: Config) -> None:
    """Trap of factor models: a visitor of whom nothing is known gets items 4, 3, 2, 1, 0."""
    model = _fit(algorithm, config)
    ranked = model.recommend(NOBODY, 5)
    assert (ranked.scores > 0).all()
    np.testing.assert_allclose(model.score(NOBODY)[ranked.rows], ranked.scores, rtol=1e-4)
    np.testing.assert_array_equal(model.reasons(NOBODY, ranked.rows), -1)


def _a_thousand_items_are_a_query(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    rows = np.random.default_rng(5).integers(0, N_ITEMS, 1000)
    query = model.fold_in(rows, np.ones(1000, np.float32))
    assert len(query.newest) == 1000
    assert not len(model.recommend(query, 5).rows)
    ranked = model.recommend(query, 5, own=True)
    assert len(ranked.rows) == 5
    assert set(model.reasons(query, ranked.rows).tolist()) <= {-1, *query.rows.tolist()}


def _many_are_scored_as_one(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    queries = [_query(model, *rows) for rows in ((1, 4, 22), (), (7,), (30, 31))]
    single = np.stack([model.score(query) for query in queries])
    many = model.score_many(queries)
    assert many.dtype == np.float32
    np.testing.assert_allclose(many, single, rtol=1e-4, atol=1e-6)
    assert model.score_many([]).shape == (0, N_ITEMS)


def _reasons_are_own_items(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    query = _query(model, 1, 4)
    ranked = model.recommend(query, 8, own=algorithm.own_only)
    causes = model.reasons(query, ranked.rows)
    assert len(causes) == len(ranked.rows)
    assert set(causes.tolist()) <= {-1, 1, 4}


def _order_and_ages_are_kept(algorithm: type[Algorithm], config: Config) -> None:
    model = _fit(algorithm, config)
    ages = np.array([0.5, 1, 2, 3], np.float32)
    query = model.fold_in(np.array([9, -1, 3, 9]), np.ones(4), ages, group=1)
    assert query.newest.tolist() == [9, 3, 9]
    assert query.ages_days.tolist() == [0.5, 2, 3]
    assert np.isfinite(model.score(query)).all()
    assert len(model.recommend(query, 3, own=True).rows)


def _cost_grows(algorithm: type[Algorithm], config: Config) -> None:
    small, large = (algorithm.cost(n, n, 20 * n, config) for n in (1_000, 1_000_000))
    assert 0 <= small.seconds <= large.seconds
    assert 0 <= small.bytes <= large.bytes


def _memory_stays_within_the_estimate(algorithm: type[Algorithm], config: Config) -> None:
    """Of what Python and NumPy allocate; arrays inside implicit's C++ are not seen."""
    _fit(algorithm, config)  # whatever is imported or cached at the first time
    data = crowd()
    known = side(data.n_items, data.n_users)
    tracemalloc.start()
    try:
        algorithm.fit(data, config, as_of_s=AS_OF_S, side=known)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimate = algorithm.cost(data.n_users, data.n_items, len(data), config).bytes
    assert peak <= estimate + FIXED_BYTES, f"{peak / 1e6:.2f} MB of {estimate / 1e6:.2f}"


def _without_side_information_it_fits(algorithm: type[Algorithm], config: Config) -> None:
    model = algorithm.fit(interactions(), config, as_of_s=AS_OF_S)
    assert np.isfinite(model.score(_query(model, 1))).all()


RULES = (
    _nobody_is_a_query,
    _a_thousand_items_are_a_query,
    _many_are_scored_as_one,
    _reasons_are_own_items,
    _order_and_ages_are_kept,
    _cost_grows,
    _memory_stays_within_the_estimate,
    _without_side_information_it_fits,
    _what_is_too_old_to_weigh_anything_is_normal_input,
    _unseen_items_are_normal_input,
    _bad_weights_drop_out,
    _duplicates_add_up,
    _answers_are_clean,
    _own_items_stay_away_unless_asked,
    _filters_do_not_shorten,
    _score_agrees_with_recommend,
    _equal_input_equal_bytes,
    _order_of_rows_does_not_matter,
    _arrays_bring_it_back,
    _broken_arrays_are_refused,
    _little_data_answers_sensibly,
    _all_alike_histories_answer,
)
