"""Shapes of `/api/products/`. Checking is `engine.items`' work, for the API and feeds alike."""

from typing import Any

from rest_framework import serializers

from personalization.catalog.models import Product


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product as stored."""

    class Meta:
        model = Product
        fields = (
            "key",
            "title",
            "url",
            "image_url",
            "price_minor",
            "currency",
            "stock",
            "available",
            "brand",
            "categories",
            "attributes",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class ProductInputSerializer(serializers.Serializer[Any]):
    """A product to create or change: `key`, and what to set. Fields that are absent stay."""

    key = serializers.CharField(max_length=100)
    title = serializers.CharField(max_length=300, required=False, help_text="needed once")
    url = serializers.CharField(max_length=1000, required=False)
    image_url = serializers.CharField(max_length=1000, required=False)
    price = serializers.DecimalField(
        max_digits=15, decimal_places=3, required=False, help_text="major units, with currency"
    )
    price_minor = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    currency = serializers.CharField(max_length=3, required=False)
    stock = serializers.IntegerField(required=False, allow_null=True, help_text="null: untracked")
    available = serializers.BooleanField(required=False)
    brand = serializers.CharField(max_length=100, required=False)
    categories = serializers.ListField(child=serializers.CharField(max_length=100), required=False)
    attributes = serializers.DictField(required=False)


class ProblemSerializer(serializers.Serializer[Any]):
    """One fault of one item."""

    path = serializers.CharField()
    problem = serializers.CharField()


class ItemResultSerializer(serializers.Serializer[Any]):
    """What became of one item."""

    index = serializers.IntegerField()
    key = serializers.CharField()
    status = serializers.ChoiceField(["created", "updated", "unchanged", "rejected"])
    problems = ProblemSerializer(many=True)


class UpsertedSerializer(serializers.Serializer[Any]):
    """What became of a bulk upsert."""

    created = serializers.IntegerField()
    updated = serializers.IntegerField()
    unchanged = serializers.IntegerField()
    rejected = ItemResultSerializer(many=True)
    results = ItemResultSerializer(many=True)
