"""Learned models, what they say of each customer, and how both fare over time."""

from django.db import models
from django.db.models.functions import Now


class LearnedModel(models.Model):
    """One fitted model: its files, what it learnt from, how well it did, its state.

    Files are one `.npy` an array plus `manifest.json`, named by hash; never pickle.
    Written by `segments.learning`; rows stay as history, files are pruned.
    """

    class Kind(models.TextChoices):
        """What a model says of a customer."""

        CLUSTER = "cluster", "Clusters"
        PROPENSITY = "propensity", "Probability"
        VALUE = "value", "Expected value"
        CATEGORY = "category", "Next category"
        LOOKALIKE = "lookalike", "Lookalike"

    class Status(models.TextChoices):
        """Life of a version."""

        CANDIDATE = "candidate", "Candidate"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    # Name in rules: `purchase_30d`; of clusters and lookalikes the score key adds the kind.
    key = models.CharField(max_length=60)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    version = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    algorithm = models.CharField(max_length=40)
    # SHA-256 of manifest.json; also its folder in the `models` storage.
    manifest_sha256 = models.CharField(max_length=64)
    manifest = models.JSONField()
    # What a page shows: figures with their protocol, clusters with their rules.
    metrics = models.JSONField(default=dict)
    reason = models.CharField(max_length=300, blank=True, default="")
    run = models.ForeignKey("ops.JobRun", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField()
    promoted_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "segments_learnedmodel"
        verbose_name = "learned model"
        constraints = [
            models.UniqueConstraint(
                fields=["key", "version"], name="segments_learnedmodel_version_uniq"
            ),
            # scoring reads one pointer a key
            models.UniqueConstraint(
                fields=["key"],
                condition=models.Q(status="live"),
                name="segments_learnedmodel_live_uniq",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.key} v{self.version}"


class Score(models.Model):
    """What the live models say of one customer: one number a key. Rules read it.

    Replaced as a whole by each scoring: a customer whose consent is gone, or of whom nothing is
    known any more, has no row. No foreign key: a million rows are written by COPY.
    """

    pk = models.CompositePrimaryKey("customer_id", "key")
    customer_id = models.BigIntegerField()
    # `purchase_30d`, `feature:sessions`, `cluster:customers`, `next_category:shoes`, ...
    key = models.CharField(max_length=150)
    value = models.FloatField()
    # Of the scoring that gave the value; one that gives the same leaves the row alone.
    as_of = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "segments_score"
        indexes = [
            # rules as SQL: all customers whose score of a key lies so; pages: the highest
            models.Index(fields=["key", "value"], name="segments_score_value_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.key} of {self.customer_id}"


class Observation(models.Model):
    """How a live model fared at one scoring: sizes of its clusters, or drift. Kept two years.

    `sizes`: {label: members}. `drift`: {"score": psi, "features": [{"feature", "psi", "verdict"}]}.
    """

    model = models.ForeignKey(LearnedModel, on_delete=models.CASCADE, related_name="observations")
    as_of = models.DateTimeField()
    customers = models.BigIntegerField()
    sizes = models.JSONField(default=dict)
    drift = models.JSONField(default=dict)

    class Meta:
        db_table = "segments_observation"
        constraints = [
            # one scoring, one row; also the order that pages read
            models.UniqueConstraint(fields=["model", "as_of"], name="segments_observation_at_uniq"),
        ]

    def __str__(self) -> str:
        return f"{self.model_id} at {self.as_of:%Y-%m-%d %H:%M}"
