"""The admin page of declared traits: what is saved there is in force and on record."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.customers import traits
from personalization.customers.models import Trait

pytestmark = pytest.mark.django_db
PAGE = "/admin/customers/trait/"
TIER = {"key": "tier", "title": "Loyalty tier", "type": "string", "server_only": "on"}


def staff(role: str) -> Client:
    user = User.objects.create_user("ann", password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def test_trait_page__declared__in_force_and_told() -> None:
    client = staff("admin")

    assert client.post(f"{PAGE}add/", TIER).status_code == 302

    found = traits.declared()["tier"]
    assert (found.title, found.personal, found.server_only) == ("Loyalty tier", False, True)
    assert AuditEvent.objects.filter(action="create").exists()


def test_trait_page__marked_personal__leaves_documents_from_then_on() -> None:
    client = staff("admin")
    client.post(f"{PAGE}add/", TIER)
    row = Trait.objects.get(key="tier")

    client.post(f"{PAGE}{row.pk}/change/", TIER | {"key": "other", "personal": "on"})

    assert traits.declared()["tier"].personal
    assert "other" not in traits.declared()


def test_trait_page__a_viewer__may_look_and_not_touch() -> None:
    client = staff("viewer")

    assert client.get(PAGE).status_code == 200
    assert client.post(f"{PAGE}add/", TIER).status_code == 403
