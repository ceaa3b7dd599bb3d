"""Jobs with progress, and published configuration snapshots."""

from django.db import models


class JobRun(models.Model):
    """One run of one long piece of work: who asked, how far it is, how it ended.

    Written by `ops.services`; the row outlives the process, so that work can be cancelled and
    resumed.
    """

    class Status(models.TextChoices):
        """Where a run stands."""

        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        SUCCEEDED = "succeeded", "Succeeded"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    kind = models.CharField("work", max_length=60)
    # Scheduled work: the time slot it is for; unique, so that two beats start it once.
    slot = models.CharField("run", max_length=60)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.PENDING)
    params = models.JSONField(default=dict)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    # Where to go on after a kill; its shape is the job's own.
    checkpoint = models.JSONField(default=dict)
    result = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")
    cancel_requested = models.BooleanField(default=False)
    # How often it began since it was made or resumed by somebody.
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField("started", null=True)
    heartbeat_at = models.DateTimeField("last sign of life", null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # two beats, or a task delivered twice, must start one run
            models.UniqueConstraint(fields=["kind", "slot"], name="ops_jobrun_kind_slot_uniq"),
        ]
        indexes = [models.Index(fields=["-created_at"], name="ops_jobrun_created_idx")]

    def __str__(self) -> str:
        return f"{self.kind} {self.slot} ({self.status})"


class ConfigVersion(models.Model):
    """One published configuration: canonical JSON bytes and their hash, never changed.

    `body` is text, not jsonb: rollback publishes the same bytes, and jsonb would reorder them.
    Versions are gapless because publishing takes an advisory lock; a sequence would show holes.
    """

    version = models.BigIntegerField(primary_key=True)
    sha256 = models.CharField("fingerprint", max_length=64)
    body = models.TextField("content")
    note = models.CharField("what changed", max_length=200, blank=True, default="")
    actor = models.CharField("by", max_length=150)
    created_at = models.DateTimeField("published")

    class Meta:
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"config {self.version}"


class Heartbeat(models.Model):
    """The last sign of life of one process (web, processor, worker, beat).

    Written by the process itself; read by doctor and the index page.
    """

    name = models.CharField(max_length=80, primary_key=True)
    kind = models.CharField(max_length=20)
    at = models.DateTimeField("last sign of life")
    facts = models.JSONField(default=dict)

    class Meta:
        verbose_name, verbose_name_plural = "running process", "running processes"

    def __str__(self) -> str:
        return self.name
