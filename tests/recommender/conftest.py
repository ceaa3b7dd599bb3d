"""Fixtures of the recommender's tests."""

from tests.recommender.shop import shop

__all__ = ["shop"]
