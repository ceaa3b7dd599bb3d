"""The strategies that the built-in placements name."""

from typing import Any

from django.db import migrations

STRATEGIES: tuple[tuple[str, str, str, dict[str, list[str]], str], ...] = (
    # key, title, algorithm, params, fallback
    ("popular", "Popular right now", "popularity", {}, ""),
    ("for-you", "For you", "item_knn", {"seeds": ["recent", "cart"]}, "popular"),
    ("similar", "Similar products", "item_knn", {"seeds": ["item"]}, "popular"),
    ("complements", "Goes with your cart", "bought_together", {"seeds": ["cart", "item"]}, "for-you"),
)


def create(apps: Any, _schema_editor: Any) -> None:
    """Create those that do not exist."""
    strategy = apps.get_model("recommender", "Strategy")
    for key, title, algorithm, params, fallback in STRATEGIES:
        strategy.objects.get_or_create(
            key=key,
            defaults={"title": title, "algorithm": algorithm, "params": params, "fallback": fallback},
        )


class Migration(migrations.Migration):
    dependencies = [("recommender", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
