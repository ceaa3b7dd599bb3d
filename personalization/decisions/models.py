"""The decision log: what was decided and on what inputs."""

from django.db import models


class Decision(models.Model):
    """One logged decision: read inputs only, at most 600 bytes, for explain by replay. Partitioned by day.

    Written in batches off the hot path; dropped after DECISION_LOG_RETENTION_DAYS. A kill loses at most the last second.
    """

    pk = models.CompositePrimaryKey("day", "id")
    day = models.DateField()
    id = models.UUIDField()
    at = models.DateTimeField()
    customer_id = models.BigIntegerField(null=True)
    config_version = models.BigIntegerField()
    # {"placements": {key: {...}}, "recent": [...], "models": {...}, "degraded": [...]}
    body = models.JSONField()

    class Meta:
        managed = False
        db_table = "decisions_decision"

    def __str__(self) -> str:
        return str(self.id)
