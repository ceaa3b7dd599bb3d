"""Log-in links that work once, and the admin pages of keys and of the trail."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, transaction
from django.test import Client
from pytest_django import Settings

from personalization.access import serve
from personalization.access.models import ApiKey, AuditEvent, OneTimeLogin
from personalization.access.services import create_key
from personalization.access.staff import LINK_TTL, create_login
from personalization.lib import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def printed(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out, stderr=StringIO())
    return out.getvalue().splitlines()[-1]


def admin(role: str = "admin") -> Client:
    user = User.objects.create_user(role, password=None, is_staff=True)
    user.groups.set(Group.objects.filter(name=role))
    client = Client()
    client.force_login(user)
    return client


def test_login_link__followed__logs_in_once() -> None:
    link = printed("login_link", "--base", "http://shop.example/")
    path = link.removeprefix("http://shop.example")

    first, second = Client(), Client()

    assert first.post(path).headers["Location"] == "/admin/"
    assert first.get("/admin/").status_code == 200
    assert (second.get(path).status_code, second.post(path).status_code) == (404, 404)
    assert second.get("/admin/").status_code == 302
    assert AuditEvent.objects.filter(action="log_in", actor="admin").count() == 1


def test_login_link__no_address_given__is_at_the_port_of_the_server(settings: Settings) -> None:
    settings.PORT = 8123

    assert printed("login_link").startswith("http://127.0.0.1:8123/")


def test_login_link__only_looked_at__is_not_used_up() -> None:
    path = printed("login_link", "--base", "")

    scanner = Client()
    assert scanner.head(path).status_code == 405
    pages = [scanner.get(path) for _ in range(2)]

    assert [page.status_code for page in pages] == [200, 200]
    assert b'type="submit"' in pages[0].content
    assert "no-store" in pages[0]["Cache-Control"]
    assert scanner.get("/admin/").status_code == 302
    assert Client().post(path).status_code == 302


def test_login_link__button_pressed_by_another_site__is_refused() -> None:
    path = printed("login_link", "--base", "")

    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    assert Client().post(path).status_code == 302


def test_login_link__too_old__is_refused() -> None:
    with clock.frozen(NOW):
        token = create_login(username="ann", role="viewer", actor="test", now=NOW)

    with clock.frozen(NOW + LINK_TTL):
        assert Client().get(f"/admin/one-time/{token}/").status_code == 404
        assert Client().post(f"/admin/one-time/{token}/").status_code == 404


def test_login_link__user_left_meanwhile__is_refused() -> None:
    token = create_login(username="ann", role="viewer", actor="test", now=clock.now())
    User.objects.update(is_active=False)

    assert Client().get(f"/admin/one-time/{token}/").status_code == 404
    assert Client().post(f"/admin/one-time/{token}/").status_code == 404


@pytest.mark.parametrize("token", ["x", "ü", "0" * 500])
def test_login_link__made_up__is_refused(token: str) -> None:
    assert Client().get(f"/admin/one-time/{token}/").status_code == 404


def test_login_link__stored__is_a_hash_alone() -> None:
    token = create_login(username="ann", role="viewer", actor="test", now=clock.now())

    assert token not in str(list(OneTimeLogin.objects.values()))
    assert token not in str(list(AuditEvent.objects.values()))


def test_login_link__new_user__has_the_role_and_no_password() -> None:
    create_login(username="ann", role="editor", actor="test", now=clock.now())

    user = User.objects.get(username="ann")

    assert [g.name for g in user.groups.all()] == ["editor"]
    assert not user.has_usable_password()
    assert not user.is_superuser


def test_login_link__account_that_is_no_staff__is_refused() -> None:
    User.objects.create_user("ben", password=None)

    with pytest.raises(CommandError, match="not active staff"):
        call_command("login_link", "ben")


def test_create_key__command__prints_the_key_alone_on_its_last_line() -> None:
    key = printed("create_key", "--kind", "public", "--name", "shop", "--days", "1")

    row = ApiKey.objects.get()
    assert key.startswith("pk_")
    assert key.endswith(row.last4)
    assert row.expires_at is not None


def test_create_key__command_with_faults__names_them() -> None:
    with pytest.raises(CommandError, match="origins"):
        call_command("create_key", "--kind", "public", "--name", "shop", "--origin", "shop")


def test_identity_token__command__prints_a_token_that_proves_the_user() -> None:
    token = printed("identity_token", "u1")
    browser = serve.Caller(1, "public", frozenset(), "x")

    assert serve.proven(browser, "u1", token, now=clock.now())


def test_identity_token__command_without_sense__is_refused() -> None:
    with pytest.raises(CommandError):
        call_command("identity_token", "u1", "--hours", "0")


def test_key_page__created__shows_the_key_once() -> None:
    client = admin()
    form = {"name": "till", "kind": "secret", "scopes": ["decide"], "origins": ""}

    made = client.post("/admin/access/apikey/add/", form)

    row = ApiKey.objects.get()
    shown = made.context["key"]
    assert shown.endswith(row.last4)
    assert shown in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    for page in (f"/admin/access/apikey/{row.pk}/change/", "/admin/access/apikey/"):
        assert shown not in client.get(page).content.decode()
    assert AuditEvent.objects.get(object_type="access.apikey").actor == "admin"


def test_key_page__form_with_faults__names_them_at_their_fields() -> None:
    form = {"name": "till", "kind": "public", "scopes": ["admin"], "origins": "shop"}

    response = admin().post("/admin/access/apikey/add/", form)

    assert set(response.context["adminform"].form.errors) == {"scopes", "origins"}
    assert not ApiKey.objects.exists()


def test_key_list__revoke_action__revokes_and_tells() -> None:
    client = admin()
    row, _key = create_key(name="till", kind="secret", actor="test")

    client.post(
        "/admin/access/apikey/", {"action": "revoke", "_selected_action": [row.pk]}, follow=True
    )

    row.refresh_from_db()
    assert row.revoked_at is not None
    assert AuditEvent.objects.get(action="revoke").actor == "admin"


def test_key_page__existing_key__cannot_be_changed_or_deleted() -> None:
    client = admin()
    row, _key = create_key(name="till", kind="secret", actor="test", scopes=["decide"])

    client.post(f"/admin/access/apikey/{row.pk}/change/", {"name": "x", "scopes": ["*"]})

    row.refresh_from_db()
    assert (row.name, row.scopes) == ("till", ["decide"])
    assert client.post(f"/admin/access/apikey/{row.pk}/delete/").status_code == 403


@pytest.mark.parametrize("role", ["viewer", "editor", "publisher"])
def test_key_page__role_below_admin__is_refused(role: str) -> None:
    client = admin(role)

    assert client.get("/admin/access/apikey/").status_code == 403
    assert client.get("/admin/access/auditevent/").status_code == 403


def test_trail_page__admin__reads_and_cannot_write() -> None:
    client = admin()
    create_key(name="till", kind="secret", actor="test")
    entry = AuditEvent.objects.get()

    assert b"till" in client.get("/admin/access/auditevent/").content
    assert client.get(f"/admin/access/auditevent/{entry.pk}/change/").status_code == 200
    assert client.get("/admin/access/auditevent/add/").status_code == 403
    assert client.post(f"/admin/access/auditevent/{entry.pk}/delete/").status_code == 403


@pytest.mark.parametrize("write", ["update", "delete"])
def test_trail__rewritten_past_the_admin__is_refused_by_the_database(write: str) -> None:
    create_key(name="till", kind="secret", actor="test")
    trail = AuditEvent.objects.all()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        trail.update(actor="x") if write == "update" else trail._raw_delete(trail.db)
