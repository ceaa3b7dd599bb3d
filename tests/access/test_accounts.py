"""Every write of the back office leaves a line, those of Django's own account pages included."""

import json
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client

from personalization.access.admin_base import AuditedModelAdmin
from personalization.access.models import AuditEvent
from personalization.lib.admin import ReadOnlyModelAdmin

pytestmark = pytest.mark.django_db
PASSWORD, NEW_PASSWORD = "a long and dull passphrase", "another long and dull passphrase"


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("root", password=PASSWORD))
    return client


def trail(action: str) -> AuditEvent:
    """The one line of this action; none of its text holds a password or its hash."""
    [line] = AuditEvent.objects.filter(action=action)
    told = json.dumps([line.before, line.after])
    assert "passphrase" not in told
    assert "pbkdf2" not in told
    assert '"password"' not in told
    assert line.actor == "root"
    return line


def _both(line: AuditEvent, name: str) -> tuple[Any, Any]:
    return (line.before or {})[name], (line.after or {})[name]


def account(user: User, **changed: Any) -> dict[str, Any]:
    given = {"username": user.username, "is_active": "on", "is_staff": "on", **changed}
    joined = user.date_joined
    return given | {"date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}"}


def test_admin__every_page__is_audited_or_read_only() -> None:
    unwatched = [
        model.__name__
        for model, page in admin.site._registry.items()
        if not isinstance(page, AuditedModelAdmin | ReadOnlyModelAdmin)
    ]

    assert unwatched == []


def test_user__added__line_without_password(staff: Client) -> None:
    given = {"username": "ann", "password1": PASSWORD, "password2": PASSWORD}

    answer = staff.post("/admin/auth/user/add/", {**given, "usable_password": "true"})

    assert answer.status_code == 302, answer.content
    line = trail("create")
    assert line.before is None
    assert (line.after or {})["username"] == "ann"


def test_user__given_a_role__line_says_before_and_after(staff: Client) -> None:
    user = User.objects.create_user("ann", is_staff=True)
    role = Group.objects.get(name="editor")

    answer = staff.post(f"/admin/auth/user/{user.pk}/change/", account(user, groups=[role.pk]))

    assert answer.status_code == 302, answer.content
    line = trail("update")
    assert _both(line, "groups") == ([], [role.pk])


def test_user__password_set_by_staff__line_says_so(staff: Client) -> None:
    user = User.objects.create_user("ann", password=PASSWORD)
    given = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}

    answer = staff.post(f"/admin/auth/user/{user.pk}/password/", given)

    assert answer.status_code == 302, answer.content
    assert trail("set_password").object_id == str(user.pk)


def test_user__password_refused__no_line(staff: Client) -> None:
    user = User.objects.create_user("ann", password=PASSWORD)
    given = {"password1": "short", "password2": "short", "usable_password": "true"}

    assert staff.post(f"/admin/auth/user/{user.pk}/password/", given).status_code == 200
    assert not AuditEvent.objects.exists()


def test_user__own_password_changed__line_says_so(staff: Client) -> None:
    given = {"old_password": PASSWORD, "new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD}

    answer = staff.post("/admin/password_change/", given)

    assert answer.status_code == 302, answer.content
    trail("set_password")


def test_user__deleted__line_says_who_it_was(staff: Client) -> None:
    user = User.objects.create_user("ann")

    staff.post(f"/admin/auth/user/{user.pk}/delete/", {"post": "yes"})

    assert not User.objects.filter(username="ann").exists()
    line = trail("delete")
    assert ((line.before or {})["username"], line.after) == ("ann", None)


def test_group__permissions_changed__line_says_before_and_after(staff: Client) -> None:
    group = Group.objects.create(name="helpers")

    staff.post(f"/admin/auth/group/{group.pk}/change/", {"name": "helpers", "permissions": [1]})

    line = trail("update")
    assert _both(line, "permissions") == ([], [1])
