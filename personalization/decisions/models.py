"""The decision log: what was decided and on what inputs."""

from django.db import models


class Decision(models.Model):
    """One logged decision: read inputs only, at most 600 bytes. Partitioned by day.

    Written in batches off the hot path (`record`); dropped after DECISION_LOG_RETENTION_DAYS. A
    kill loses at most the last second. The id is a UUID version 7, whose time is `at`, so that it
    tells its day.
    """

    # The table's key is (day, id), as partitions need; the id alone is unique, and the admin
    # takes no composite key.
    id = models.UUIDField(primary_key=True)
    day = models.DateField()
    at = models.DateTimeField()
    customer_id = models.BigIntegerField(null=True)
    config_version = models.BigIntegerField()
    # What `record.body_of` writes.
    body = models.JSONField()

    class Meta:
        managed = False
        db_table = "decisions_decision"

    def __str__(self) -> str:
        return str(self.id)
