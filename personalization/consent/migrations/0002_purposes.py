"""The three built-in purposes, and the row of the deny epoch."""

from django.db import migrations

# key, title, bit, granted by default, denied by Sec-GPC
PURPOSES = (
    ("analytics", "Analytics", 0, True, False),
    ("personalization", "Personalization", 1, True, True),
    ("marketing", "Marketing", 2, False, True),
)


def add(apps, schema_editor):
    purpose = apps.get_model("consent", "Purpose")
    for key, title, bit, granted, gpc in PURPOSES:
        purpose.objects.create(key=key, title=title, bit=bit, default_granted=granted, gpc_denies=gpc)
    apps.get_model("consent", "DenyEpoch").objects.create(id=1, epoch=0)


def remove(apps, schema_editor):
    apps.get_model("consent", "Purpose").objects.all().delete()
    apps.get_model("consent", "DenyEpoch").objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("consent", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
