"""A fresh picture of usual numbers, and clients that hold keys."""

import pytest
from django.test import Client

from personalization.access.services import create_key
from personalization.events import fates, logins, numbers
from personalization.events.engine.outliers import Pictures


@pytest.fixture(autouse=True)
def _no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "pictures", Pictures())
    fates._notes.clear()
    logins._refused.clear()


@pytest.fixture
def browser(db: None) -> Client:
    """A caller with a public key."""
    _row, key = create_key(name="shop", kind="public", actor="test")
    return Client(headers={"authorization": f"Bearer {key}"})


@pytest.fixture
def server(db: None) -> Client:
    """A caller with a secret key."""
    _row, key = create_key(name="back office", kind="secret", actor="test")
    return Client(headers={"authorization": f"Bearer {key}"})
