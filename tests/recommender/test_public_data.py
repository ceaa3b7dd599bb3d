"""The public data sets with default settings, where they are there: every goal is reached."""

import pytest

from bench.recommenders import SETS, evaluated, figures_of, paths


@pytest.mark.deep
@pytest.mark.parametrize("name", SETS)
def test_public_data__default_settings__goals_reached(name: str) -> None:
    one = SETS[name]
    for path in paths(one):
        if not path.is_file():
            pytest.skip(f"REAL DATA MISSING: {path.name}: NOT tested on {one.title}")

    figures = figures_of(one, evaluated(one))

    missed = {key: value for key, value in figures.items() if value.holds is False}
    assert missed == {}


def test_sets__published_rows__a_figure_a_column_and_an_honest_source() -> None:
    for one in SETS.values():
        for name, values, source in one.published:
            assert len(values) == len(one.columns), name
            # read there, or quoted from memory
            assert source.endswith(("[V]", "[R]")), name
