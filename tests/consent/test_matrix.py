"""Nothing fires without consent: every endpoint x purpose x way in which it is denied, generated.

A row of the matrix prepares an identity for which one purpose is denied and all others hold, calls
one endpoint as a browser does, and looks at what was stored and answered. The control rows, with
everything granted, show that each call would have fired.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from personalization.access.serve import identity_token
from personalization.access.services import create_key
from personalization.consent import services
from personalization.consent.models import Purpose
from personalization.consent.serve import purposes
from personalization.content.services import upsert_placement
from personalization.customers import serve as customers
from personalization.customers.models import Identity
from personalization.customers.services import create_identities, log_in
from personalization.events.engine.flags import MINIMISED
from personalization.events.urls import wire
from personalization.lib import clock, redisclient
from personalization.ops import serve as config

pytestmark = pytest.mark.django_db
USER, DEVICE = Identity.Kind.USER, Identity.Kind.ANONYMOUS
PURPOSES = ("analytics", "personalization", "marketing")


@dataclass(frozen=True)
class Denied:
    """How one purpose came to be denied, as a call shows it."""

    ids: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    preferences: Mapping[str, bool] = field(default_factory=dict)


def _proven(user: str) -> dict[str, str]:
    token = identity_token(user, expires_at=clock.now() + timedelta(hours=1))
    return {"userId": user, "userToken": token}


def _say(kind: int, value: str, word: Mapping[str, bool], *, after_s: int = 0) -> None:
    services.record(
        identity=(kind, value),
        purposes=word,
        source="matrix",
        policy_version="1",
        now=clock.now() + timedelta(seconds=after_s),
    )


def _default(purpose: str, **values: bool) -> None:
    row = Purpose.objects.get(key=purpose)
    for name, value in values.items():
        setattr(row, name, value)
    services.save_purpose(row, actor="matrix")


def _by_default(purpose: str, name: str) -> Denied:
    _default(purpose, default_granted=False)
    return Denied({"anonymousId": name})


def _by_browser_signal(purpose: str, name: str) -> Denied:
    for key in PURPOSES:
        _default(key, gpc_denies=key == purpose)
    _say(DEVICE, name, {purpose: True})
    return Denied({"anonymousId": name}, headers={"sec-gpc": "1"})


def _by_the_call(purpose: str, name: str) -> Denied:
    _say(DEVICE, name, {purpose: True})
    return Denied({"anonymousId": name}, preferences={purpose: False})


def _by_the_device(purpose: str, name: str) -> Denied:
    _say(DEVICE, name, {purpose: True})
    _say(DEVICE, name, {purpose: False}, after_s=1)
    return Denied({"anonymousId": name})


def _by_the_user(purpose: str, name: str) -> Denied:
    _say(USER, name, {purpose: False})
    return Denied({**_proven(name), "anonymousId": f"{name}-phone"})


def _by_the_user_elsewhere(purpose: str, name: str) -> Denied:
    """The word was said on a laptop; the phone calls after a log-out."""
    phone, laptop = f"{name}-phone", f"{name}-laptop"
    create_identities([(USER, name), (DEVICE, phone), (DEVICE, laptop)], now=clock.now())
    for device in (phone, laptop):
        log_in(user=name, device=device, now=clock.now())
    _say(DEVICE, laptop, {purpose: False})
    return Denied({"anonymousId": phone})


def _by_the_device_before_the_merge(purpose: str, name: str) -> Denied:
    phone = f"{name}-phone"
    _say(USER, name, {purpose: True})
    _say(DEVICE, phone, {purpose: False}, after_s=1)
    log_in(user=name, device=phone, now=clock.now())
    return Denied({**_proven(name), "anonymousId": phone})


def _by_the_device_with_a_claimed_user(purpose: str, name: str) -> Denied:
    """A user id without proof must not lend its consent to the browser."""
    _say(USER, f"{name}-other", {purpose: True})
    _say(DEVICE, name, {purpose: False})
    return Denied({"userId": f"{name}-other", "anonymousId": name})


STATES: dict[str, Callable[[str, str], Denied]] = {
    state.__name__[1:]: state
    for state in (
        _by_default,
        _by_browser_signal,
        _by_the_call,
        _by_the_device,
        _by_the_user,
        _by_the_user_elsewhere,
        _by_the_device_before_the_merge,
        _by_the_device_with_a_claimed_user,
    )
}
EVENTS = {
    **{path: path for path in ("track", "identify", "page", "screen", "group", "alias")},
    "t": "track",
    "i": "identify",
    "p": "page",
    "s": "screen",
    "g": "group",
    "a": "alias",
    "batch": "track",
    "b": "identify",
    "pixel.gif": "track",
}
DECISIONS = ("decide", "recommendations", "ofrep")
# Of each kind of event door one; the others are the same view for another type or by another name.
_DOORS = {"track", "identify", "batch", "pixel.gif"}


def test_matrix__event_paths__are_those_served() -> None:
    assert set(EVENTS) == {str(served.pattern) for served in wire}


def _cases(endpoints: Iterable[str], differs: Callable[[str, str, str], bool]) -> list[Any]:
    """Return the product endpoint x state x purpose; rows that differ in nothing new are deep."""
    return [
        pytest.param(*row, marks=() if differs(*row) else pytest.mark.deep)
        for row in product(endpoints, STATES, PURPOSES)
        if _expressible(row[0], row[1])
    ]


def _expressible(endpoint: str, state: str) -> bool:
    """Calls without a body have no context to restrict themselves by."""
    return state != "by_the_call" or endpoint not in {"recommendations", "consent"}


def _event_differs(path: str, state: str, purpose: str) -> bool:
    """Every state and purpose by one door, each kind of door's minimising, each path once."""
    if path == "track" or state == "by_the_device":
        return path == "track" or purpose != "marketing"
    return path in _DOORS and purpose == "personalization"


def _decision_differs(endpoint: str, state: str, purpose: str) -> bool:
    """Every state and purpose by one endpoint; by the others the purpose that decides."""
    return endpoint == "decide" or purpose == "personalization" or state == "by_the_device"


@pytest.fixture
def browser(db: None) -> Client:
    """Return a browser of a shop in which everything is granted by default."""
    return _browser()


def _browser() -> Client:
    for key in PURPOSES:
        _default(key, default_granted=True, gpc_denies=False)
    upsert_placement(
        key="shelf",
        values={"kind": "recommendations", "strategy": "for-you", "count": 3},
        actor="matrix",
    )
    _row, key = create_key(name="matrix", kind="public", actor="matrix")
    config.reload()
    return Client(headers={"authorization": f"Bearer {key}"})


def _send(client: Client, path: str, denied: Denied) -> dict[str, Any]:
    event = {
        "type": EVENTS[path],
        "event": "Product Viewed",
        "name": "Home",
        "groupId": "g1",
        "previousId": "m1-before",
        "traits": {"tier": "gold"},
        "properties": {"product_id": "sku1"},
        "context": {"consent": {"categoryPreferences": dict(denied.preferences)}},
        # An alias call must name a user; this one is not proven, so it counts for nothing.
        **({"userId": "claimed"} if EVENTS[path] == "alias" else {}),
        **denied.ids,
    }
    if path == "pixel.gif":
        data = base64.urlsafe_b64encode(json.dumps(event).encode()).decode()
        answer = client.get("/v1/pixel.gif", {"data": data}, headers=dict(denied.headers))
        assert answer.status_code == 200, answer.content
        return {}
    body = {"batch": [event]} if path in {"batch", "b"} else event
    told = _post(client, f"/v1/{path}", body, denied)
    assert not told["rejected"], told
    return told


def _post(client: Client, path: str, body: Mapping[str, Any], denied: Denied) -> dict[str, Any]:
    answer = client.post(
        path, json.dumps(body), content_type="application/json", headers=dict(denied.headers)
    )
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def _ask(client: Client, endpoint: str, denied: Denied) -> dict[str, Any]:
    """Return what is told about the one shelf or flag."""
    if endpoint == "recommendations":
        answer = client.get(
            "/v1/recommendations/for-you", dict(denied.ids), headers=dict(denied.headers)
        )
        assert answer.status_code == 200, answer.content
        return dict(answer.json())
    consent = {"categoryPreferences": dict(denied.preferences)}
    if endpoint == "ofrep":
        context = {"targetingKey": "unit", "consent": consent, **denied.ids}
        return _post(client, "/ofrep/v1/evaluate/flags", {"context": context}, denied)
    body = {"placements": ["shelf"], "context": {"consent": consent}, **denied.ids}
    told = _post(client, "/v1/decide", body, denied)["placements"]["shelf"]
    return dict(told)


def _rows() -> list[tuple[int, int, Any]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT purposes, flags, traits FROM events_event")
        return list(cursor.fetchall())


@pytest.mark.parametrize(("path", "state", "purpose"), _cases(EVENTS, _event_differs))
def test_event__purpose_denied__is_not_stored_for_it(
    browser: Client, path: str, state: str, purpose: str
) -> None:
    denied = STATES[state](purpose, "m1")

    answer = _send(browser, path, denied)

    bit = purposes().bit(purpose)
    rows = _rows()
    if purpose == "analytics":
        assert rows == []
        assert answer.get("withheld", 1) == 1
        return
    [(mask, flags, traits)] = rows
    assert mask == sum(purposes().bit(key) for key in PURPOSES) & ~bit
    if purpose == "personalization":
        assert flags & MINIMISED
        assert traits is None


@pytest.mark.parametrize(("endpoint", "state", "purpose"), _cases(DECISIONS, _decision_differs))
def test_decision__purpose_denied__is_not_personal_without_personalization(
    browser: Client, endpoint: str, state: str, purpose: str
) -> None:
    denied = STATES[state](purpose, "m1")

    told = _ask(browser, endpoint, denied)

    if endpoint == "ofrep":
        # No flags exist yet, so the answer is always empty: this gets its teeth with the first one.
        assert "token" not in json.dumps(told)
        return
    personal = purpose != "personalization"
    assert told["reason"] == ("personal" if personal else "no_consent")
    assert ("token" in told) == personal


@pytest.mark.parametrize(("_endpoint", "state", "purpose"), _cases(["consent"], lambda *_row: True))
def test_consent__purpose_denied__says_so(
    browser: Client, _endpoint: str, state: str, purpose: str
) -> None:
    denied = STATES[state](purpose, "m1")

    told = browser.get("/v1/consent", dict(denied.ids), headers=dict(denied.headers)).json()

    assert told["purposes"] == {key: key != purpose for key in PURPOSES}


@pytest.mark.parametrize("path", EVENTS)
def test_event__everything_granted__is_stored_for_all(browser: Client, path: str) -> None:
    answer = _send(browser, path, Denied({"anonymousId": "m1"}))

    [(mask, flags, _traits)] = _rows()
    assert mask == sum(purposes().bit(key) for key in PURPOSES)
    assert not flags & MINIMISED
    assert answer.get("accepted", 1) == 1


@pytest.mark.parametrize("endpoint", ["decide", "recommendations"])
def test_decision__everything_granted__is_personal(browser: Client, endpoint: str) -> None:
    told = _ask(browser, endpoint, Denied({"anonymousId": "m1"}))

    assert told["reason"] == "personal"
    assert told["token"]


def _known_of(denied: Denied) -> dict[str, Any]:
    """Return what serving would know of whoever sent the call."""
    proven = denied.ids.get("userId") if "userToken" in denied.ids else None
    read = customers.read(user_id=proven, anonymous_id=denied.ids["anonymousId"])
    assert read.source in {"redis", "postgres"}, read
    return dict(read.document.parts.get("profile", {})) if read.document else {}


@pytest.mark.django_db(transaction=True)
def test_profile__events_of_every_kind_without_personalization__holds_nothing_of_them() -> None:
    client = _browser()
    # These change defaults for everybody and would deny the control as well.
    states = {s: make for s, make in STATES.items() if s not in {"by_default", "by_browser_signal"}}
    cases = {
        (state, path): make("personalization", f"{state}-{path}")
        for state, make in states.items()
        for path in EVENTS
    }
    control = Denied({"anonymousId": "control"})
    for (_state, path), denied in cases.items():
        _send(client, path, denied)
    _send(client, "track", control)

    call_command("process", "--once")

    assert _known_of(control).get("recent")
    fired = {case: held for case, denied in cases.items() if (held := _history(denied))}
    assert fired == {}


def _history(denied: Denied) -> dict[str, Any]:
    return {key: value for key, value in _known_of(denied).items() if key in _TAUGHT and value}


_TAUGHT = {"recent", "bought", "cart", "traits", "orders"}


@pytest.mark.django_db(transaction=True)
def test_profile__batch_in_flight_when_consent_ends__learns_nothing() -> None:
    client = _browser()
    denied = Denied({"anonymousId": "m1"})
    _send(client, "track", denied)

    _post(client, "/v1/consent", {**denied.ids, "purposes": {"personalization": False}}, denied)
    call_command("process", "--once")

    assert _history(denied) == {}
    assert _ask(client, "decide", denied)["reason"] == "no_consent"


@pytest.mark.django_db(transaction=True)
def test_profile__withdrawn_after_it_was_learnt__is_empty_once_processed() -> None:
    client = _browser()
    denied = Denied({"anonymousId": "m1"})
    _send(client, "track", denied)
    call_command("process", "--once")
    assert _history(denied)

    _post(client, "/v1/consent", {**denied.ids, "purposes": {"personalization": False}}, denied)

    assert _ask(client, "decide", denied)["reason"] == "no_consent"
    call_command("process", "--once")
    assert _history(denied) == {}


@pytest.mark.django_db(transaction=True)
def test_decision__redis_away_while_withdrawing_and_back_again__does_not_resurrect(
    settings: Settings,
) -> None:
    client = _browser()
    denied = Denied({"anonymousId": "m1"})
    _post(client, "/v1/consent", {**denied.ids, "purposes": {"personalization": True}}, denied)
    assert _ask(client, "decide", denied)["reason"] == "personal"
    good = settings.CACHE_REDIS_URL

    settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
    redisclient.reset()
    _post(client, "/v1/consent", {**denied.ids, "purposes": {"personalization": False}}, denied)
    meanwhile = _ask(client, "decide", denied)["reason"]
    settings.CACHE_REDIS_URL = good
    redisclient.reset()

    assert meanwhile == "no_consent"
    assert _ask(client, "decide", denied)["reason"] == "no_consent"


@pytest.mark.django_db(transaction=True)
def test_decision__killed_between_commit_and_refresh__does_not_resurrect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = _browser()
    denied = Denied({"anonymousId": "m1"})
    _post(client, "/v1/consent", {**denied.ids, "purposes": {"personalization": True}}, denied)
    assert _ask(client, "decide", denied)["reason"] == "personal"

    def die(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(services, "_refresh", die)
    with pytest.raises(KeyboardInterrupt):
        _say(DEVICE, "m1", {"personalization": False}, after_s=1)

    assert _ask(client, "decide", denied)["reason"] == "no_consent"
