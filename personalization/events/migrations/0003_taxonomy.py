"""The built-in event types. A later change of the taxonomy comes as another migration of this shape."""

from django.db import migrations

from personalization.events.engine.taxonomy import BUILT_IN


def add(apps, schema_editor):
    rows = apps.get_model("events", "EventSchema").objects
    for kind in BUILT_IN:
        rows.update_or_create(
            name=kind.name,
            defaults={"fact": kind.fact, "properties": kind.properties, "built_in": True},
        )


def remove(apps, schema_editor):
    apps.get_model("events", "EventSchema").objects.filter(built_in=True).delete()


class Migration(migrations.Migration):
    dependencies = [("events", "0002_event_log")]
    operations = [migrations.RunPython(add, remove)]
