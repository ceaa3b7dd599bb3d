"""The sequence that numbers product changes, so that web workers read just what is new."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [migrations.RunSQL("CREATE SEQUENCE catalog_change_seq;", "DROP SEQUENCE catalog_change_seq;")]
