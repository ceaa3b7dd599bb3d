"""Registrations of the segments app."""

from django.apps import AppConfig

from personalization.lib import background, registries


class SegmentsConfig(AppConfig):
    """The segments app."""

    name = "segments"
    label = "segments"
    verbose_name = "Segments"

    def ready(self) -> None:
        """Publish the live rules, fold them, keep their timers, show them with the customer."""
        from segments import lists, panels, personal, serve  # noqa: PLC0415 -- models
        from segments.config import SegmentsPart  # noqa: PLC0415 -- the same
        from segments.learning import fits, lookalikes  # noqa: PLC0415 -- the same
        from segments.live import projection, timers  # noqa: PLC0415 -- the same

        registries.config_parts.register(serve.PART, SegmentsPart())
        registries.projections.register(
            "segments", registries.Projection("profile", projection.fold)
        )
        registries.document_parts.register(serve.PART, serve.document_part)
        registries.job_tasks.register("segments.backfill", "segments.tasks.backfill")
        registries.job_tasks.register("segments.learn", "segments.learning.tasks.learn")
        registries.job_tasks.register("segments.score", "segments.learning.tasks.score")
        registries.job_tasks.register(lookalikes.RUN_KIND, "segments.learning.tasks.lookalike")
        registries.job_tasks.register(fits.RUN_KIND, "segments.learning.tasks.fit")
        background.register("segments.timers", seconds=0.5, run=timers.run, kinds={"processor"})
        registries.job_tasks.register(lists.RUN_KIND, "segments.tasks.work_on_list")
        registries.merge_hooks.register("segments", lists.follow)
        registries.personal_data.register("segments", personal.SegmentsHeld())
        registries.customer_details.register("segments", panels.customer_detail)
        registries.customer_panels.register(
            "segments",
            registries.Panel(
                "Segments", "studio/segments/why.html", panels.customer_segments, order=12
            ),
        )
