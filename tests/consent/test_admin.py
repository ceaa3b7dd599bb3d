"""Admin pages of purposes, which publish, and of the ledger, which nobody writes."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.consent.models import ConsentRecord, Purpose
from personalization.consent.serve import ANALYTICS, purposes
from personalization.consent.services import record
from personalization.customers.models import Identity
from personalization.lib import clock
from personalization.ops import serve as config

pytestmark = pytest.mark.django_db
PURPOSES, LEDGER = "/admin/consent/purpose/", "/admin/consent/consentrecord/"


def staff(role: str = "admin") -> Client:
    user = User.objects.create_user("ann", password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def said() -> ConsentRecord:
    record(
        identity=(Identity.Kind.ANONYMOUS, "phone-1"),
        purposes={"marketing": True},
        source="banner",
        policy_version="3",
        now=clock.now(),
    )
    return ConsentRecord.objects.get()


def test_purpose_page__default_changed__holds_and_is_told() -> None:
    row = Purpose.objects.get(key="personalization")

    staff().post(f"{PURPOSES}{row.pk}/change/", {"key": "personalization", "title": "Personal"})

    config.reload()
    assert purposes().in_force(0, 0, gpc=False) == ANALYTICS
    told = AuditEvent.objects.get(object_type="consent.purpose")
    assert (told.actor, told.action) == ("ann", "update")


def test_purpose_list__default_in_force__in_words() -> None:
    page = staff().get(PURPOSES).content.decode()

    assert page.count("Allowed, until they refuse") == 2
    assert page.count("Waits for their yes") == 1


def test_purpose_page__key_sent__keeps_its_own() -> None:
    row = Purpose.objects.get(key="marketing")

    staff().post(f"{PURPOSES}{row.pk}/change/", {"key": "ads", "title": "Ads"})

    row.refresh_from_db()
    assert (row.key, row.title) == ("marketing", "Ads")


def test_purpose_page__added__gets_the_next_bit() -> None:
    staff().post(f"{PURPOSES}add/", {"key": "research", "title": "Research"})

    assert Purpose.objects.get(key="research").bit == 3
    assert config.reload().parts["consent"].bit("research") == 8


def test_purpose_page__no_bit_left__says_so_and_saves_nothing() -> None:
    Purpose.objects.create(key="last", title="Last", bit=14)

    response = staff().post(f"{PURPOSES}add/", {"key": "more", "title": "More"})

    form = response.context["adminform"].form
    [told] = form.non_field_errors()
    assert told.startswith("Not saved: there are 15 purposes at most")
    assert form["key"].value() == "more"
    assert not Purpose.objects.filter(key="more").exists()
    assert not AuditEvent.objects.exists()


def test_purpose_page__deletion__is_refused() -> None:
    row = Purpose.objects.get(key="marketing")

    assert staff().post(f"{PURPOSES}{row.pk}/delete/", {"post": "yes"}).status_code == 403

    assert Purpose.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("role", ["viewer", "editor", "publisher"])
def test_purpose_page__role_below_admin__reads_and_cannot_write(role: str) -> None:
    client, row = staff(role), Purpose.objects.get(key="marketing")

    assert client.get(PURPOSES).status_code == 200
    assert client.post(f"{PURPOSES}{row.pk}/change/", {"title": "x"}).status_code == 403


def test_ledger_page__viewer__finds_by_the_whole_id() -> None:
    said()
    client = staff("viewer")

    assert b"phone-1" in client.get(LEDGER, {"q": "phone-1"}).content
    assert b"banner" not in client.get(LEDGER, {"q": "phone"}).content


def test_ledger_page__admin__cannot_write() -> None:
    row, client = said(), staff()

    assert client.get(f"{LEDGER}{row.pk}/change/").status_code == 200
    assert client.get(f"{LEDGER}add/").status_code == 403
    assert client.post(f"{LEDGER}{row.pk}/change/", {"granted": ""}).status_code == 403
    assert client.post(f"{LEDGER}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    form = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    client.post(LEDGER, form)

    row.refresh_from_db()
    assert row.granted


def test_ledger_page__nobody_has_spoken__says_what_belongs_here() -> None:
    page = staff("viewer").get(LEDGER).content.decode()

    assert "Every grant and withdrawal is kept here as proof." in page
    assert f'href="{PURPOSES}"' in page
