"""The ledger of consent takes inserts alone: PostgreSQL refuses the rest, whoever asks."""

from django.db import migrations

GUARD = """
CREATE FUNCTION consent_consentrecord_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger of consent is append-only';
END $$;
CREATE TRIGGER consent_consentrecord_append_only BEFORE UPDATE OR DELETE ON consent_consentrecord
    FOR EACH ROW EXECUTE FUNCTION consent_consentrecord_refuse();
"""
UNGUARD = """
DROP TRIGGER consent_consentrecord_append_only ON consent_consentrecord;
DROP FUNCTION consent_consentrecord_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0002_purposes")]
    operations = [migrations.RunSQL(GUARD, UNGUARD)]
