"""`distinct` counts lists and objects: who is asked about it is decided again, from the facts."""

from django.db import migrations

# As if they had taken nothing in: the backfill, which looks every few seconds, does it.
_AGAIN = """
UPDATE segments_state SET generation = 0 WHERE EXISTS (
    SELECT FROM segments_segmentversion
    WHERE status IN ('shadow', 'published', 'standby') AND rule::text LIKE '%"distinct"%')
"""


class Migration(migrations.Migration):
    """Let customers take live rules in anew where one of them counts different values."""

    dependencies = [("segments", "0004_states_in_line")]

    operations = [migrations.RunSQL(_AGAIN, migrations.RunSQL.noop)]
