"""Who the shop's visitors are: customers, the ids they go by, and what is known of them."""

import uuid

from django.db import models


class Customer(models.Model):
    """One person as the shop knows them. Created with its first identity; never deleted by a merge.

    `version` rises with every change that serving must see (profile, consent, identities);
    documents carry it.
    """

    uuid = models.UUIDField(default=uuid.uuid4)
    # Value of the identity that created it: the unit of experiments. On merge the earlier-seen one
    # wins.
    assignment_key = models.CharField(max_length=255)
    created_at = models.DateTimeField()
    # Set while this customer is absorbed by another; un-merge clears it.
    merged_into = models.ForeignKey(
        "self", null=True, on_delete=models.PROTECT, related_name="absorbed"
    )
    version = models.BigIntegerField(default=1)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["uuid"], name="customers_customer_uuid_uniq")
        ]
        # one bucket of the known customers, without looking at the others (previews, walks)
        indexes = [
            models.Index(
                models.F("id") % 64,
                "id",
                condition=models.Q(merged_into=None),
                name="customers_customer_bucket_idx",
            )
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class Identity(models.Model):
    """One id that a customer goes by.

    Events point here, so that a merge moves one row and no event.

    An anonymous id that a second user logs in on gets a new generation: the old row keeps its past.
    """

    class Kind(models.IntegerChoices):
        """What vouches for the id."""

        USER = 1, "user id"
        ANONYMOUS = 2, "anonymous id"

    kind = models.PositiveSmallIntegerField(choices=Kind.choices)
    value = models.CharField(max_length=255)
    generation = models.PositiveIntegerField(default=1)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="identities")
    # Whom it was created for: un-merge points back to it.
    origin = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    # Set when a later generation took over; null marks the row in force.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # one owner at a time for an id; also the look-up of ingestion
            models.UniqueConstraint(
                fields=["value", "kind"],
                condition=models.Q(ended_at=None),
                name="customers_identity_current_uniq",
            ),
            models.UniqueConstraint(
                fields=["value", "kind", "generation"], name="customers_identity_generation_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}"


class Profile(models.Model):
    """What is known of one customer, folded from events.

    Written by the processor alone; rebuilt by replay.

    `state` is the fold's own compact memory (engine/profile.py), as text: nobody queries it, and
    jsonb would be parsed and printed at each fold. Typed columns exist for lists, filters and
    exports. `traits` holds declared and undeclared traits as {key: value}.
    """

    customer = models.OneToOneField(Customer, primary_key=True, on_delete=models.CASCADE)
    first_seen_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField(null=True)
    events = models.BigIntegerField(default=0)
    sessions = models.IntegerField(default=0)
    orders = models.IntegerField(default=0)
    # Minor units of SHOP_CURRENCY; orders in other currencies are counted but not added.
    revenue_minor = models.BigIntegerField(default=0)
    last_order_at = models.DateTimeField(null=True)
    country = models.CharField(max_length=2, blank=True, default="")
    region = models.CharField(max_length=8, blank=True, default="")
    locale = models.CharField(max_length=20, blank=True, default="")
    timezone = models.CharField(max_length=64, blank=True, default="")
    device_type = models.CharField(max_length=10, blank=True, default="")
    traits = models.JSONField(default=dict)
    state = models.TextField(default="{}")
    updated_at = models.DateTimeField()
    # When it was last folded from the whole log: a replay in progress takes such customers again.
    rebuilt_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"profile {self.customer_id}"


class Trait(models.Model):
    """One declared trait: its type, and whether a browser may set it."""

    class Type(models.TextChoices):
        """Type of the value."""

        STRING = "string", "Text"
        NUMBER = "number", "Number"
        BOOLEAN = "boolean", "Yes or no"
        DATETIME = "datetime", "Date and time"
        STRINGS = "strings", "List of texts"

    key = models.CharField(
        max_length=60,
        unique=True,
        help_text="As the shop sends it, such as loyalty_tier. It cannot be changed later.",
    )
    title = models.CharField(max_length=100, help_text="What rules and pages call it.")
    type = models.CharField(
        "kind of value",
        max_length=8,
        choices=Type.choices,
        help_text="Rules offer the comparisons that fit it.",
    )
    # A personal detail (name, e-mail): never logged, left out of decision documents.
    personal = models.BooleanField(
        "personal detail",
        default=False,
        help_text="Such as a name or an e-mail address: never written to logs, never read by"
        " decisions.",
    )
    # Only secret keys may set it (loyalty tier, credit).
    server_only = models.BooleanField(
        "set by the shop's servers only",
        default=False,
        help_text="Ticked: what a browser says of it is ignored, so that nobody can make himself a"
        " gold customer.",
    )

    def __str__(self) -> str:
        return self.key


class Merge(models.Model):
    """One merge of one customer into another, and its undoing. Never deleted: un-merge reads it."""

    class Cause(models.TextChoices):
        """What led to the merge."""

        LOGIN = "login", "Log-in"
        ALIAS = "alias", "Alias call"
        STAFF = "staff", "Staff"

    source = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="merges_out")
    target = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="merges_in")
    cause = models.CharField(max_length=5, choices=Cause.choices)
    actor = models.CharField("by", max_length=150)
    # Ids of the identities that moved.
    identities = models.JSONField(default=list)
    # The target's assignment key before the merge.
    target_assignment_key = models.CharField(max_length=255)
    at = models.DateTimeField("when")
    undone_at = models.DateTimeField("undone", null=True)

    class Meta:
        constraints = [
            # a customer is absorbed at most once at a time
            models.UniqueConstraint(
                fields=["source"],
                condition=models.Q(undone_at=None),
                name="customers_merge_source_uniq",
            )
        ]

    def __str__(self) -> str:
        return f"{self.source_id} into {self.target_id}"


class ProfileDirty(models.Model):
    """A customer whose document in Redis is older than PostgreSQL.

    Removed after the document is written.
    """

    customer = models.OneToOneField(Customer, primary_key=True, on_delete=models.CASCADE)
    version = models.BigIntegerField()
    at = models.DateTimeField()

    class Meta:
        db_table = "customers_profile_dirty"

    def __str__(self) -> str:
        return f"dirty {self.customer_id}"


class RebuildDue(models.Model):
    """A customer whose profile must be folded again from the log: merge, consent, a late event.

    The processor clears it. Where that failed `error` says why: the customer is set aside and not
    tried before `at` (parking.py). Without words of the event: an error may quote what is personal.
    """

    customer = models.OneToOneField(Customer, primary_key=True, on_delete=models.CASCADE)
    cause = models.CharField(max_length=20)
    at = models.DateTimeField()
    error = models.CharField(max_length=200, blank=True, default="", db_default="")
    # Times it failed in a row.
    attempts = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        db_table = "customers_rebuild_due"
        verbose_name, verbose_name_plural = "profile to rebuild", "profiles to rebuild"
        # the processor asks for the earliest; many may be set aside until later
        indexes = [models.Index(fields=["at"], name="customers_rebuild_due_at_idx")]

    def __str__(self) -> str:
        return f"rebuild {self.customer_id}"
