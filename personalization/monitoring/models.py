"""What every process counted, by the minute."""

from django.db import models


class MinuteStat(models.Model):
    """One count of one minute, summed over all processes; a gauge keeps its last value.

    Written every few seconds by web workers and processors (`services.flush`), dropped after
    MINUTE_STATS_RETENTION_DAYS. No label and no id in it: names are few, the table stays small.
    """

    minute = models.DateTimeField()
    name = models.CharField(max_length=80)
    value = models.FloatField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            # the upsert of flush; also the range read of the overview
            models.UniqueConstraint(fields=["minute", "name"], name="monitoring_minutestat_uniq"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.minute:%Y-%m-%d %H:%M}"
