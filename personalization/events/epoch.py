"""Which cluster the log lives in.

A dump restored into a new cluster starts its transaction ids again.

Positions in the log are (epoch, xid, seq); the epoch rises with the cluster's system identifier, so
that what is written after a restore comes after everything that was in the dump.
"""

from typing import NamedTuple

from django.db import connection

_ENSURE = """
INSERT INTO events_logepoch AS held (id, epoch, system_identifier)
SELECT 1, 1, system_identifier::text FROM pg_control_system()
ON CONFLICT (id) DO UPDATE
    SET epoch = held.epoch + 1, system_identifier = excluded.system_identifier
WHERE held.system_identifier <> excluded.system_identifier
"""
HORIZON = """
SELECT epoch, pg_snapshot_xmin(pg_current_snapshot())::text::bigint
FROM events_logepoch
WHERE system_identifier = (SELECT system_identifier::text FROM pg_control_system())
"""


class Horizon(NamedTuple):
    """A place in the log below which every row is visible and none will ever appear."""

    epoch: int
    xid: int


def ensure() -> None:
    """Make the epoch the one of this cluster.

    Idempotent; cheap enough for the start of every process.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENSURE)


def horizon() -> Horizon:
    """Return the place below which the log is complete: older than every open transaction."""
    with connection.cursor() as cursor:
        cursor.execute(HORIZON)
        row = cursor.fetchone()
        if row is None:  # restored from a dump, or the first event ever
            cursor.execute(_ENSURE)
            cursor.execute(HORIZON)
            row = cursor.fetchone()
    return Horizon(*row)
