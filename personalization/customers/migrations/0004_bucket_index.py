"""One bucket of the known customers without looking at the others."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # built beside the running server
    atomic = False
    dependencies = [("customers", "0003_parked_customers")]
    operations = [
        AddIndexConcurrently(
            "customer",
            models.Index(
                models.F("id") % 64,
                "id",
                condition=models.Q(merged_into=None),
                name="customers_customer_bucket_idx",
            ),
        ),
    ]
