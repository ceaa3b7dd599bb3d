"""The facts that rules read: a customer's events by bucket. Django cannot declare partitions."""

from django.db import migrations

# One partition a bucket: a sample of 1/64 of the customers reads one table, and a batch spread
# over 64 of them is written as fast as over 16. Columns lie in the order that wastes no padding.
FACTS = """
CREATE TABLE events_factname (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name varchar(200) NOT NULL,
    CONSTRAINT events_factname_name_uniq UNIQUE (name)
);
CREATE TABLE events_fact (
    customer_id bigint NOT NULL,
    -- microseconds since the epoch
    at bigint NOT NULL,
    seq bigint NOT NULL,
    name_id integer NOT NULL,
    bucket smallint NOT NULL,
    props jsonb,
    CONSTRAINT events_fact_bucket_ck CHECK (bucket = customer_id % 64)
) PARTITION BY RANGE (bucket);
DO $$
BEGIN
    FOR b IN 0..63 LOOP
        EXECUTE format(
            'CREATE TABLE events_fact_%s PARTITION OF events_fact FOR VALUES FROM (%s) TO (%s)',
            lpad(b::text, 2, '0'), b, b + 1
        );
    END LOOP;
END $$;
-- one customer's history, of some names, in order
CREATE INDEX events_fact_customer_idx ON events_fact (customer_id, name_id, at, seq);
-- retention: rows arrive nearly in the order of time
CREATE INDEX events_fact_at_idx ON events_fact USING brin (at) WITH (pages_per_range = 32, autosummarize = on);
CREATE TABLE events_firstseen (
    customer_id bigint NOT NULL,
    name_id integer NOT NULL,
    -- microseconds since the epoch
    at bigint NOT NULL,
    PRIMARY KEY (customer_id, name_id)
);
-- who did something for the first time in a window
CREATE INDEX events_firstseen_name_idx ON events_firstseen (name_id, at) INCLUDE (customer_id);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0004_logged_event")]
    operations = [
        migrations.RunSQL(FACTS, "DROP TABLE events_firstseen; DROP TABLE events_fact; DROP TABLE events_factname;"),
    ]
