"""Cleaning up after a written document never waits for a fold that holds the same customer."""

from datetime import UTC, datetime

import psycopg2
import pytest
from django.db import connection

from personalization.customers import documents, services
from personalization.customers.models import Identity, ProfileDirty

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.django_db(transaction=True)
def test_write_now__a_fold_holds_the_row__leaves_it_without_waiting() -> None:
    keys = [(int(Identity.Kind.ANONYMOUS), value) for value in ("a1", "a2")]
    services.create_identities(keys, now=NOW)
    customers = list(Identity.objects.order_by("value").values_list("customer_id", flat=True))
    services.touch(customers, now=NOW)
    fold = psycopg2.connect(**connection.get_connection_params() | {"cursor_factory": None})
    try:
        with fold.cursor() as cursor, connection.cursor() as ours:
            cursor.execute(
                "SELECT 1 FROM customers_profile_dirty WHERE customer_id = %s FOR UPDATE",
                [customers[0]],
            )
            ours.execute("SET lock_timeout = '2s'")
            documents.write_now(customers)
            ours.execute("RESET lock_timeout")

        assert list(ProfileDirty.objects.values_list("customer_id", flat=True)) == [customers[0]]
    finally:
        fold.close()
