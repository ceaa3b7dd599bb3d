"""Strategies, model versions and which of them serves."""

from django.db import models


class Strategy(models.Model):
    """One recommender configuration that placements name by key (`popular`, `for-you`)."""

    class Use(models.TextChoices):
        """Where it shows."""

        HOME = "home", "Home page"
        PRODUCT = "product", "Product page"
        CART = "cart", "Cart"
        CATEGORY = "category", "Category page"
        SEARCH = "search", "Search results, put in order"
        POST_PURCHASE = "post_purchase", "After a purchase"
        EMAIL = "email", "E-mail"

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    use = models.CharField(max_length=15, choices=Use.choices, default=Use.HOME)
    # Models with weights: [{"algorithm", "weight", "seeds"}]; engine.strategies checks them.
    sources = models.JSONField(default=list, blank=True)
    # "learned": weights come from training, as far as it has found any.
    weights = models.CharField(
        max_length=10, blank=True, default="", choices=[("", "As given"), ("learned", "Learned")]
    )
    # The only source where `sources` is empty: a name in engine.algorithms.RECIPES.
    algorithm = models.CharField(max_length=40)
    params = models.JSONField(default=dict, blank=True)
    # What merchandisers ask of the shelf (engine.merchandising).
    rules = models.JSONField(default=dict, blank=True)
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
            # a run that was killed and resumed makes no second version
            models.UniqueConstraint(
                fields=["run", "algorithm"], name="recommender_modelversion_run_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} v{self.number}"


class FoundSettings(models.Model):
    """Settings of one model that a search found to do better than its own: nights train with them.

    Written by `tuned.adopt`, gone when somebody goes back to the defaults or a search finds those
    better. No history: versions keep the settings that they were trained with.
    """

    algorithm = models.CharField(max_length=40, unique=True)
    # Changes to the recipe's own settings: {"half_life_days": 61.2}.
    settings = models.JSONField()
    # What they reached and gained on questions that they were not chosen on (engine.tuning).
    told = models.JSONField(default=dict)
    run = models.ForeignKey("ops.JobRun", null=True, on_delete=models.SET_NULL, related_name="+")
    found_at = models.DateTimeField()

    class Meta:
        verbose_name = verbose_name_plural = "found settings"

    def __str__(self) -> str:
        return f"settings of {self.algorithm}"


class OutcomeGeneration(models.Model):
    """Which generation of the outcome tables below is read: one row, moved by a replay alone."""

    live = models.PositiveSmallIntegerField(default=1)

    def __str__(self) -> str:
        return f"outcomes, generation {self.live}"


class ShownList(models.Model):
    """One list of recommendations that a visitor saw, as a verified exposure told it.

    Written by the projection `recommender.outcomes`, once for each (decision, placement), and
    dropped after OUTCOME_DETAIL_DAYS. Whose it is says the identity, so that a merge needs no
    write. `items` holds [item, source] pairs in the order shown.
    """

    generation = models.PositiveSmallIntegerField()
    decision = models.UUIDField()
    placement = models.CharField(max_length=100)
    strategy = models.CharField(max_length=100)
    day = models.DateField()
    identity_id = models.BigIntegerField()
    items = models.JSONField()

    class Meta:
        constraints = [
            # an exposure counts once a decision and placement
            models.UniqueConstraint(
                fields=["generation", "decision", "placement"],
                name="recommender_shownlist_once_uniq",
            ),
        ]
        indexes = [
            # retention
            models.Index(fields=["day"], name="recommender_shownlist_day_idx"),
            # access and erasure
            models.Index(fields=["identity_id"], name="recommender_shownlist_who_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.placement} of {self.decision}"


class ShownClick(models.Model):
    """One item clicked in a list. `strategy` is empty until the exposure of the list was folded.

    Kept as long as lists are. `at_us` is the first click's time.
    """

    generation = models.PositiveSmallIntegerField()
    decision = models.UUIDField()
    placement = models.CharField(max_length=100)
    item = models.CharField(max_length=100)
    identity_id = models.BigIntegerField()
    at_us = models.BigIntegerField()
    day = models.DateField()
    strategy = models.CharField(max_length=100, blank=True, default="")
    source = models.CharField(max_length=100, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            # a click counts once a decision, placement and item
            models.UniqueConstraint(
                fields=["generation", "decision", "placement", "item"],
                name="recommender_shownclick_once_uniq",
            ),
        ]
        indexes = [
            # which clicks may have led to a purchase; access and erasure
            models.Index(fields=["identity_id", "item"], name="recommender_shownclick_who_idx"),
            models.Index(fields=["day"], name="recommender_shownclick_day_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.item} in {self.placement} of {self.decision}"


class BoughtLine(models.Model):
    """One product of one order, and the click that it is counted for, if any.

    `value_minor` is null where the line has no price in the shop's currency. `click_id` and
    `counted_minor` say what the daily figures hold of it.
    """

    generation = models.PositiveSmallIntegerField()
    identity_id = models.BigIntegerField()
    order_key = models.CharField(max_length=120)
    item = models.CharField(max_length=100)
    at_us = models.BigIntegerField()
    value_minor = models.BigIntegerField(null=True)
    # Id of a ShownClick; no foreign key, so that the two can go by their own days.
    click_id = models.BigIntegerField(null=True)
    counted_minor = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            # an order that is told twice counts once; also the look-up by person and item
            models.UniqueConstraint(
                fields=["generation", "identity_id", "item", "order_key"],
                name="recommender_boughtline_once_uniq",
            ),
        ]
        indexes = [models.Index(fields=["at_us"], name="recommender_boughtline_at_idx")]

    def __str__(self) -> str:
        return f"{self.item} in order {self.order_key}"


class ShelfDay(models.Model):
    """How one place of one strategy's lists did, by the day of the decision. No person in it.

    `shown` lists that had an item of that source there, `clicked` of them, `bought` order lines
    within the attribution window of such a click, `revenue_minor` their worth in the shop's
    currency. Dropped after OUTCOME_DAYS.
    """

    generation = models.PositiveSmallIntegerField()
    day = models.DateField()
    strategy = models.CharField(max_length=100)
    placement = models.CharField(max_length=100)
    source = models.CharField(max_length=100)
    position = models.PositiveSmallIntegerField()
    shown = models.BigIntegerField(default=0)
    clicked = models.BigIntegerField(default=0)
    bought = models.BigIntegerField(default=0)
    revenue_minor = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = "performance of recommendations"
        constraints = [
            # the fold adds to one row; pages read a range of days
            models.UniqueConstraint(
                fields=["generation", "day", "strategy", "placement", "source", "position"],
                name="recommender_shelfday_uniq",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.strategy} {self.source} at {self.position} on {self.day}"


class ItemDay(models.Model):
    """How one product did in one strategy's lists at one placement, by the day of the decision.

    Columns as in `ShelfDay`. Dropped after OUTCOME_ITEM_DAYS.
    """

    generation = models.PositiveSmallIntegerField()
    day = models.DateField()
    item = models.CharField(max_length=100)
    strategy = models.CharField(max_length=100)
    placement = models.CharField(max_length=100)
    shown = models.BigIntegerField(default=0)
    clicked = models.BigIntegerField(default=0)
    bought = models.BigIntegerField(default=0)
    revenue_minor = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = verbose_name_plural = "coverage of the catalogue"
        constraints = [
            # the fold adds to one row; coverage reads a range of days
            models.UniqueConstraint(
                fields=["generation", "day", "item", "strategy", "placement"],
                name="recommender_itemday_uniq",
            ),
        ]
        indexes = [
            # the page of one product
            models.Index(fields=["item", "day"], name="recommender_itemday_item_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.item} by {self.strategy} on {self.day}"
