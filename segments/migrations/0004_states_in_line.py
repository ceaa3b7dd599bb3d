"""States stay in their rows up to a page: compressing those above 4 KB took more than storing them."""

from django.db import migrations


class Migration(migrations.Migration):
    """Let a state with its verdicts fill a page."""

    dependencies = [("segments", "0003_built_in")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE segments_state SET (toast_tuple_target = 8160)",
            "ALTER TABLE segments_state SET (toast_tuple_target = 4096)",
        )
    ]
