"""New ids, log-ins, merges and their undoing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import transaction

from personalization.access.models import AuditEvent
from personalization.customers import services
from personalization.customers.engine import ids
from personalization.customers.errors import MergeConflict, MergeRefused
from personalization.customers.models import Customer, Identity, Merge, ProfileDirty, RebuildDue
from tests.atonce import at_once

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS


def seen(*keys: tuple[int, str], at: datetime = NOW) -> None:
    services.create_identities(keys, now=at)


def owner(kind: int, value: str) -> int:
    return Identity.objects.get(kind=kind, value=value, ended_at=None).customer_id


@pytest.mark.parametrize("value", ["u1", "7", "11", "222", "1a", "a@example.org", "ülkü"])
def test_usable__an_id_of_a_person__true(value: str) -> None:
    assert ids.usable(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "null",
        "NULL",
        "undefined",
        "0",
        "000",
        "guest",
        "NaN",
        "None",
        "-",
        "x" * 256,
        "xxxx",
        "00000000-0000-0000-0000-000000000000",
        "[object Object]",
        "a\x00b",
        "11111111",
        "(not set)",
    ],
)
def test_usable__a_stand_in_for_nothing__false(value: str) -> None:
    assert not ids.usable(value)


@pytest.mark.django_db
def test_create_identities__seen_twice__one_customer_each() -> None:
    seen((DEVICE, "a1"), (USER, "u1"), (DEVICE, "a1"))
    made = services.create_identities([(USER, "u1"), (DEVICE, "a2")], now=NOW)

    assert made == 1
    assert Customer.objects.count() == Identity.objects.count() == 3
    assert Customer.objects.get(identities__value="a1").assignment_key == "a1"


@pytest.mark.django_db(transaction=True)
def test_create_identities__two_at_once__no_orphan() -> None:
    keys = [(DEVICE, f"a{n}") for n in range(40)]

    def run(order: Sequence[tuple[int, str]]) -> int:
        with transaction.atomic():
            return services.create_identities(order, now=NOW)

    at_once(*(partial(run, keys[::step]) for step in (1, -1, 2, -3)))

    assert Customer.objects.count() == Identity.objects.count() == 40


@pytest.mark.django_db
def test_log_in__a_device_of_nobody__absorbed_and_folded_again() -> None:
    seen((DEVICE, "a1"), at=NOW - timedelta(days=1))
    seen((USER, "u1"))

    assert services.log_in(user="u1", device="a1", now=NOW)

    customer = Customer.objects.get(pk=owner(USER, "u1"))
    assert owner(DEVICE, "a1") == customer.pk
    assert customer.assignment_key == "a1"  # the one seen earlier
    assert RebuildDue.objects.count() == 2
    assert ProfileDirty.objects.get(customer=customer).version == customer.version == 2
    assert not services.log_in(user="u1", device="a1", now=NOW)


@pytest.mark.django_db
def test_log_in__a_device_of_another_user__new_generation_without_the_past() -> None:
    seen((DEVICE, "a1"), (USER, "u1"), (USER, "u2"))
    services.log_in(user="u1", device="a1", now=NOW)

    assert services.log_in(user="u2", device="a1", now=NOW)

    old, new = Identity.objects.filter(value="a1").order_by("generation")
    assert old.customer_id == owner(USER, "u1")
    assert old.ended_at == NOW
    assert new.customer_id == owner(USER, "u2")
    assert Merge.objects.count() == 1


@pytest.mark.django_db
def test_log_in__two_users_in_turn_on_one_device__two_rows_not_one_a_log_in() -> None:
    seen((DEVICE, "a1"), (USER, "u1"), (USER, "u2"))
    for turn in range(6):
        services.log_in(user=f"u{turn % 2 + 1}", device="a1", now=NOW)

    assert Identity.objects.filter(value="a1").count() == 2
    assert owner(DEVICE, "a1") == owner(USER, "u2")


@pytest.mark.django_db
@pytest.mark.parametrize(("user", "device"), [("null", "a1"), ("u1", "undefined")])
def test_log_in__ids_that_stand_for_nobody__merge_nothing(user: str, device: str) -> None:
    seen((DEVICE, device), (USER, user))

    assert not services.log_in(user=user, device=device, now=NOW)
    assert owner(USER, user) != owner(DEVICE, device)


@pytest.mark.django_db
def test_log_in__too_many_devices__the_next_stays_alone() -> None:
    seen((USER, "u1"))
    for n in range(ids.MAX_IDENTITIES + 2):
        seen((DEVICE, f"a{n}"))
        services.log_in(user="u1", device=f"a{n}", now=NOW)

    assert Identity.objects.filter(customer_id=owner(USER, "u1")).count() == ids.MAX_IDENTITIES


@pytest.mark.django_db
def test_unmerge__after_log_in__everything_as_before_and_no_second_log_in_merge() -> None:
    seen((DEVICE, "a1"), at=NOW - timedelta(days=1))
    seen((USER, "u1"))
    device, user = owner(DEVICE, "a1"), owner(USER, "u1")
    services.log_in(user="u1", device="a1", now=NOW)

    services.unmerge(Merge.objects.get().pk, actor="staff", now=NOW)

    trail = [f"{row.object_label} {row.before} {row.after}" for row in AuditEvent.objects.all()]
    assert trail
    assert not [words for words in trail if "u1" in words or "a1" in words]
    assert (owner(DEVICE, "a1"), owner(USER, "u1")) == (device, user)
    assert Customer.objects.get(pk=user).assignment_key == "u1"
    assert Customer.objects.get(pk=device).merged_into_id is None
    assert not services.log_in(user="u1", device="a1", now=NOW)
    with pytest.raises(MergeConflict):
        services.unmerge(Merge.objects.get().pk, actor="staff", now=NOW)


@pytest.mark.django_db
def test_unmerge__first_of_two__keeps_the_key_of_the_second() -> None:
    for day, key in enumerate([(DEVICE, "a1"), (DEVICE, "a2"), (USER, "u1")]):
        seen(key, at=NOW + timedelta(days=day))
    services.log_in(user="u1", device="a1", now=NOW)
    services.log_in(user="u1", device="a2", now=NOW)

    services.unmerge(Merge.objects.earliest("pk").pk, actor="staff", now=NOW)

    assert Customer.objects.get(pk=owner(USER, "u1")).assignment_key == "a2"


@pytest.mark.django_db
def test_unmerge__under_a_later_merge__refused() -> None:
    seen((DEVICE, "a1"), (USER, "u1"), (USER, "u2"))
    services.log_in(user="u1", device="a1", now=NOW)
    first = Merge.objects.get().pk
    services.merge(owner(USER, "u1"), owner(USER, "u2"), cause="staff", actor="s", now=NOW)

    with pytest.raises(MergeConflict):
        services.unmerge(first, actor="staff", now=NOW)
    assert Merge.objects.get(pk=first).undone_at is None


@pytest.mark.django_db
def test_merge__of_an_absorbed_or_the_same_customer__conflict() -> None:
    seen((USER, "u1"), (USER, "u2"), (USER, "u3"))
    one, two, three = (owner(USER, f"u{n}") for n in (1, 2, 3))
    services.merge(one, two, cause="staff", actor="s", now=NOW)

    for source, target in [(one, three), (three, one), (two, two)]:
        with pytest.raises(MergeConflict):
            services.merge(source, target, cause="staff", actor="s", now=NOW)


@pytest.mark.django_db
def test_merge__more_ids_than_one_may_have__refused() -> None:
    seen(*[(DEVICE, f"a{n}") for n in range(30)], (USER, "u1"), (USER, "u2"))
    Identity.objects.filter(value__in=[f"a{n}" for n in range(25)]).update(
        customer=owner(USER, "u1")
    )
    Identity.objects.filter(value__in=[f"a{n}" for n in range(25, 30)]).update(
        customer=owner(USER, "u2")
    )
    services.create_identities([(DEVICE, f"b{n}") for n in range(20)], now=NOW)
    Identity.objects.filter(value__startswith="b").update(customer=owner(USER, "u2"))

    with pytest.raises(MergeRefused):
        services.merge(owner(USER, "u1"), owner(USER, "u2"), cause="staff", actor="s", now=NOW)


@pytest.mark.django_db
def test_alias__two_user_ids__become_one() -> None:
    seen((USER, "u1"))

    assert services.alias(previous=(USER, "u1"), user="u2", actor="api", now=NOW)
    assert owner(USER, "u1") == owner(USER, "u2")
    assert Merge.objects.get().cause == Merge.Cause.ALIAS
    assert not services.alias(previous=(USER, "null"), user="u2", actor="api", now=NOW)
