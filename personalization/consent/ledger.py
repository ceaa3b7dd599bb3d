"""The state that follows from the ledger, and the deny epoch: parts of larger transactions."""

from django.db import connection

from personalization.consent.engine.purposes import Word, latest
from personalization.consent.models import ConsentRecord, ConsentState
from personalization.customers.models import Identity
from personalization.lib import clock

# Raised in one statement, so that two workers that miss Redis at once never write the same epoch.
_RAISE = "UPDATE consent_denyepoch SET epoch = epoch + 1 WHERE id = 1"


def recompute(customer_id: int) -> tuple[int, int]:
    """Make the state what the ledger of all identities says; return (granted, denied).

    The caller has locked the customer.
    """
    rows = ConsentRecord.objects.filter(identity__customer=customer_id)
    granted, denied = latest(
        Word(1 << bit, said, clock.to_us(at), kind == Identity.Kind.USER, linked)
        for bit, said, at, kind, linked in rows.values_list(
            "purpose__bit", "granted", "at", "identity__kind", "linked"
        )
    )
    ConsentState.objects.update_or_create(
        customer_id=customer_id,
        defaults={"granted": granted, "denied": denied, "updated_at": clock.now()},
    )
    return granted, denied


def recompute_both(source_id: int, target_id: int) -> None:
    """Bring both states in line after identities moved. Registered as merge hook."""
    for customer_id in sorted((source_id, target_id)):
        recompute(customer_id)


def raise_deny_epoch() -> None:
    """Make every document in Redis untrusted until Redis holds the new epoch (`DenyEpoch`)."""
    with connection.cursor() as cursor:
        cursor.execute(_RAISE)
