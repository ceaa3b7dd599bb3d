"""What Django cannot declare: the sequence of changes, and the index of the back office's search."""

from django.db import migrations

# Titles that begin with some words, whatever the case; pattern_ops serve LIKE in any collation.
TITLES = "CREATE INDEX catalog_product_title_idx ON catalog_product (upper(title) text_pattern_ops);"


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_initial")]
    operations = [
        migrations.RunSQL("CREATE SEQUENCE catalog_change_seq;", "DROP SEQUENCE catalog_change_seq;"),
        migrations.RunSQL(TITLES, "DROP INDEX catalog_product_title_idx;"),
    ]
