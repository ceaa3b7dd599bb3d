"""Who stands behind an id, and what that customer has said: one query for a whole batch."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from django.db import connection

from personalization.consent.models import DenyEpoch
from personalization.lib.prepared import Statement


class Resolved(NamedTuple):
    """An id in force, its customer, and the customer's words as bitmasks."""

    identity_id: int
    customer_id: int
    assignment_key: str
    granted: int
    denied: int


# One look into customers_identity_current_uniq for each id. LIMIT keeps it a loop: a plan made when
# the tables were empty would else read all of customers for the life of the connection.
_RESOLVED = Statement(
    "p13n_resolve_identities",
    """
SELECT k.kind, k.value, r.* FROM unnest($1, $2) AS k (value, kind) CROSS JOIN LATERAL (
    SELECT i.id, i.customer_id, c.assignment_key, COALESCE(s.granted, 0), COALESCE(s.denied, 0)
    FROM customers_identity i
    JOIN customers_customer c ON c.id = i.customer_id
    LEFT JOIN consent_consentstate s ON s.customer_id = i.customer_id
    WHERE i.value = k.value AND i.kind = k.kind AND i.ended_at IS NULL
    LIMIT 1
) AS r
""",
    ("varchar[]", "smallint[]"),
)
_SAID = "SELECT customer_id, granted, denied FROM consent_consentstate WHERE customer_id = ANY(%s)"


def resolved(keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], Resolved]:
    """Return what stands behind each (kind, value); ids never seen are absent. One query."""
    if not keys:
        return {}
    wanted = sorted(set(keys))
    values, kinds = [value for _, value in wanted], [int(kind) for kind, _ in wanted]
    with connection.cursor() as cursor:
        _RESOLVED.run(cursor, [values, kinds])
        rows = cursor.fetchall()
    return {
        (kind, value): Resolved(identity_id, customer_id, assignment_key, granted, denied)
        for kind, value, identity_id, customer_id, assignment_key, granted, denied in rows
    }


def document_part(customer_ids: Sequence[int]) -> Mapping[int, list[int]]:
    """Return {customer: [granted, denied]} for the profile document; [0, 0]: said nothing."""
    with connection.cursor() as cursor:  # the ORM would quote each id of hundreds by itself
        cursor.execute(_SAID, [list(customer_ids)])
        said = {customer_id: [granted, denied] for customer_id, granted, denied in cursor}
    return {customer_id: said.get(customer_id, [0, 0]) for customer_id in customer_ids}


def deny_epoch() -> int:
    """Return the epoch in force; documents written under another are not found."""
    return DenyEpoch.objects.values_list("epoch", flat=True).get(pk=1)
