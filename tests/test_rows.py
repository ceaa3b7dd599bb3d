"""Each test finds the rows of the migrations, whatever the test before did to them."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from personalization.consent.models import Purpose

KINDS = (Group, Permission, ContentType, Purpose)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("time", ["first", "second"])
def test_rows__deleted_by_the_test_before__are_there_again(time: str) -> None:
    found = [kind.objects.count() for kind in KINDS]

    for kind in KINDS:
        kind.objects.all().delete()

    assert all(found), found
