"""Fixtures of the tests of learning."""

from tests.recommender.shop import shop

__all__ = ["shop"]
