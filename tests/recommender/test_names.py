"""Every model has a name that people understand."""

import pytest

from recommender import names
from recommender.engine.algorithms import RECIPES


@pytest.mark.parametrize("algorithm", sorted(RECIPES))
def test_named__every_model__in_words_beside_its_key(algorithm: str) -> None:
    told = names.named(algorithm)

    assert told.endswith(f" ({algorithm})")
    assert "_" not in told.removesuffix(f"({algorithm})")


def test_named__two_models__told_apart() -> None:
    assert len({names.plain(algorithm) for algorithm in RECIPES}) == len(RECIPES)


@pytest.mark.parametrize(
    ("source", "told"), [("pin", "Pinned by hand"), ("blend_home", "Learned mix of models: home")]
)
def test_named__no_model__its_name_alone(source: str, told: str) -> None:
    assert names.named(source) == told
