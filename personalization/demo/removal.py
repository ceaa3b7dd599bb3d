"""Taking the demo's data away: whatever carries the demo's prefix, and nothing else."""

from collections.abc import Callable, Iterator

from django.db import connection, transaction
from django.db.models import Q

from personalization.access.models import ApiKey
from personalization.access.services import revoke_key
from personalization.catalog.models import Product
from personalization.catalog.services import delete_products
from personalization.consent.models import ConsentRecord
from personalization.customers.models import Customer, Identity, Merge
from personalization.demo import services, state
from personalization.demo.engine.words import PREFIX
from personalization.demo.shelves import remove_shelves
from personalization.demo.traits import withdraw_traits
from personalization.lib import clock
from personalization.ops.models import JobRun
from recommender.models import ItemDay
from recommender.replaying import replay

# Customers a transaction: about 100 ms.
_CHUNK = 500
_DELETE_EVENTS = "DELETE FROM events_event WHERE identity_id = ANY(%s)"
# Say(what went, how many so far)
Say = Callable[[str, int], None]


def remove(*, say: Say) -> bool:
    """Delete the demo's customers, events, products, shelves and keys; False without a demo.

    In small transactions: killed in the middle, it is run again. Customers who also go by an id
    that is not the demo's stay, with what is theirs.
    """
    run = JobRun.objects.filter(kind=state.KIND, slot=state.SLOT).first()
    if run is None and not Identity.objects.filter(value__startswith=PREFIX).exists():
        return False
    done = 0
    for identities in _identities():
        _remove_people(identities)
        done += len(identities)
        say("identities", done)
    keys = list(
        Product.objects.filter(key__startswith=PREFIX, deleted_at=None).values_list(
            "key", flat=True
        )
    )
    say("products", delete_products(keys, actor=services.ACTOR, now=clock.now()))
    remove_shelves(actor=services.ACTOR)
    withdraw_traits(actor=services.ACTOR)
    for key in ApiKey.objects.filter(name__startswith="Demo ", revoked_at=None):
        revoke_key(key_id=key.pk, actor=services.ACTOR)
    services.secret_file().unlink(missing_ok=True)
    if ItemDay.objects.filter(item__startswith=PREFIX).exists():
        # sums name nobody: what shelves led to is counted anew from the events that are left
        say("events counted anew", replay())
    JobRun.objects.filter(kind=state.KIND, slot=state.SLOT).delete()
    return True


def _identities() -> Iterator[list[int]]:
    """Yield ids of the demo's identities; each yielded chunk must be gone before the next."""
    while True:
        found = Identity.objects.filter(value__startswith=PREFIX).order_by("pk")[:_CHUNK]
        chunk = list(found.values_list("pk", flat=True))
        if not chunk:
            return
        yield chunk


@transaction.atomic
def _remove_people(identities: list[int]) -> None:
    rows = Identity.objects.filter(pk__in=identities)
    customers = {pk for pair in rows.values_list("customer_id", "origin_id") for pk in pair}
    with connection.cursor() as cursor:
        cursor.execute(_DELETE_EVENTS, [identities])
    ConsentRecord.objects.filter(identity_id__in=identities).delete()
    rows.delete()
    named = Identity.objects.filter(Q(customer_id__in=customers) | Q(origin_id__in=customers))
    left = {pk for pair in named.values_list("customer_id", "origin_id") for pk in pair}
    gone = customers - left
    Merge.objects.filter(Q(source_id__in=gone) | Q(target_id__in=gone)).delete()
    Customer.objects.filter(pk__in=gone).update(merged_into=None)
    Customer.objects.filter(merged_into_id__in=gone).update(merged_into=None)
    Customer.objects.filter(pk__in=gone).delete()
