"""Registrations of the recommender app."""

from django.apps import AppConfig

from personalization.lib import background, registries


class RecommenderConfig(AppConfig):
    """The recommender app."""

    name = "recommender"
    label = "recommender"
    verbose_name = "Recommendations"

    def ready(self) -> None:
        """Publish the strategies, and have web workers follow the live models."""
        from recommender import (  # noqa: PLC0415 -- models load after the apps
            checks,
            live,
            masks,
            outcomes,
            pruning,
            ready,
            replaying,
        )
        from recommender.config import StrategiesPart  # noqa: PLC0415 -- the same

        checks.register_all()
        registries.config_parts.register("strategies", StrategiesPart())
        registries.job_tasks.register("recommender.train", "recommender.tasks.retrain")
        registries.job_tasks.register("recommender.grow", "recommender.tasks.refresh")
        registries.job_tasks.register("recommender.search", "recommender.tasks.search")
        registries.projections.register(
            "recommender", registries.Projection(outcomes.GROUP, outcomes.fold, outcomes.names)
        )
        registries.replays.register(outcomes.GROUP, replaying.replay)
        registries.personal_data.register("recommender", outcomes.OutcomesHeld())
        background.register("recommender.masks", seconds=0.5, run=masks.watch, kinds={"web"})
        background.register("recommender.watch", seconds=1, run=live.watch, kinds={"web"})
        background.register("recommender.ready", seconds=1, run=ready.watch, kinds={"web"})
        # Each node has copies of its own; beat's task reaches one node alone.
        background.register(
            "recommender.prune", seconds=24 * 3600, run=pruning.prune_node, kinds={"web"}
        )
