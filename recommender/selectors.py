"""Reads of strategies as the tables have them, for those who are about to write."""

from recommender.models import Strategy


def strategy_keys() -> frozenset[str]:
    """Return the keys of all strategies, inactive ones included."""
    return frozenset(Strategy.objects.values_list("key", flat=True))
