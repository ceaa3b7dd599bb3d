"""Staff: their roles, the permissions of the role groups, and log-in links that work once."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, Group, Permission, User
from django.db import transaction
from django.db.models import QuerySet

from personalization.access.audit import audit
from personalization.access.engine import roles
from personalization.access.models import OneTimeLogin
from personalization.lib.errors import Unprocessable

LINK_TTL = timedelta(minutes=30)


def role_of(user: AbstractBaseUser | AnonymousUser | None) -> str:
    """Return the highest role of a user; "" for whoever is not active staff."""
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return ""
    if user.is_superuser:
        return "admin"
    return roles.highest(set(user.groups.values_list("name", flat=True)))


def sync_permissions(app_config: AppConfig, **kwargs: Any) -> None:
    """Give each role group its permissions on the models of one app. Called after `migrate`.

    Django makes permissions in the same moment, perhaps later: they are made here first. What an
    operator granted to a group besides stays.
    """
    using = kwargs.get("using", "default")
    create_permissions(app_config, verbosity=0, using=using)
    groups = {
        group.name: group for group in Group.objects.using(using).filter(name__in=roles.ROLES)
    }
    permissions = (
        Permission.objects.using(using)
        .filter(content_type__app_label=app_config.label)
        .select_related("content_type")
    )
    for role, group in groups.items():
        group.permissions.add(*(row for row in permissions if roles.grants(role, _plain(row))))


def create_login(*, username: str, role: str, actor: str, now: datetime) -> str:
    """Return a token that logs `username` in once within LINK_TTL; make the user if there is none.

    A new user has the role and no password; an existing one keeps what it has. One transaction.

    Raises
    ------
    Unprocessable
        The user exists and is no active member of staff, or there is no such role.
    """
    if role not in roles.ROLES:
        msg = f"there is no role {role!r}; it is one of {', '.join(roles.ROLES)}"
        raise Unprocessable(msg)
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        user = User.objects.filter(username=username).first()
        if user is None:
            user = User.objects.create_user(username, password=None, is_staff=True)
            user.groups.add(Group.objects.get(name=role))
            audit(actor=actor, action="create", obj=user, after={"role": role})
        if not user.is_active or not user.is_staff:
            msg = f"{username!r} is not active staff"
            raise Unprocessable(msg)
        link = OneTimeLogin.objects.create(
            sha256=_digest(token), user=user, expires_at=now + LINK_TTL
        )
        audit(actor=actor, action="create_login_link", obj=user, after={"link": link.pk})
    return token


def login_holds(token: str, *, now: datetime) -> bool:
    """Whether a token would log somebody in now; it is not used up."""
    return _unspent(token, now).filter(user__is_active=True, user__is_staff=True).exists()


def redeem_login(token: str, *, now: datetime) -> User | None:
    """Use a token up and return whom it logs in; None for one unknown, used or too old."""
    with transaction.atomic():
        if not _unspent(token, now).update(used_at=now):
            return None
        user = OneTimeLogin.objects.select_related("user").get(sha256=_digest(token)).user
        if not user.is_active or not user.is_staff:
            return None
        audit(actor=user.get_username(), action="log_in", obj=user, after={"by": "one-time link"})
    return user


def _unspent(token: str, now: datetime) -> QuerySet[OneTimeLogin]:
    return OneTimeLogin.objects.filter(sha256=_digest(token), used_at=None, expires_at__gt=now)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(row: Permission) -> roles.Permission:
    action = row.codename.partition("_")[0]
    return roles.Permission(row.content_type.app_label, row.content_type.model, action)
