"""Strategies blend several models and carry the merchandiser's rules; one for each place."""

from typing import Any

from django.db import migrations, models

USES = {"similar": "product", "complements": "cart"}
STRATEGIES: tuple[tuple[str, str, str, str, dict[str, list[str]], str], ...] = (
    # key, title, use, algorithm, params, fallback
    ("category", "Best of the category", "category", "item_knn", {"seeds": ["recent"]}, "popular"),
    ("search", "Search results in order", "search", "item_knn", {"seeds": ["recent", "cart"]}, "popular"),
    ("post-purchase", "After the purchase", "post_purchase", "bought_together", {"seeds": ["cart", "item", "recent"]}, "for-you"),
    ("email", "For e-mails", "email", "item_knn", {"seeds": ["recent", "cart"]}, "popular"),
)


def create(apps: Any, _schema_editor: Any) -> None:
    """Say where the built-in strategies are used, and add those that are missing."""
    strategy = apps.get_model("recommender", "Strategy")
    for key, use in USES.items():
        strategy.objects.filter(key=key).update(use=use)
    for key, title, use, algorithm, params, fallback in STRATEGIES:
        strategy.objects.get_or_create(
            key=key,
            defaults={
                "title": title, "use": use, "weights": "learned", "algorithm": algorithm, "params": params, "fallback": fallback,
            },
        )


class Migration(migrations.Migration):
    dependencies = [("recommender", "0002_strategies")]
    operations = [
        migrations.AddField("strategy", "use", models.CharField(
            choices=[
                ("home", "Home page"), ("product", "Product page"), ("cart", "Cart"),
                ("category", "Category page"), ("search", "Search results, put in order"),
                ("post_purchase", "After a purchase"), ("email", "E-mail"),
            ], default="home", max_length=15)),
        migrations.AddField("strategy", "sources", models.JSONField(blank=True, default=list)),
        migrations.AddField("strategy", "weights", models.CharField(
            blank=True, choices=[("", "As given"), ("learned", "Learned")], default="", max_length=10)),
        migrations.AddField("strategy", "rules", models.JSONField(blank=True, default=dict)),
        # no foreign key refers to the table, so that rows may follow in the same transaction
        migrations.RunPython(create, migrations.RunPython.noop),
    ]
