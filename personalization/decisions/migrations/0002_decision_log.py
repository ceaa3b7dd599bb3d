"""The decision log: a table partitioned by day. Django cannot declare it."""

from django.db import migrations

LOG = """
CREATE TABLE decisions_decision (
    day date NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    customer_id bigint,
    config_version bigint NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (day, id)
) PARTITION BY RANGE (day);
CREATE TABLE decisions_decision_default PARTITION OF decisions_decision DEFAULT;
-- the customer page: what was decided lately
CREATE INDEX decisions_decision_customer_idx ON decisions_decision (customer_id, at DESC) WHERE customer_id IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [("decisions", "0001_initial")]
    operations = [migrations.RunSQL(LOG, "DROP TABLE decisions_decision;")]
