"""Strategies, model versions and which of them serves."""

from django.db import models


class Strategy(models.Model):
    """One recommender configuration that placements name by key (`popular`, `for-you`)."""

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    # A name in engine.algorithms.RECIPES: popularity, item_knn, bought_together.
    algorithm = models.CharField(max_length=40)
    params = models.JSONField(default=dict, blank=True)
    # Key of the strategy that fills up what this one leaves empty.
    fallback = models.CharField(max_length=100, blank=True, default="")
    # Days for which something just bought is not shown again; 0 shows it.
    exclude_bought_days = models.PositiveSmallIntegerField(default=30)
    active = models.BooleanField(default=True)

    class Meta:
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.key


class ModelVersion(models.Model):
    """One trained model: its files, what it was trained on, how well it did, its state.

    Files are one `.npy` an array plus `manifest.json`, named by hash; never pickle.
    """

    class Status(models.TextChoices):
        """Life of a version."""

        CANDIDATE = "candidate", "Candidate"
        LIVE = "live", "Live"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    algorithm = models.CharField(max_length=40)
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.CANDIDATE)
    run = models.ForeignKey("ops.JobRun", null=True, on_delete=models.SET_NULL, related_name="+")
    # SHA-256 of manifest.json; also its folder in the `models` storage.
    manifest_sha256 = models.CharField(max_length=64)
    manifest = models.JSONField()
    # `evaluation.Metrics.to_json` of this model, and `popularity`, the same of it.
    metrics = models.JSONField(default=dict)
    reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    promoted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["algorithm", "number"], name="recommender_modelversion_number_uniq"
            ),
            # serving reads one pointer an algorithm
            models.UniqueConstraint(
                fields=["algorithm"],
                condition=models.Q(status="live"),
                name="recommender_modelversion_live_uniq",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} v{self.number}"
