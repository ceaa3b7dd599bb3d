"""Room in each page for rows that every event rewrites, so that updates stay in their page (HOT)."""

from django.db import migrations

ROOM = """
ALTER TABLE customers_profile SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.05, toast_tuple_target = 4096);
ALTER TABLE customers_customer SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
ALTER TABLE customers_profile_dirty SET (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000);
ALTER TABLE customers_profile ALTER COLUMN state SET STORAGE MAIN;
"""
UNDO = """
ALTER TABLE customers_profile RESET (fillfactor, autovacuum_vacuum_scale_factor, toast_tuple_target);
ALTER TABLE customers_customer RESET (fillfactor, autovacuum_vacuum_scale_factor);
ALTER TABLE customers_profile_dirty RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE customers_profile ALTER COLUMN state SET STORAGE EXTENDED;
"""


class Migration(migrations.Migration):
    dependencies = [("customers", "0001_initial")]
    operations = [migrations.RunSQL(ROOM, UNDO)]
