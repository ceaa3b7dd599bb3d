"""`/api/segments/`: what each address answers, who may, and that nothing sent to it makes a 5xx."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from personalization.catalog.services import upsert_categories, upsert_products
from personalization.consent import services as consent
from personalization.customers.models import Customer
from personalization.events.models import EventSchema
from personalization.lib import clock
from personalization.ops.services import publish
from segments import diffs, services, upkeep
from segments.models import Segment, SegmentVersion
from tests.access.test_api import code, member
from tests.events.calls import post, viewed
from tests.events.processor.log import DEVICE, NOW, USER
from tests.segments.live.world import count, go_live, members, take_in
from tests.segments.people import VIEWED, customer, server, shop, viewers

pytestmark = pytest.mark.django_db(transaction=True)
ROOT = "/api/segments/"
ONCE: Any = count(value=1)


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    Segment.objects.filter(built_in=True).delete()
    with clock.frozen(NOW + timedelta(minutes=5)):
        yield


@pytest.fixture
def back_office() -> Client:
    return server("admin")


def ask(client: Client, method: str, path: str, body: Any = None, **query: str) -> Any:
    address = f"{ROOT}{path}"
    if method == "get":
        return client.get(address, query)
    return getattr(client, method)(address, body, content_type="application/json")


def told(client: Client, method: str, path: str, body: Any = None, **query: str) -> Any:
    answer = ask(client, method, path, body, **query)
    assert answer.status_code in (200, 201), answer.content
    return answer.json()


def uuid(value: str, kind: int = USER) -> str:
    return str(Customer.objects.get(pk=customer(value, kind)).uuid)


# --- Segments and versions ---


def test_create__valid_rule__a_draft_with_its_sentence(back_office: Client) -> None:
    body = {"key": "viewers", "title": "Viewers", "rule": VIEWED}

    made = told(back_office, "post", "", body)

    assert (made["key"], made["status"], made["version"], made["draft"]) == (
        "viewers", "draft", None, 1,
    )  # fmt: skip
    [version] = made["versions"]
    assert (version["status"], version["created_by"][:4]) == ("draft", "key:")
    assert version["sentence"].startswith("Customers who did")
    assert told(back_office, "get", "viewers/") == made


def test_create__sent_again_with_its_key__is_answered_again(back_office: Client) -> None:
    body = {"key": "viewers", "rule": VIEWED}
    sent = [
        back_office.post(
            ROOT, body, content_type="application/json", headers={"Idempotency-Key": "k1"}
        )
        for _ in range(2)
    ]

    assert [one.status_code for one in sent] == [201, 201]
    assert sent[1].headers["Idempotent-Replay"] == "true"
    assert ask(back_office, "post", "", body).status_code == 409


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"key": "viewers"}, "rule"),
        ({"key": "Viewers", "rule": VIEWED}, "key"),
        ({"key": "lists", "rule": VIEWED}, "key"),
        ({"key": "viewers", "rule": {"and": []}}, "and"),
        ({"key": "viewers", "rule": {**VIEWED, "op": "more"}}, "op"),
        ({"key": "viewers", "rule": {"kind": "segment", "key": "viewers"}}, "key"),
    ],
)
def test_create__faults__each_with_its_path(back_office: Client, body: Any, path: str) -> None:
    answer = ask(back_office, "post", "", body)

    assert answer.status_code == 422
    assert {one["path"] for one in answer.json()["error"]["details"]} == {path}
    assert not Segment.objects.exists()


def test_versions__draft_shadow_publish_and_back(back_office: Client) -> None:
    viewers()

    draft = told(back_office, "put", "viewers/draft/", {"rule": ONCE, "note": "wider"})
    assert (draft["number"], draft["status"], draft["note"]) == (2, "draft", "wider")
    shadow = told(back_office, "post", "viewers/shadow/")
    assert (shadow["status"], shadow["progress"], shadow["size"]) == ("shadow", 0.0, 0)
    take_in()
    assert told(back_office, "get", "viewers/")["shadow"] == 2
    assert told(back_office, "post", "viewers/publish/")["status"] == "published"
    assert len(members("viewers")) == 3

    assert told(back_office, "post", "viewers/rollback/")["number"] == 1
    assert len(members("viewers")) == 2
    assert ask(back_office, "post", "viewers/versions/2/stop/").status_code == 204
    assert ask(back_office, "post", "viewers/rollback/").status_code == 409
    assert ask(back_office, "post", "viewers/versions/1/stop/").status_code == 409
    assert ask(back_office, "post", "viewers/versions/7/stop/").status_code == 404


def test_update_and_delete__texts_change_and_what_is_named_stays(back_office: Client) -> None:
    viewers()
    rule = {"kind": "segment", "key": "viewers"}
    services.create_segment(key="others", values={}, rule=rule, actor="test")

    changed = told(back_office, "patch", "viewers/", {"title": "All viewers"})
    assert (changed["title"], changed["dependents"]) == (
        "All viewers", [{"where": "segments.others", "what": "segment others"}],
    )  # fmt: skip
    refused = ask(back_office, "delete", "viewers/")
    assert (refused.status_code, code(refused)) == (409, "segment_used")
    assert refused.json()["error"]["details"] == [
        {"path": "segments.others", "problem": "segment others"}
    ]
    assert ask(back_office, "delete", "others/").status_code == 204
    assert ask(back_office, "delete", "viewers/").status_code == 204
    assert not Segment.objects.exists()


def test_list__sizes_now_and_a_trend(back_office: Client) -> None:
    viewers()
    upkeep.measure(now=NOW - timedelta(days=1))
    upkeep.measure(now=NOW)

    page = told(back_office, "get", "")

    [row] = page["results"]
    assert (row["size"], row["status"], row["version"]) == (2, "live", 1)
    assert [point["members"] for point in row["trend"]] == [2, 2]
    assert row["as_of"].startswith("2026-03-01T12:05")
    assert (page["next"], page["previous"]) == (None, None)


def test_list__pages__by_cursor(back_office: Client) -> None:
    for number in range(3):
        services.create_segment(key=f"s{number}", values={}, rule=VIEWED, actor="test")

    first = told(back_office, "get", "", page_size="2")
    second = back_office.get(first["next"]).json()

    assert [row["key"] for row in first["results"] + second["results"]] == ["s0", "s1", "s2"]


def test_diff__live_versions__by_the_table_with_samples(back_office: Client) -> None:
    viewers()
    services.save_draft(key="viewers", rule=count(op="eq", value=1), actor="test")
    services.start_shadow(key="viewers", actor="test")
    take_in()

    found = told(back_office, "get", "viewers/diff/")

    assert (found["from_number"], found["to_number"], found["exact"]) == (1, 2, True)
    assert (found["entering"], found["leaving"], found["staying"]) == (1, 2, 0)
    assert [one["label"] for one in found["samples"]["entering"]] == ["u2"]
    assert {one["id"] for one in found["samples"]["leaving"]} == {uuid("u1"), uuid("a1", DEVICE)}


def test_diff__a_draft__by_sql_and_sampled_above_the_limit(
    back_office: Client, settings: Any
) -> None:
    viewers()
    services.save_draft(key="viewers", rule=ONCE, actor="test")

    found = told(back_office, "get", "viewers/diff/", **{"from": "1", "to": "2"})
    assert (found["entering"], found["leaving"], found["staying"]) == (1, 0, 2)
    assert (found["exact"], found["margin"]) == (True, None)

    settings.SEGMENT_PREVIEW_EXACT = 1
    sampled = told(back_office, "get", "viewers/diff/")
    assert sampled["exact"] is False
    assert sampled["margin"] >= 0


def test_diff__first_version__everybody_enters() -> None:
    shop()
    services.create_segment(key="viewers", values={}, rule=VIEWED, actor="test")

    found = diffs.diff(None, SegmentVersion.objects.get(), now=clock.now())

    assert (found.from_number, found.entering, found.staying) == (None, 2, 0)


# --- People ---


def test_members__pages_by_customer_with_ids_and_since_when(back_office: Client) -> None:
    viewers()

    first = told(back_office, "get", "viewers/members/", page_size="1")
    second = back_office.get(first["next"]).json()

    assert first["results"] == [
        {"uuid": uuid("u1"), "user_ids": ["u1"], "entered_at": "2026-03-01T12:01:00Z"}
    ]
    assert [one["uuid"] for one in second["results"]] == [uuid("a1", DEVICE)]


def test_members__personalization_withdrawn__left_out_before_the_rebuild(
    back_office: Client,
) -> None:
    viewers()
    consent.record(
        identity=(USER, "u1"),
        purposes={"personalization": False},
        source="test",
        policy_version="1",
        now=NOW + timedelta(minutes=4),
    )

    found = told(back_office, "get", "viewers/members/")["results"]

    assert len(members("viewers")) == 2
    assert [one["uuid"] for one in found] == [uuid("a1", DEVICE)]
    assert told(back_office, "get", "viewers/")["size"] == 1


def test_history__entries_and_exits__newest_first(back_office: Client) -> None:
    viewers()

    found = told(back_office, "get", "viewers/history/")["results"]

    assert [(one["uuid"], one["entered"], one["cause"], one["event"]) for one in found] == [
        (uuid("a1", DEVICE), True, "event", "Product Viewed"),
        (uuid("u1"), True, "event", "Product Viewed"),
    ]


def test_explain__each_condition_with_what_decided(back_office: Client) -> None:
    viewers()

    found = told(back_office, "get", "viewers/explain/", customer="u1")

    assert (found["customer"], found["member"], found["recorded"]) == (uuid("u1"), True, True)
    assert found["turns_at"] == "2026-03-08T12:00:00Z"
    assert (found["rule"]["value"], found["rule"]["at"]) == (2, "2026-03-01T12:01:00Z")
    for term in (uuid("u1"), str(customer("u1"))):
        assert told(back_office, "get", "viewers/explain/", customer=term) == found
    assert not told(back_office, "get", "viewers/explain/", customer="u2")["member"]


def test_customer__segments_with_reasons_and_what_is_held(back_office: Client) -> None:
    viewers()

    found = back_office.get(f"/api/customers/{uuid('u1')}/").json()
    held = back_office.get(f"/api/customers/{uuid('u1')}/export/").json()

    [segment] = found["segments"]
    assert (segment["key"], segment["version"]) == ("viewers", 1)
    assert [one["value"] for one in segment["reasons"]] == [2]
    assert held["held"]["segments"]["memberships"][0]["segment"] == "viewers"


# --- Beside segments ---


def described() -> None:
    EventSchema.objects.get_or_create(name="Product Viewed")
    publish(actor="test")


def test_preview__before_saving__count_people_conditions_overlap(back_office: Client) -> None:
    described()
    viewers()

    found = told(back_office, "post", "preview/", {"rule": {"and": [ONCE, VIEWED]}})

    assert (found["valid"], found["count"], found["total"], found["exact"]) == (True, 2, 3, True)
    assert {one["id"] for one in found["sample"]} == {uuid("u1"), uuid("a1", DEVICE)}
    assert all(one["url"].startswith("/admin/customers/") for one in found["sample"])
    assert [(one["path"], one["removes"]) for one in found["conditions"]] == [
        ("and[0]", 0),
        ("and[1]", 1),
    ]
    assert found["overlap"] == [
        {"key": "viewers", "title": "viewers", "shared": 2, "shared_margin": 0, "size": 2}
    ]


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({"and": []}, "and"),
        ({"kind": "segment", "key": "nothing"}, "key"),
        ({"not": {"kind": "segment", "key": "later"}}, "not"),
    ],
)
def test_preview__a_rule_that_cannot_be_asked__its_problems(
    back_office: Client, rule: Any, path: str
) -> None:
    services.create_segment(key="later", values={}, rule=VIEWED, actor="test")

    answer = ask(back_office, "post", "preview/", {"rule": rule})

    assert answer.status_code == 422
    assert answer.json()["valid"] is False
    assert [one["path"] for one in answer.json()["problems"]] == [path]


def test_preview__for_a_page__faults_in_words_and_no_error(back_office: Client) -> None:
    described()
    brand = {"key": "brand", "op": "eq", "value": ""}
    rule = {"and": [{**VIEWED, "where": [brand], "window": {"type": "last", "seconds": 0}}]}

    answer = ask(back_office, "post", "preview/?faults=words", {"rule": rule})

    assert answer.status_code == 200
    assert answer.json()["valid"] is False
    words = {one["path"]: one["words"] for one in answer.json()["problems"]}
    assert words["and[0].window.seconds"].startswith("give a length of time above 0")
    assert words["and[0].where[0].value"].startswith("is empty: write a value")


def test_catalogue__brand_and_category__what_the_shop_has(back_office: Client) -> None:
    described()
    upsert_categories([{"key": "mugs", "title": "Mugs"}], actor="test", now=clock.now())
    product = {"key": "p1", "title": "Mug", "brand": "Kiln"}
    upsert_products([product], actor="test", now=clock.now())

    found = told(back_office, "get", "catalogue/", **{"for": "filter"})

    values = {one["key"]: one["values"] for one in found["product"]}
    assert (values["brand"], values["category"]) == (["Kiln"], ["mugs"])


def test_catalogue__properties_of_an_event__the_product_then_by_title(back_office: Client) -> None:
    found = {one["name"]: one for one in told(back_office, "get", "catalogue/")["events"]}

    viewed = [one["key"] for one in found["Product Viewed"]["properties"]]
    ordered = [one["title"] for one in found["Order Completed"]["properties"]]
    assert viewed[0] == "product_id"
    assert viewed[1:] == sorted(viewed[1:])
    assert ordered == sorted(ordered)


def test_catalogue__properties_that_most_events_carry__before_others(back_office: Client) -> None:
    properties = {"product_id": "sku1", "price": 5, "variant": "red"}
    events = [viewed(f"m{at}", properties=properties) for at in range(20)]
    assert post(server("events:write"), "batch", {"batch": events})["accepted"] == len(events)

    found = {one["name"]: one for one in told(back_office, "get", "catalogue/")["events"]}

    keys = [one["key"] for one in found["Product Viewed"]["properties"]]
    assert keys[:3] == ["product_id", "price", "variant"]
    assert keys[3:] == sorted(keys[3:])


def test_catalogue__for_the_rule_builder__what_may_stand_there(back_office: Client) -> None:
    kinds = {
        place: {one["kind"] for one in told(back_office, "get", "catalogue/", **query)["kinds"]}
        for place, query in (("segment", {}), ("filter", {"for": "filter"}))
    }

    assert "count" in kinds["segment"]
    assert kinds["filter"] == {"product", "context"}
    assert ask(back_office, "get", "catalogue/", **{"for": "nothing"}).status_code == 400


def test_overlaps__all_pairs_in_force(back_office: Client) -> None:
    viewers()
    go_live("once", ONCE)

    found = told(back_office, "get", "overlaps/")

    assert [(one["key"], one["size"]) for one in found["segments"]] == [("once", 3), ("viewers", 2)]
    assert found["shared"] == [[3, 2], [2, 2]]
    assert (found["exact"], found["margin"], found["left_out"]) == (True, 0, 0)


def test_lists__file_or_ids__lines_and_what_became_of_them(back_office: Client) -> None:
    shop()
    file = SimpleUploadedFile("vips.csv", b"name,user_id\nx,u1\ny,\nz,nobody\n")

    sent = back_office.post(f"{ROOT}lists/", {"key": "vips", "title": "VIPs", "file": file})
    take_in()

    assert sent.status_code == 200, sent.content
    assert sent.json() == {
        "key": "vips", "lines": 4, "added": 2, "known": 0, "removed": 0, "bad": 1, "resolved": 1,
        "unresolved": 1, "run": None,
        "problems": [{"path": "line 3", "problem": "has no id"}],
    }  # fmt: skip
    assert members("vips") == [customer("u1")]
    again = told(back_office, "post", "lists/", {"key": "vips", "ids": ["u2"], "replace": True})
    assert (again["added"], again["removed"], members("vips")) == (1, 2, [customer("u2")])
    refused = ask(back_office, "put", "vips/draft/", {"rule": VIEWED})
    assert (refused.status_code, code(refused)) == (409, "version_state_wrong")
    assert ask(back_office, "post", "lists/", {"key": "vips"}).status_code == 422


# --- Who may, and what is refused ---

READS = (
    "", "viewers/", "viewers/members/", "viewers/history/", "viewers/explain/", "viewers/diff/",
    "catalogue/", "overlaps/",
)  # fmt: skip


@pytest.mark.parametrize("path", READS)
def test_reads__viewers_and_admin_keys_alone(path: str) -> None:
    viewers()
    query = {"customer": "u1"} if "explain" in path else {}

    assert ask(member("viewer"), "get", path, **query).status_code == 200
    assert ask(server("customers:read"), "get", path, **query).status_code == 403
    assert ask(Client(), "get", path, **query).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "role"),
    [
        ("post", "preview/", {"rule": ONCE}, "viewer"),
        ("post", "", {"key": "new", "rule": ONCE}, "editor"),
        ("patch", "viewers/", {"title": "x"}, "editor"),
        ("put", "viewers/draft/", {"rule": ONCE}, "editor"),
        ("post", "viewers/shadow/", None, "editor"),
        ("post", "viewers/publish/", None, "publisher"),
        ("post", "viewers/rollback/", None, "publisher"),
        ("post", "viewers/versions/1/stop/", None, "publisher"),
        ("post", "lists/", {"key": "l", "ids": ["u1"]}, "publisher"),
        ("delete", "viewers/", None, "publisher"),
    ],
)
def test_writes__the_role_below__is_refused(method: str, path: str, body: Any, role: str) -> None:
    viewers()
    below = {"viewer": "", "editor": "viewer", "publisher": "editor"}[role]

    assert ask(member(below), method, path, body).status_code == 403
    assert ask(member(role), method, path, body).status_code not in (401, 403, 500)


@pytest.mark.parametrize(
    "path", ["", "viewers/", "viewers/members/", "viewers/export/", "viewers/explain/", "overlaps/"]
)
def test_reads__unknown_parameter__is_refused(back_office: Client, path: str) -> None:
    viewers()

    assert ask(back_office, "get", path, nothing="1").status_code == 400


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("nothing/", {}, 404),
        ("a%00b/", {}, 404),
        ("nothing/members/", {}, 404),
        ("viewers/members/", {"version": "9"}, 404),
        ("viewers/members/", {"version": "9" * 40}, 400),
        ("viewers/members/", {"cursor": "cD14eA=="}, 400),
        ("viewers/members/", {"cursor": "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5"}, 200),
        ("viewers/history/", {"cursor": "cD14eA=="}, 400),
        ("viewers/members/", {"cursor": "\0"}, 400),
        ("", {"cursor": "cD14eA=="}, 400),
        ("viewers/explain/", {}, 400),
        ("viewers/explain/", {"customer": "nobody"}, 404),
        ("viewers/explain/", {"customer": "a\0b"}, 400),
        ("viewers/diff/", {"from": "-1"}, 400),
        ("viewers/diff/", {"to": "²"}, 400),
    ],
)
def test_reads__what_there_is_not__is_told(
    back_office: Client, path: str, query: dict[str, str], status: int
) -> None:
    viewers()

    assert ask(back_office, "get", path, **query).status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", "[" * 100_000),
        ("", '{"key": "a", "rule": ' + '{"not": ' * 300 + "1" + "}" * 301),
        ("", '{"key": "a", "rule": {"kind": "count", "value": 1e999}}'),
        ("preview/", '{"rule": {"kind": "bucket", "salt": "\\u0000", "from": 0, "to": 1}}'),
        ("preview/", '{"rule": {"kind": "bucket", "salt": "\\ud800", "from": 0, "to": 1}}'),
        ("preview/", '{"rule": {"kind": "list", "key": 1000000000000000000000000}}'),
        ("preview/", '{"rule": null}'),
        ("preview/", "[]"),
        ("lists/", '{"key": "a", "ids": ["\\ud800"]}'),
        ("lists/", '{"key": "a", "ids": "u1"}'),
        ("lists/", '{"key": "a\\u0000", "ids": ["u1"]}'),
    ],
)
def test_writes__anything__makes_no_5xx(back_office: Client, path: str, body: str) -> None:
    answer = back_office.post(f"{ROOT}{path}", body, content_type="application/json")

    assert answer.status_code in (400, 422), answer.content
