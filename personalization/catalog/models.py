"""What the shop sells."""

from django.db import models


class Category(models.Model):
    """One node of the category tree; `path` holds the keys from the root, joined by `/`."""

    key = models.CharField(
        max_length=100, unique=True, help_text="As products name it. It cannot be changed later."
    )
    title = models.CharField(max_length=200, help_text="Its name for people.")
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="children",
        verbose_name="part of",
        help_text="The category that it belongs to; empty at the top of the tree.",
    )
    path = models.CharField(max_length=600, db_index=True)

    class Meta:
        ordering = ["path"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.title


class Product(models.Model):
    """One thing that can be bought. Written by the bulk upsert and the feed import; deleted softly.

    `change` is drawn from a sequence at every write, so that web workers read just what is new. The
    migration adds an index on upper(title) for the back office's search.
    """

    key = models.CharField(max_length=100, unique=True)
    title = models.CharField(max_length=300)
    url = models.CharField(max_length=1000, blank=True, default="")
    image_url = models.CharField(max_length=1000, blank=True, default="")
    # Minor units (cents); never a float.
    price_minor = models.BigIntegerField(null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True, default="")
    # Null: stock is not tracked.
    stock = models.IntegerField(null=True, blank=True)
    available = models.BooleanField(default=True)
    brand = models.CharField(max_length=100, blank=True, default="")
    # Category keys, the main one first; keys that no Category names are kept.
    categories = models.JSONField(default=list, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)
    change = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(price_minor=None) | models.Q(price_minor__gte=0),
                name="catalog_product_price_ck",
            )
        ]
        indexes = [
            # web workers: what has changed since the last look
            models.Index(fields=["change"], name="catalog_product_change_idx"),
            models.Index(fields=["brand"], name="catalog_product_brand_idx"),
        ]

    def __str__(self) -> str:
        return self.title


class UnknownItem(models.Model):
    """An item id that events name and no product has: kept and counted, never an error."""

    key = models.CharField("id in the events", max_length=100, primary_key=True)
    events = models.BigIntegerField(default=0)
    first_at = models.DateTimeField("first seen")
    last_at = models.DateTimeField("last seen")

    def __str__(self) -> str:
        return self.key
