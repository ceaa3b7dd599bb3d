"""Where content shows, and what: placements, campaigns, blocks."""

from django.db import models


class Placement(models.Model):
    """One place in the shop that asks for content or recommendations, by key (`home.hero`)."""

    class Kind(models.TextChoices):
        """What fills it."""

        CONTENT = "content", "Content"
        RECOMMENDATIONS = "recommendations", "Recommendations"

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    kind = models.CharField(max_length=15, choices=Kind.choices)
    # Recommendations: key of the strategy that fills it (a plain key, as arms carry them).
    strategy = models.CharField(max_length=100, blank=True, default="")
    count = models.PositiveSmallIntegerField(default=12)
    # Content: what shows when no campaign does.
    default_content = models.JSONField(default=dict, blank=True)
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.key


class Campaign(models.Model):
    """One reason to show something in one placement, for a time; for an audience or everybody."""

    class Status(models.TextChoices):
        """Where a campaign stands."""

        DRAFT = "draft", "Draft"
        PUBLISHED = "published", "Published"
        ENDED = "ended", "Ended"

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    placement = models.ForeignKey(Placement, on_delete=models.PROTECT, related_name="campaigns")
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.DRAFT)
    # Higher wins; ties go to the older campaign.
    priority = models.IntegerField(default=0)
    # Judged when read, so that it starts on time with no scheduler alive.
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    # A rule of docs/rules.md (`segments.engine.audience`); null: everybody.
    audience = models.JSONField(null=True, blank=True, default=None)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(starts_at=None)
                | models.Q(ends_at=None)
                | models.Q(starts_at__lt=models.F("ends_at")),
                name="content_campaign_dates_ck",
            )
        ]

    def __str__(self) -> str:
        return self.title


class Block(models.Model):
    """What a campaign shows: plain fields for the storefront to render; never markup."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="block")
    key = models.CharField(max_length=100, unique=True)
    # Flat plain fields such as heading, text, image_url, link, label (engine/faults.py checks).
    content = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.key
