"""How often a run began, so that one that dies each time is not begun for ever."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("ops", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="jobrun",
            name="attempts",
            field=models.PositiveSmallIntegerField(default=0),
        ),
    ]
