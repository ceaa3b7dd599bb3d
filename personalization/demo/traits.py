"""What the demo shop's customers say of themselves, declared so that rules can name it."""

from django.db import transaction

from personalization.access.audit import audit, state
from personalization.customers.models import Trait
from personalization.ops.services import publish

# Key, title and whether it is a personal detail.
TRAITS = (("loyalty_tier", "Loyalty tier", False), ("name", "Name", True))


@transaction.atomic
def declare_traits(*, actor: str) -> None:
    """Declare the traits that are not there, and publish. Idempotent.

    What somebody declared otherwise stays.
    """
    made = False
    for key, title, personal in TRAITS:
        values = {"title": title, "type": Trait.Type.STRING, "personal": personal}
        row, new = Trait.objects.get_or_create(key=key, defaults=values)
        if new:
            audit(actor=actor, action="create", obj=row, after=state(row))
        made |= new
    if made:
        publish(actor=actor, note="declare the demo's traits")


@transaction.atomic
def withdraw_traits(*, actor: str) -> None:
    """Delete the traits that are as the demo declared them, and publish."""
    gone = False
    for key, title, personal in TRAITS:
        for row in Trait.objects.filter(key=key, title=title, personal=personal):
            audit(actor=actor, action="delete", obj=row, before=state(row))
            row.delete()
            gone = True
    if gone:
        publish(actor=actor, note="withdraw the demo's traits")
