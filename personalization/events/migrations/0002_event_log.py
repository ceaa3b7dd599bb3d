"""The event log: a table partitioned by the message's own day. Django cannot declare it."""

from django.db import migrations

LOG = """
CREATE SEQUENCE events_event_seq;
CREATE TABLE events_event (
    day date NOT NULL,
    trust smallint NOT NULL,
    message_id varchar(100) NOT NULL,
    epoch integer NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    seq bigint NOT NULL DEFAULT nextval('events_event_seq'),
    shard smallint NOT NULL,
    identity_id bigint,
    device_id varchar(255),
    type varchar(10) NOT NULL,
    name varchar(200) NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    purposes smallint NOT NULL,
    flags smallint NOT NULL DEFAULT 0,
    properties jsonb NOT NULL,
    traits jsonb,
    context jsonb NOT NULL,
    PRIMARY KEY (day, trust, message_id)
) PARTITION BY RANGE (day);
CREATE TABLE events_event_default PARTITION OF events_event DEFAULT;
-- the processor: what comes after the watermark of a shard
CREATE INDEX events_event_tail_idx ON events_event (shard, epoch, xid, seq);
-- a customer's timeline and rebuild
CREATE INDEX events_event_identity_idx ON events_event (identity_id, occurred_at);
-- the newest rows, for the debugger and the event list: rows arrive in the order of seq, so BRIN costs inserts nothing
CREATE INDEX events_event_seq_idx ON events_event USING brin (seq) WITH (pages_per_range = 32, autosummarize = on);
"""


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]
    operations = [
        migrations.RunSQL(LOG, "DROP TABLE events_event; DROP SEQUENCE events_event_seq;"),
    ]
