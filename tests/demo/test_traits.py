"""The traits of the demo's customers are declared, and go with it."""

import pytest

from personalization.access.models import AuditEvent
from personalization.customers import traits
from personalization.customers.models import Trait
from personalization.demo.engine.records import traits_of
from personalization.demo.traits import declare_traits, withdraw_traits
from personalization.ops import serve as config
from personalization.ops.models import ConfigVersion

pytestmark = pytest.mark.django_db


def test_declare__all_that_customers_carry__published_once() -> None:
    declare_traits(actor="demo")
    declare_traits(actor="demo")

    config.reload()
    assert traits.declared().keys() == traits_of(1).keys()
    assert traits.declared()["name"].personal
    assert ConfigVersion.objects.count() == 1
    assert AuditEvent.objects.filter(object_type="customers.trait").count() == 2


def test_withdraw__somebody_declared_one_otherwise__that_one_stays() -> None:
    Trait.objects.create(key="name", title="Full name", type="string")
    declare_traits(actor="demo")

    withdraw_traits(actor="demo")

    assert list(Trait.objects.values_list("key", "title")) == [("name", "Full name")]
