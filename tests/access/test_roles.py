"""Roles of staff: four groups, each with the permissions of the one before and more."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User

from personalization.access.engine import roles
from personalization.access.engine.roles import Permission
from personalization.access.staff import role_of

pytestmark = pytest.mark.django_db


def staff(*groups: str, **fields: bool) -> User:
    wanted: dict[str, Any] = {"is_staff": True, **fields}
    user = User.objects.create_user("ann", password=None, **wanted)
    user.groups.set(Group.objects.filter(name__in=groups))
    return User.objects.get(pk=user.pk)


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("viewer", "content.view_campaign", "content.change_campaign"),
        ("viewer", "events.view_rejectedevent", "access.view_apikey"),
        ("editor", "content.change_campaign", "ops.change_configversion"),
        ("editor", "catalog.add_product", "recommender.change_modelversion"),
        ("editor", "events.change_eventschema", "recommender.change_strategy"),
        ("editor", "customers.change_trait", "events.change_rejectedevent"),
        ("publisher", "ops.change_configversion", "access.add_apikey"),
        ("publisher", "recommender.change_strategy", "auth.change_user"),
        ("publisher", "content.delete_block", "consent.change_purpose"),
        ("admin", "access.add_apikey", "sessions.view_session"),
        ("admin", "auth.change_user", "contenttypes.change_contenttype"),
    ],
)
def test_group__after_migrate__holds_its_permissions(role: str, may: str, may_not: str) -> None:
    user = staff(role)

    assert user.has_perm(may)
    assert not user.has_perm(may_not)


def test_grants__each_role__contains_the_one_before() -> None:
    permissions = [
        Permission(app, model, action)
        for app in ("content", "ops", "access", "auth", "customers", "sessions")
        for model in ("campaign", "configversion", "apikey", "user", "trait", "customer")
        for action in ("view", "add", "change", "delete")
    ]
    for below, above in zip(roles.ROLES, roles.ROLES[1:], strict=False):
        held = {p for p in permissions if roles.grants(below, p)}
        assert held <= {p for p in permissions if roles.grants(above, p)}


@pytest.mark.parametrize(
    ("app", "model", "action", "role"),
    [
        ("content", "block", "view", "viewer"),
        ("content", "block", "change", "editor"),
        ("recommender", "strategy", "change", "publisher"),
        ("events", "rejectedevent", "change", "publisher"),
        ("ops", "jobrun", "change", "publisher"),
        ("access", "apikey", "view", "admin"),
        ("sessions", "session", "view", "admin"),
    ],
)
def test_needed__permission__lowest_role_of_the_table(
    app: str, model: str, action: str, role: str
) -> None:
    assert roles.needed(Permission(app, model, action)) == role


@pytest.mark.parametrize(
    ("groups", "fields", "expected"),
    [
        (["viewer"], {}, "viewer"),
        (["viewer", "publisher"], {}, "publisher"),
        ([], {"is_superuser": True}, "admin"),
        ([], {}, ""),
        (["admin"], {"is_staff": False}, ""),
        (["admin"], {"is_active": False}, ""),
    ],
)
def test_role_of__user__is_the_highest_of_active_staff(
    groups: list[str], fields: dict[str, bool], expected: str
) -> None:
    assert role_of(staff(*groups, **fields)) == expected


def test_role_of__nobody__is_none() -> None:
    assert role_of(None) == ""
    assert role_of(AnonymousUser()) == ""
