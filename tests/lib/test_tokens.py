"""Decision tokens: only ours, only fresh, only for their unit."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from personalization.lib import tokens

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLAIMS = tokens.Claims(
    decision_id=UUID(int=7),
    placement="home.hero",
    experiment="hero-test",
    arm="b",
    propensity=0.25,
    strategy="similar",
    model_version=41,
    items_digest=tokens.items_digest([("sku1", "item_knn")]),
)


def test_verify__own_token__same_claims() -> None:
    token = tokens.sign(CLAIMS, unit="u1", now=NOW)
    assert tokens.verify(token, unit="u1", now=NOW) == CLAIMS
    assert len(token) < 200


@pytest.mark.parametrize(
    ("unit", "later_s", "code"),
    [("u2", 0, "token_foreign"), ("u1", 24 * 3600, "token_expired")],
)
def test_verify__foreign_or_stale__refused(unit: str, later_s: int, code: str) -> None:
    token = tokens.sign(CLAIMS, unit="u1", now=NOW)
    with pytest.raises(tokens.TokenInvalid) as caught:
        tokens.verify(token, unit=unit, now=NOW + timedelta(seconds=later_s))
    assert caught.value.code == code


def test_verify__any_bit_flipped__refused() -> None:
    token = tokens.sign(CLAIMS, unit="u1", now=NOW)
    raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for at in range(len(raw)):
        forged = bytearray(raw)
        forged[at] ^= 1
        text = urlsafe_b64encode(bytes(forged)).decode().rstrip("=")
        with pytest.raises(tokens.TokenInvalid):
            tokens.verify(text, unit="u1", now=NOW)


@given(st.text(max_size=1200))
def test_verify__garbage__refused(text: str) -> None:
    with pytest.raises(tokens.TokenInvalid):
        tokens.verify(text, unit="u1", now=NOW)


def test_verify__secret_rotated__fallback_still_counts(settings: Settings) -> None:
    settings.SECRET_KEY = "old" * 20
    token = tokens.sign(CLAIMS, unit="u1", now=NOW)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, ["old" * 20]
    assert tokens.verify(token, unit="u1", now=NOW) == CLAIMS
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(tokens.TokenInvalid):
        tokens.verify(token, unit="u1", now=NOW)


def test_items_digest__other_order_or_source__other_digest() -> None:
    one = tokens.items_digest([("a", "s"), ("b", "s")])
    assert one != tokens.items_digest([("b", "s"), ("a", "s")])
    assert one != tokens.items_digest([("a", "t"), ("b", "s")])


def test_sign__field_too_long__says_so() -> None:
    with pytest.raises(ValueError, match="shorten"):
        tokens.sign(tokens.Claims(UUID(int=1), "x" * 300), unit="u", now=NOW)
