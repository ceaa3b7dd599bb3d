"""What the admin needs: the log by its place in it, and words for event types."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("events", "0003_taxonomy")]
    operations = [
        migrations.CreateModel(
            name="LoggedEvent",
            fields=[
                ("seq", models.BigIntegerField(primary_key=True, serialize=False)),
                ("received_at", models.DateTimeField()),
                ("occurred_at", models.DateTimeField()),
                ("name", models.CharField(max_length=200)),
                ("type", models.CharField(max_length=10)),
                ("message_id", models.CharField(max_length=100)),
                ("trust", models.PositiveSmallIntegerField(choices=[(1, "public key"), (2, "secret key")])),
                ("identity_id", models.BigIntegerField(null=True)),
                ("purposes", models.SmallIntegerField()),
                ("flags", models.SmallIntegerField()),
                ("properties", models.JSONField()),
                ("traits", models.JSONField(null=True)),
                ("context", models.JSONField()),
            ],
            options={"verbose_name": "event", "db_table": "events_event", "managed": False},
        ),
        migrations.AlterModelOptions(name="eventschema", options={"verbose_name": "event type"}),
    ]
