"""The groups of the four roles. Their permissions are set after `migrate`, once Django has made them."""

from django.db import migrations

ROLES = ("viewer", "editor", "publisher", "admin")


def add(apps, schema_editor):
    for role in ROLES:
        apps.get_model("auth", "Group").objects.get_or_create(name=role)


def remove(apps, schema_editor):
    apps.get_model("auth", "Group").objects.filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("access", "0003_logins_and_idempotency"),
        ("auth", "0012_alter_user_first_name_max_length"),
    ]
    operations = [migrations.RunPython(add, remove)]
