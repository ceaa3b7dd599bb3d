"""Settings that a search found, one row a model."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ops", "0002_jobrun_attempts"),
        ("recommender", "0005_run_once"),
    ]

    operations = [
        migrations.CreateModel(
            name="FoundSettings",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("algorithm", models.CharField(max_length=40, unique=True)),
                ("settings", models.JSONField()),
                ("told", models.JSONField(default=dict)),
                ("found_at", models.DateTimeField()),
                (
                    "run",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="ops.jobrun",
                    ),
                ),
            ],
            options={
                "verbose_name": "found settings",
                "verbose_name_plural": "found settings",
            },
        ),
    ]
