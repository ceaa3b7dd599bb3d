"""The strategies' share of the published configuration."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from personalization.lib.errors import Unprocessable
from recommender.engine.strategies import StrategySpec, problems, spec_of
from recommender.models import Strategy
from recommender.productrules import rule_faults
from recommender.selectors import SETTINGS, strategy_rows

_ABSENT: Mapping[str, Any] = {"use": "home", "sources": [], "weights": "", "rules": {}}


class StrategiesPart:
    """Config part "strategies": all of them, by key."""

    def export(self) -> list[dict[str, Any]]:
        """Return the table as plain data."""
        return strategy_rows()

    def validate(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Raise naming every strategy that could not serve."""
        found = problems(data, rule_faults)
        if found:
            msg = "these strategies cannot serve"
            raise Unprocessable(msg, details=found)

    def restore(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Make the strategies what they were; those made since are deleted."""
        for row in data:
            # a version of before strategies had rules says nothing of them
            given = {**_ABSENT, **row}
            values = {name: given[name] for name in SETTINGS}
            made = {**values, "title": row["key"]}
            Strategy.objects.update_or_create(key=row["key"], defaults=values, create_defaults=made)
        Strategy.objects.exclude(key__in=[row["key"] for row in data]).delete()

    def load(self, data: Sequence[Mapping[str, Any]]) -> Mapping[str, StrategySpec]:
        """Return the strategies by key, read-only."""
        return MappingProxyType({row["key"]: spec_of(row) for row in data})
