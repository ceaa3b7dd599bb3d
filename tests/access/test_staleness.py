"""What is of no more use goes; what still is stays."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from personalization.access import idempotency, staleness
from personalization.access.models import IdempotentWrite, OneTimeLogin
from personalization.access.tasks import drop_stale
from personalization.lib import clock

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def rows(*, ended: datetime, name: str) -> None:
    user, _ = User.objects.get_or_create(username="ann")
    IdempotentWrite.objects.create(
        actor="a", key=name, digest="d", status=200, at=ended - idempotency.KEPT
    )
    OneTimeLogin.objects.create(sha256=name, user=user, expires_at=ended - staleness.LINKS_KEPT)
    Session.objects.create(session_key=name, session_data="", expire_date=ended)


def test_drop_stale__old_and_new__old_rows_of_each_kind_go() -> None:
    rows(ended=NOW - SECOND, name="old")
    rows(ended=NOW + SECOND, name="new")

    dropped = staleness.drop_stale(now=NOW)

    assert dropped == staleness.Dropped(writes=1, links=1, sessions=1)
    assert IdempotentWrite.objects.get().key == "new"
    assert OneTimeLogin.objects.get().sha256 == "new"
    assert Session.objects.get().session_key == "new"


def test_drop_stale_task__twice__drops_once() -> None:
    rows(ended=NOW - SECOND, name="old")

    with clock.frozen(NOW):
        drop_stale()
        drop_stale()

    assert not Session.objects.exists()
