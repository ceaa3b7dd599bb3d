"""Segments, their versions, who is a member, and what the processor remembers to know it."""

from django.db import models


class Segment(models.Model):
    """One named group of customers, decided by a rule or kept as a list.

    The rule itself is in versions; `published` is the one that decides. Never deleted while another
    rule, campaign or flag names it.
    """

    class Kind(models.TextChoices):
        """What makes somebody a member."""

        RULE = "rule", "Rule"
        LIST = "list", "List"

    key = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True, default="")
    kind = models.CharField(max_length=4, choices=Kind.choices, default=Kind.RULE)
    # Shipped with the server; may be edited like any other.
    built_in = models.BooleanField(default=False)
    published = models.OneToOneField(
        "SegmentVersion", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["title"]

    def __str__(self) -> str:
        return self.title


class SegmentVersion(models.Model):
    """One state of a segment's rule. A draft may change; everything later is frozen.

    A version is decided live from *shadow* on: its members are kept beside those of the version in
    force, so that both can be compared, and taking over is one pointer. The one that was in force
    before stays so as *standby*, which makes rolling back as quick.
    """

    class Status(models.TextChoices):
        """Where a version stands."""

        DRAFT = "draft", "Draft"
        SHADOW = "shadow", "Shadow"
        PUBLISHED = "published", "Published"
        STANDBY = "standby", "Standby"
        RETIRED = "retired", "Retired"

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    # Canonical JSON of the rule language.
    rule = models.JSONField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.DRAFT)
    # Order in which versions went live: states older than it have yet to take it in.
    generation = models.BigIntegerField(null=True)
    # When all customers had been decided by it; null while the backfill runs.
    ready_at = models.DateTimeField(null=True)
    # Take over as soon as the backfill is done.
    publish_when_ready = models.BooleanField(default=False)
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=150)
    published_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "number"], name="segments_version_number_uniq"
            ),
            # one rule decides
            models.UniqueConstraint(
                fields=["segment"],
                condition=models.Q(status="published"),
                name="segments_version_published_uniq",
            ),
            # one draft is worked on, one version stands by
            models.UniqueConstraint(
                fields=["segment"],
                condition=models.Q(status="draft"),
                name="segments_version_draft_uniq",
            ),
            models.UniqueConstraint(
                fields=["segment"],
                condition=models.Q(status="standby"),
                name="segments_version_standby_uniq",
            ),
            # what is live has its place in the order
            models.CheckConstraint(
                condition=models.Q(status__in=("draft", "retired"))
                | models.Q(generation__isnull=False),
                name="segments_version_generation_ck",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.segment_id} v{self.number}"


class Generation(models.Model):
    """One row: the newest generation. It only rises, also when versions are deleted."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.BigIntegerField(default=0)

    class Meta:
        db_table = "segments_generation"

    def __str__(self) -> str:
        return f"generation {self.value}"


class State(models.Model):
    """What the processor remembers of one customer for all live rules (engine/streams.py).

    `state` as text: nobody queries it. `verdicts` is what serving reads: {version: [truth, flips]}
    of those that are true, or will be by the clock alone. `due_at` (microseconds) is when the next
    of them turns; a timer is this column and its index.
    """

    customer = models.OneToOneField(
        "customers.Customer", primary_key=True, on_delete=models.CASCADE, related_name="+"
    )
    state = models.TextField(default="{}")
    verdicts = models.TextField(default="{}")
    due_at = models.BigIntegerField(null=True)
    generation = models.BigIntegerField(default=0)

    class Meta:
        db_table = "segments_state"
        indexes = [
            # timers: the earliest due
            models.Index(
                fields=["due_at"],
                condition=models.Q(due_at__isnull=False),
                name="segments_state_due_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"state {self.customer_id}"


class Membership(models.Model):
    """One customer in one live version of a segment, from the moment it became true."""

    pk = models.CompositePrimaryKey("version_id", "customer_id")
    segment_id = models.BigIntegerField()
    version_id = models.BigIntegerField()
    customer_id = models.BigIntegerField()
    entered_at = models.DateTimeField()

    class Meta:
        db_table = "segments_membership"
        # a customer's own; erasure
        indexes = [models.Index(fields=["customer_id"], name="segments_member_customer_idx")]

    def __str__(self) -> str:
        return f"{self.customer_id} in {self.segment_id}"


class Change(models.Model):
    """One entry into, or exit from, the segment in force. Kept SEGMENT_CHANGE_RETENTION_DAYS.

    `at` is when it became true, `noticed_at` when it was written. No row for shadow versions.
    """

    class Cause(models.TextChoices):
        """What led to it."""

        EVENT = "event", "Event"
        TIME = "time", "Time"
        PUBLISH = "publish", "New version"
        MERGE = "merge", "Customers joined or parted"
        CONSENT = "consent", "Consent"
        REPLAY = "replay", "Replay"
        SCORE = "score", "New scores"
        LIST = "list", "List changed"
        SEGMENT = "segment", "Another segment changed"

    customer_id = models.BigIntegerField()
    segment_id = models.BigIntegerField()
    version = models.PositiveIntegerField()
    entered = models.BooleanField()
    at = models.DateTimeField()
    noticed_at = models.DateTimeField()
    cause = models.CharField(max_length=8, choices=Cause.choices)

    class Meta:
        db_table = "segments_change"
        indexes = [
            # a segment's entries and exits over time; triggers read on from the last they saw
            models.Index(fields=["segment_id", "at"], name="segments_change_segment_idx"),
            # a customer's page
            models.Index(fields=["customer_id", "at"], name="segments_change_customer_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.customer_id} {'into' if self.entered else 'out of'} {self.segment_id}"


class ListMember(models.Model):
    """One customer on a static list (a segment of kind `list`, named by leaves of kind `list`).

    `value` is what was uploaded; `customer_id` follows once such a customer exists.
    """

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="+")
    value = models.CharField(max_length=255)
    customer_id = models.BigIntegerField(null=True)
    added_at = models.DateTimeField()

    class Meta:
        db_table = "segments_listmember"
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "value"], name="segments_listmember_value_uniq"
            )
        ]
        indexes = [models.Index(fields=["customer_id"], name="segments_list_customer_idx")]

    def __str__(self) -> str:
        return f"{self.value} on {self.segment_id}"


class Size(models.Model):
    """How many members a segment had at a moment, for trends. Kept like `Change`."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()
    members = models.BigIntegerField()
    entered = models.BigIntegerField(default=0)
    left = models.BigIntegerField(default=0)

    class Meta:
        db_table = "segments_size"
        constraints = [
            # beat measures a slot once
            models.UniqueConstraint(fields=["segment", "at"], name="segments_size_slot_uniq")
        ]

    def __str__(self) -> str:
        return f"{self.members} in {self.segment_id}"
