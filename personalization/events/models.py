"""The event log, its schema, what was rejected, and how far each projection has read.

The log (`events_event`) and the daily counts are made by raw SQL in the first migration: Django
cannot declare partitions, nor a `xid8` default. `Event` maps it for reads; ingestion writes it
with one INSERT a batch.
"""

from django.db import models


class Event(models.Model):
    """One accepted event, never changed. Dropped with its partition after EVENT_RETENTION_DAYS.

    Primary key (day, trust, message_id), so that a retry is one row for the whole retention; `day`
    comes from
    the message's own clock alone (docs/architecture.md). Readers order by (epoch, xid,
    seq) and stop below the oldest open transaction; that, not `seq`, is the order in which rows
    become visible.
    """

    class Trust(models.IntegerChoices):
        """Which kind of key brought it, so that a browser cannot claim a server's message ids."""

        PUBLIC = 1, "public key"
        SECRET = 2, "secret key"

    pk = models.CompositePrimaryKey("day", "trust", "message_id")
    day = models.DateField()
    trust = models.PositiveSmallIntegerField(choices=Trust.choices)
    message_id = models.CharField(max_length=100)
    epoch = models.IntegerField()
    xid = models.BigIntegerField()  # xid8 in the database
    seq = models.BigIntegerField()
    shard = models.SmallIntegerField()
    # No foreign keys: a log that checks them on every insert is half as fast; identities are never
    # deleted singly.
    identity_id = models.BigIntegerField(null=True)
    # The anonymous id that came along with a proven user id.
    device_id = models.CharField(max_length=255, null=True)  # noqa: DJ001 -- NULL means none was sent
    type = models.CharField(max_length=10)
    name = models.CharField(max_length=200)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    # Consent bitmask in force at acceptance.
    purposes = models.SmallIntegerField()
    # Bits: 1 bot, 2 outlier, 4 minimised, 8 claimed user id without proof, 16 imported,
    # 32 undeduplicable.
    flags = models.SmallIntegerField()
    properties = models.JSONField()
    traits = models.JSONField(null=True)
    # What engine/stored.py keeps of the call's context, place and device.
    context = models.JSONField()

    class Meta:
        managed = False
        db_table = "events_event"

    def __str__(self) -> str:
        return f"{self.name} {self.message_id}"


class LoggedEvent(models.Model):
    """The same rows by their place in the log: the admin cannot take a composite key."""

    seq = models.BigIntegerField(primary_key=True)
    received_at = models.DateTimeField()
    occurred_at = models.DateTimeField()
    name = models.CharField(max_length=200)
    type = models.CharField(max_length=10)
    message_id = models.CharField(max_length=100)
    trust = models.PositiveSmallIntegerField(choices=Event.Trust.choices)
    identity_id = models.BigIntegerField(null=True)
    purposes = models.SmallIntegerField()
    flags = models.SmallIntegerField()
    properties = models.JSONField()
    traits = models.JSONField(null=True)
    context = models.JSONField()

    class Meta:
        managed = False
        db_table = "events_event"
        verbose_name = "event"

    def __str__(self) -> str:
        return f"{self.name} {self.message_id}"


class EventSchema(models.Model):
    """One event type that the shop knows: the typed properties that it may carry."""

    name = models.CharField(max_length=200, unique=True)
    title = models.CharField(max_length=200, blank=True, default="")
    # {"product_id": {"type": "string", "required": true}, "price": {"type": "number"}, ...}
    properties = models.JSONField(default=dict, blank=True)
    built_in = models.BooleanField(default=False)
    # What the folds understand it as: view, add, remove, order, refund, wishlist, review, search,
    # dwell or nothing.
    fact = models.CharField(max_length=20, blank=True, default="")

    class Meta:
        verbose_name = "event type"

    def __str__(self) -> str:
        return self.name


class RejectedEvent(models.Model):
    """One event that could not be accepted, and why. Replay re-ingests it after a schema fix."""

    received_at = models.DateTimeField(db_index=True)
    trust = models.PositiveSmallIntegerField()
    message_id = models.CharField(max_length=100, blank=True, default="")
    name = models.CharField(max_length=200, blank=True, default="")
    # Text, not jsonb: what was rejected need not be JSON that PostgreSQL can hold.
    body = models.TextField()
    # What the call knew besides the body (its kind, whether the user id was proven, where it came
    # from); replay needs it.
    envelope = models.JSONField(default=dict)
    # A list of objects with path and problem.
    problems = models.JSONField()
    # SHA-256 of the body: the same rejected event resent is counted, not stored again.
    digest = models.CharField(max_length=64)
    count = models.IntegerField(default=1)
    replayed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest", "trust"], name="events_rejected_digest_uniq")
        ]
        db_table = "events_rejected"

    def __str__(self) -> str:
        return f"{self.name or 'event'} {self.message_id}"


class Fate(models.Model):
    """One event that left no row in the log, for the live debugger. Kept for minutes.

    No id of a visitor: of a withheld event there is only the name.
    """

    class Kind(models.TextChoices):
        """What became of it."""

        DUPLICATE = "duplicate", "Duplicate"
        WITHHELD = "withheld", "Withheld"

    at = models.DateTimeField(db_index=True)
    fate = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=200)
    message_id = models.CharField(max_length=100, blank=True, default="")
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        db_table = "events_fate"

    def __str__(self) -> str:
        return f"{self.name} {self.fate}"


class Watermark(models.Model):
    """How far one projection group has read one shard. Moves with the effects, atomically."""

    group = models.CharField(max_length=20)
    shard = models.SmallIntegerField()
    epoch = models.IntegerField(default=0)
    xid = models.BigIntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    # Lease of the processor that works on the shard.
    leased_by = models.CharField(max_length=80, blank=True, default="")
    leased_until = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "shard"], name="events_watermark_shard_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.group}/{self.shard}"


class LogEpoch(models.Model):
    """One row: the cluster that the log lives in. A restore elsewhere raises the epoch."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    epoch = models.IntegerField(default=1)
    system_identifier = models.CharField(max_length=32)

    def __str__(self) -> str:
        return f"epoch {self.epoch}"
