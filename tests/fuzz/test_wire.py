"""Whatever bytes arrive at `/v1`: no 5xx, no traceback, and refusals in the one error shape."""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Mapping
from urllib.parse import quote

import orjson
import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from personalization.access.services import create_key
from personalization.decisions.urls import ofrep
from personalization.events.models import Event
from personalization.urls import wire

pytestmark = pytest.mark.django_db

# One of each kind of door; the others are the same views by another name.
DOORS = (
    "/v1/track",
    "/v1/identify",
    "/v1/alias",
    "/v1/batch",
    "/v1/decide",
    "/v1/consent",
    "/ofrep/v1/evaluate/flags",
    "/ofrep/v1/evaluate/flags/new-checkout",
)
_ALIKE = ("page", "screen", "group", "t", "i", "p", "s", "g", "a", "b")
POST_PATHS = (*DOORS, *(f"/v1/{path}" for path in _ALIKE))
GET_PATHS = (
    "/v1/pixel.gif?data=",
    "/v1/recommendations/popular?userId=",
    "/v1/consent?anonymousId=",
)
every_door = pytest.mark.parametrize(
    "path", [*DOORS, *(pytest.param(f"/v1/{path}", marks=pytest.mark.deep) for path in _ALIKE)]
)

# What has broken JSON servers before: each is sent to every endpoint.
TRAPS = {
    "empty": b"",
    "null": b"null",
    "number": b"1",
    "list": b"[]",
    "cut": b'{"batch": [{"type": "track"',
    "nul_escaped": rb'{"type":"track","event":"a\u0000","anonymousId":"\u0000","userId":"\u0000"}',
    "nul_raw": b'{"type":"track","event":"a\x00b","anonymousId":"a1"}',
    "lone_surrogate": rb'{"type":"track","event":"\ud800","anonymousId":"\udfff"}',
    "nan": b'{"type":"track","event":"x","anonymousId":"a1","properties":{"v":NaN}}',
    "infinity": b'{"type":"track","event":"x","anonymousId":"a1","properties":{"v":1e400}}',
    "huge_integer": b'{"type":"track","event":"x","anonymousId":"a1","properties":{"v":'
    + b"9" * 400
    + b"}}",
    "deep_lists": b"[" * 10_000 + b"]" * 10_000,
    "deep_objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    # short enough for the pixel, too
    "deep_properties": b'{"type":"track","event":"x","anonymousId":"a1","properties":'
    + b'{"a":' * 3_000
    + b"1"
    + b"}" * 3_001,
    "duplicate_keys": (
        b'{"type":"track","type":"page","event":"x","event":"y","anonymousId":"a1",'
        b'"anonymousId":"a2"}'
    ),
    "prototype": (
        b'{"type":"track","event":"x","anonymousId":"a1",'
        b'"properties":{"__proto__":{"a":1},"constructor":1}}'
    ),
    "utf16": '{"type":"track"}'.encode("utf-16"),
    "bom": b'\xef\xbb\xbf{"type":"track","event":"x","anonymousId":"a1"}',
    "latin1": '{"event":"é"}'.encode("latin-1"),
    "ids_of_wrong_type": (
        b'{"type":"track","event":{},"anonymousId":[1],"userId":{"a":1},"messageId":7,'
        b'"timestamp":{}}'
    ),
    "far_times": (
        b'{"type":"track","event":"x","anonymousId":"a1",'
        b'"timestamp":"99999-01-01T00:00:00Z","sentAt":"0000-00-00"}'
    ),
    "batch_of_wrong_type": b'{"batch": {"a": 1}, "context": [], "sentAt": {}}',
    "batch_of_nulls": b'{"batch": [null, 1, "a", [], {}]}',
    "placements_of_wrong_type": (
        b'{"anonymousId":"a1","placements":[{"key":{},"count":"many","exclude":7}],'
        b'"flags":{"a":1},"context":5}'
    ),
    "recent_of_wrong_type": (
        b'{"anonymousId":"a1","placements":["x"],'
        b'"context":{"recent":[1,{"event":5,"item":{},"at":[]}],"cart":"x"}}'
    ),
    "long_ids": json.dumps(
        {"type": "track", "event": "x" * 5000, "anonymousId": "a" * 5000, "messageId": "m" * 5000}
    ).encode(),
    "context_of_wrong_type": (
        b'{"type":"track","event":"x","anonymousId":"a1","placements":["x"],"context":'
        b'{"device":{"type":{"a":1}},"session":{"id":[1]},"page":{"path":{}},"campaign":[1],'
        b'"locale":{},"timezone":[1],"location":{"country":{}},"ip":{},"userAgent":[1],'
        b'"consent":{"categoryPreferences":{"analytics":{}}}}}'
    ),
    "purposes_of_wrong_type": b'{"anonymousId":"a1","purposes":{"analytics":"yes","nothing":true}}',
}

BOMB = gzip.compress(b'{"batch": "' + b"a" * 50_000_000 + b'"}', compresslevel=1)


@pytest.fixture
def keyed() -> Client:
    """A client with a fresh public key."""
    _row, key = create_key(name="fuzz", kind="public", actor="test")
    return Client(headers={"authorization": f"Bearer {key}"}, raise_request_exception=False)


def answers_cleanly(
    client: Client, path: str, body: bytes, headers: Mapping[str, str] | None = None
) -> None:
    """Assert that the answer is no 5xx and that an error has our shape."""
    response = client.generic(
        "POST", path, body, content_type="application/json", headers=headers or {}
    )
    check(response.status_code, response.content, path)


def pictures_cleanly(client: Client, body: bytes) -> None:
    """Assert that the pixel answers a body by its picture, or as the other doors refuse."""
    data = base64.urlsafe_b64encode(body).decode().rstrip("=")
    response = client.get(f"/v1/pixel.gif?data={data}")
    if response.status_code == 200:
        assert response["Content-Type"] == "image/gif"
        assert response.content.startswith(b"GIF89a")
        return
    check(response.status_code, response.content, "/v1/pixel.gif")


def check(status: int, content: bytes, path: str) -> None:
    """Assert one answer."""
    assert status < 500, (path, status, content[:300])
    assert b"Traceback" not in content
    if status >= 400 and not path.startswith("/ofrep"):
        assert set(orjson.loads(content)["error"]) == {"code", "message", "details"}, (
            path,
            content[:300],
        )


def test_paths__all_that_are_fuzzed__are_those_served() -> None:
    fuzzed = {path.partition("?")[0] for path in (*POST_PATHS, *GET_PATHS)}
    served = [
        re.sub(r"<.*?>", "[^/]+", f"{root}{one.pattern}")
        for root, addresses in (("/v1/", wire), ("/ofrep/v1/", ofrep))
        for one in addresses
    ]

    assert [one for one in served if not any(re.fullmatch(one, path) for path in fuzzed)] == []


@every_door
@pytest.mark.parametrize("trap", TRAPS)
def test_wire__known_trap__answers_cleanly(keyed: Client, path: str, trap: str) -> None:
    answers_cleanly(keyed, path, TRAPS[trap])


@pytest.mark.parametrize("trap", TRAPS)
def test_pixel__known_trap__a_picture_or_a_clean_refusal(keyed: Client, trap: str) -> None:
    pictures_cleanly(keyed, TRAPS[trap])


@every_door
def test_wire__decompression_bomb__is_refused(keyed: Client, path: str) -> None:
    response = keyed.generic(
        "POST", path, BOMB, content_type="application/json", headers={"content-encoding": "gzip"}
    )
    assert response.status_code in {400, 413}


@every_door
@pytest.mark.parametrize(
    "body",
    [b"not gzip", zlib.compress(b"{}"), gzip.compress(b"{}")[:-4]],
    # gzip writes the time of day: ids made of it would differ between workers.
    ids=["not gzip", "zlib", "cut short"],
)
def test_wire__broken_gzip__answers_cleanly(keyed: Client, path: str, body: bytes) -> None:
    answers_cleanly(keyed, path, body, {"content-encoding": "gzip"})


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = (
    *("type", "event", "userId", "userToken", "anonymousId", "messageId", "timestamp"),
    *("originalTimestamp", "sentAt", "properties", "traits", "previousId", "context", "batch"),
    *("placements", "flags", "explain", "purposes", "source", "policyVersion", "writeKey"),
    *("name", "groupId"),
)
# each place of a context: what may stand in it, where it is an object
CONTEXT: Mapping[str, tuple[str, ...]] = {
    "device": ("type",),
    "session": ("id",),
    "page": ("path", "referrer", "url", "title", "search"),
    "campaign": ("name", "source"),
    "location": ("country",),
    "consent": ("categoryPreferences",),
    **dict.fromkeys(("locale", "timezone", "country", "ip", "userAgent", "recent", "cart"), ()),
}
contexts = st.fixed_dictionaries(
    {},
    optional={
        name: st.fixed_dictionaries(dict.fromkeys(inner, values)) if inner else values
        for name, inner in CONTEXT.items()
    },
)
bodies = st.dictionaries(st.sampled_from(FIELDS), values, max_size=10)
_FUZZ = settings.get_profile("fuzz")


@settings(_FUZZ, max_examples=100)
@given(path=st.sampled_from(POST_PATHS), body=st.binary(max_size=400))
def test_wire__random_bytes__answers_cleanly(keyed: Client, path: str, body: bytes) -> None:
    answers_cleanly(keyed, path, body)


@settings(_FUZZ, max_examples=200)
@given(path=st.sampled_from(POST_PATHS), body=bodies)
def test_wire__random_fields__answers_cleanly(
    keyed: Client, path: str, body: dict[str, object]
) -> None:
    answers_cleanly(keyed, path, json.dumps(body).encode())


@settings(_FUZZ, max_examples=60)
@given(batch=st.lists(bodies, max_size=6), context=values)
def test_batch__random_events__answers_cleanly(
    keyed: Client, batch: list[object], context: object
) -> None:
    answers_cleanly(keyed, "/v1/batch", json.dumps({"batch": batch, "context": context}).encode())


@settings(_FUZZ, max_examples=100)
@given(context=contexts, shared=contexts)
def test_context__any_json_in_its_places__answers_cleanly(
    keyed: Client, context: object, shared: object
) -> None:
    event = {"type": "track", "event": "Product Viewed", "anonymousId": "a1", "context": context}
    batch = {"batch": [event | {"properties": {"product_id": "p"}}], "context": shared}
    answers_cleanly(keyed, "/v1/batch", json.dumps(batch).encode())
    asked = {"anonymousId": "a1", "placements": ["x"], "context": context}
    answers_cleanly(keyed, "/v1/decide", json.dumps(asked).encode())


@pytest.mark.parametrize("kind", [{"a": 1}, [1], 1, True, None], ids=repr)
def test_batch__device_of_another_type__costs_no_event(keyed: Client, kind: object) -> None:
    event = {"type": "track", "event": "x", "anonymousId": "a1"}
    odd = event | {"context": {"device": {"type": kind}}}

    answer = keyed.post("/v1/batch", {"batch": [event, odd]}, content_type="application/json")

    assert answer.status_code == 200
    assert Event.objects.count() == 2


@settings(_FUZZ, max_examples=80)
@given(path=st.sampled_from(GET_PATHS), raw=st.binary(max_size=120))
def test_wire__random_query__answers_cleanly(keyed: Client, path: str, raw: bytes) -> None:
    response = keyed.get(path + base64.urlsafe_b64encode(raw).decode())
    if response.get("Content-Type") != "image/gif":
        check(response.status_code, response.content, path)


@settings(_FUZZ, max_examples=50)
@given(body=bodies | st.binary(max_size=400))
def test_pixel__random_fields_and_bytes__a_picture_or_a_clean_refusal(
    keyed: Client, body: dict[str, object] | bytes
) -> None:
    pictures_cleanly(keyed, body if isinstance(body, bytes) else json.dumps(body).encode())


# What a path may say: any text, and what a client or a scanner makes of it.
_ODD = ("\x00", "popular\x00", "..", ".", "%00", "a" * 5000, "\u202e", "\ufffe", "\U0010ffff")
segments = st.text(min_size=1, max_size=60) | st.sampled_from(_ODD)


@settings(_FUZZ, max_examples=100)
@given(strategy=segments)
def test_recommendations__random_strategy__answers_cleanly(keyed: Client, strategy: str) -> None:
    path = f"/v1/recommendations/{quote(strategy, safe='', errors='surrogatepass')}"
    response = keyed.get(path, {"userId": "u1"})
    check(response.status_code, response.content, path)


@settings(_FUZZ, max_examples=60)
@given(strategy=st.binary(min_size=1, max_size=60))
def test_recommendations__strategy_of_random_bytes__answers_cleanly(
    keyed: Client, strategy: bytes
) -> None:
    path = f"/v1/recommendations/{quote(strategy, safe='')}"
    response = keyed.get(path, {"userId": "u1"})
    check(response.status_code, response.content, path)


@pytest.mark.deep
@settings(_FUZZ, max_examples=30_000)
@given(path=st.sampled_from(POST_PATHS), body=bodies | st.binary(max_size=2000))
def test_wire__many_inputs__answer_cleanly(keyed: Client, path: str, body: object) -> None:
    answers_cleanly(keyed, path, body if isinstance(body, bytes) else json.dumps(body).encode())


ODD_HEADERS = (
    {"authorization": "Bearer \x00"},
    {"authorization": "Basic !!!!"},
    {"authorization": "Basic " + base64.b64encode(b"\xff\xfe:").decode()},
    {"content-length": "abc"},
    {"content-encoding": "br"},
    {"x-forwarded-for": "not an address, \x01"},
    {"user-agent": "\u20ac" * 3000},
    {"sec-gpc": "maybe"},
    {"origin": "null"},
)


@pytest.mark.parametrize("headers", ODD_HEADERS, ids=lambda headers: next(iter(headers)))
@every_door
def test_wire__odd_headers__answers_cleanly(
    keyed: Client, path: str, headers: dict[str, str]
) -> None:
    answers_cleanly(
        keyed, path, b'{"type":"track","event":"x","anonymousId":"a1","placements":[]}', headers
    )
