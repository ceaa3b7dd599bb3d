"""The audit trail takes inserts alone: PostgreSQL refuses the rest, whoever asks."""

from django.db import migrations

GUARD = """
CREATE FUNCTION access_auditevent_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER access_auditevent_append_only BEFORE UPDATE OR DELETE ON access_auditevent
    FOR EACH ROW EXECUTE FUNCTION access_auditevent_refuse();
"""
UNGUARD = """
DROP TRIGGER access_auditevent_append_only ON access_auditevent;
DROP FUNCTION access_auditevent_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("access", "0001_initial")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
