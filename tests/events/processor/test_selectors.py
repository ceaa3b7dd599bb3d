"""Events that may serve a purpose: it held when they came and holds now."""

import pytest
from django.db import connection

from personalization.customers.models import Identity
from personalization.events.engine import flags
from personalization.events.selectors import events_for
from tests.events.processor.log import DEVICE, put

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("purpose", "granted", "denied", "expected"),
    [
        (2, 0, 0, {"held"}),
        (2, 2, 0, {"held"}),
        (2, 0, 2, set()),
        (2, 0, 4, {"held"}),
        (4, 0, 0, set()),
        (4, 4, 0, {"held"}),
        (4, 4, 4, set()),
    ],
)
def test_events_for__what_was_and_what_is_said__both_must_hold(
    purpose: int, granted: int, denied: int, expected: set[str]
) -> None:
    put("held", product_id="sku1")
    put("bot", product_id="sku1", flags=flags.BOT)
    put("refused", product_id="sku1", purposes=1)
    if granted or denied:
        customer = Identity.objects.get(kind=DEVICE, value="a1").customer_id
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO consent_consentstate (customer_id, granted, denied, updated_at) "
                "VALUES (%s, %s, %s, now())",
                [customer, granted, denied],
            )

    assert set(events_for(purpose).values_list("message_id", flat=True)) == expected
