"""Identity proof: a user id counts when the shop's secret vouches for it, and in no other case."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from personalization.access.engine import proof
from personalization.access.serve import Caller, identity_token, proven

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
BROWSER = Caller(1, "public", frozenset(), "browser")
SERVER = Caller(2, "secret", frozenset(), "server")


def test_make__documented_recipe__gives_the_same_token() -> None:
    mac = hmac.new(b"s3cret", b"u|1|1772370000", hashlib.sha256).digest()
    expected = base64.urlsafe_b64encode(mac).decode().rstrip("=") + ".1772370000"

    assert proof.make(secret="s3cret", user_id="u|1", expires_at_s=1_772_370_000) == expected


def test_holds__padded_signature__is_the_same() -> None:
    token = proof.make(secret="s", user_id="u", expires_at_s=2_000_000_000)
    signature, _, expiry = token.rpartition(".")

    assert proof.holds(secret="s", user_id="u", token=f"{signature}=.{expiry}", now_s=0.0)


def test_proven__token_of_that_user__until_its_expiry() -> None:
    token = identity_token("u1", expires_at=LATER)

    assert proven(BROWSER, "u1", token, now=NOW)
    assert not proven(BROWSER, "u1", token, now=LATER)
    assert not proven(BROWSER, "u2", token, now=NOW)


@pytest.mark.parametrize(
    "token",
    [None, "", ".", "a.b", "x.9999999999", ".9999999999", "é.9999999999", "x.٣", "x.-1", 7, {}],
)
def test_proven__malformed_token__is_no_proof(token: object) -> None:
    assert not proven(BROWSER, "u1", token, now=NOW)  # type: ignore[arg-type]


def test_proven__expiry_moved_by_the_browser__is_no_proof() -> None:
    signature = identity_token("u1", expires_at=NOW).rpartition(".")[0]

    assert not proven(BROWSER, "u1", f"{signature}.{int(LATER.timestamp())}", now=NOW)


def test_proven__bar_moved_between_id_and_expiry__is_no_proof() -> None:
    token = proof.make(secret="s", user_id="u|1", expires_at_s=2_000_000_000)

    assert not proof.holds(secret="s", user_id="u", token=token, now_s=0.0)


def test_proven__secret_key__needs_no_token() -> None:
    assert proven(SERVER, "u1", None, now=NOW)


def test_proven__proof_switched_off__believes_the_browser(settings: Settings) -> None:
    settings.IDENTITY_PROOF = "off"

    assert proven(BROWSER, "u1", None, now=NOW)


def test_holds__no_secret_configured__proves_nothing() -> None:
    token = proof.make(secret="", user_id="u", expires_at_s=2_000_000_000)

    assert not proof.holds(secret="", user_id="u", token=token, now_s=0.0)


@given(user=st.text(min_size=1), other=st.text(min_size=1), token=st.text())
def test_holds__any_text__only_the_made_token_of_that_user(
    user: str, other: str, token: str
) -> None:
    made = proof.make(secret="s", user_id=user, expires_at_s=2_000_000_000)

    assert proof.holds(secret="s", user_id=user, token=made, now_s=0.0)
    assert proof.holds(secret="s", user_id=other, token=made, now_s=0.0) == (user == other)
    assert not proof.holds(secret="s", user_id=user, token=token, now_s=0.0)
