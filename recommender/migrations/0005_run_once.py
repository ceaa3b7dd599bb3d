"""A run that was killed and resumed makes no second version of a model."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("ops", "0002_jobrun_attempts"),
        ("recommender", "0004_outcomes"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="modelversion",
            constraint=models.UniqueConstraint(
                fields=("run", "algorithm"), name="recommender_modelversion_run_uniq"
            ),
        ),
    ]
