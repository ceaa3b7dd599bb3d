"""Export of members: who is in it, as what, who may, and that it is told in the trail."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.consent import services as consent
from personalization.customers.models import Customer, Trait
from personalization.lib import clock
from personalization.lib.registries import personal_data
from personalization.ops.services import publish
from segments import exports
from segments.models import SegmentVersion
from tests.access.test_api import code, member
from tests.events.processor.log import DEVICE, NOW, USER, put
from tests.segments.live.world import count, go_live, process
from tests.segments.people import customer, server

pytestmark = pytest.mark.django_db(transaction=True)
EVERYBODY: Any = count(value=1)


@pytest.fixture
def everybody() -> None:
    """Three customers in a live segment; u1 and the device agree to marketing."""
    go_live("everybody", EVERYBODY)
    put("m1", who=(USER, "u1"), product_id="sku1", traits={"email": "a@b.c", "tier": "=gold"})
    put("m2", who=(USER, "u2"), product_id="sku1", minute=1)
    put("m3", who=(DEVICE, "a1"), product_id="sku1", minute=2)
    process(3)
    for kind, value, agrees in ((USER, "u1", True), (USER, "u2", False), (DEVICE, "a1", True)):
        consent.record(
            identity=(kind, value),
            purposes={"marketing": agrees},
            source="test",
            policy_version="1",
            now=NOW + timedelta(minutes=3),
        )
    Trait.objects.create(key="tier", title="Tier", type="string")
    Trait.objects.create(key="email", title="E-mail", type="string", personal=True)
    publish(actor="test")
    process(4)


def read(client: Client, **query: str) -> Any:
    with clock.frozen(NOW + timedelta(minutes=5)):
        return client.get("/api/segments/everybody/export/", query)


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content).decode()


def uuid(value: str, kind: int = USER) -> str:
    return str(Customer.objects.get(pk=customer(value, kind)).uuid)


@pytest.mark.usefixtures("everybody")
def test_export__csv__those_who_agree_with_ids_and_since_when() -> None:
    answer = read(server("admin"))

    rows = list(csv.DictReader(io.StringIO(text(answer))))
    assert answer["Content-Type"].startswith("text/csv")
    assert 'filename="everybody-v1.csv"' in answer["Content-Disposition"]
    assert [(row["uuid"], row["user_ids"], row["version"]) for row in rows] == [
        (uuid("u1"), "u1", "1"),
        (uuid("a1", DEVICE), "", "1"),
    ]
    assert rows[0]["entered_at"] == f"{NOW:%Y-%m-%dT%H:%M:%S.%fZ}"


@pytest.mark.usefixtures("everybody")
def test_export__ndjson_another_purpose__everybody_for_whom_it_is_in_force() -> None:
    answer = read(server("admin"), format="ndjson", purpose="personalization")

    rows = [json.loads(line) for line in text(answer).splitlines()]
    assert [row["user_ids"] for row in rows] == [["u1"], ["u2"], []]
    assert answer["Content-Type"] == "application/x-ndjson"


@pytest.mark.usefixtures("everybody")
def test_export__consent_withdrawn__left_out_at_once() -> None:
    consent.record(
        identity=(USER, "u1"),
        purposes={"marketing": False},
        source="test",
        policy_version="1",
        now=NOW + timedelta(minutes=4),
    )

    rows = list(csv.DictReader(io.StringIO(text(read(server("admin"))))))

    assert [row["uuid"] for row in rows] == [uuid("a1", DEVICE)]


@pytest.mark.usefixtures("everybody")
def test_export__many__chunk_by_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "CHUNK", 1)

    answer = read(server("admin"), format="ndjson", purpose="analytics")

    assert len(text(answer).splitlines()) == 3


@pytest.mark.usefixtures("everybody")
@pytest.mark.parametrize(
    ("role", "traits", "status"),
    [
        ("viewer", "", 403),
        ("editor", "", 200),
        ("editor", "tier", 200),
        ("editor", "tier,email", 403),
        ("publisher", "tier,email", 200),
    ],
)
def test_export__roles__personal_traits_are_for_those_who_may(
    role: str, traits: str, status: int
) -> None:
    answer = read(member(role), traits=traits)

    assert answer.status_code == status
    trail = AuditEvent.objects.filter(action="export")
    if status == 200:
        row = trail.get()
        assert row.after is not None
        assert (row.actor, row.after["purpose"]) == (role, "marketing")
        assert row.after["traits"] == [one for one in traits.split(",") if one]
    else:
        assert (code(answer), trail.count()) == ("role_missing", 0)
        assert answer["Content-Type"] == "application/json"


@pytest.mark.usefixtures("everybody")
def test_export__traits__as_columns_and_no_formula_for_spreadsheets() -> None:
    rows = list(csv.DictReader(io.StringIO(text(read(server("admin"), traits="tier,email")))))
    exact = text(read(server("admin"), traits="tier", format="ndjson")).splitlines()[0]

    assert (rows[0]["trait.tier"], rows[0]["trait.email"]) == ("'=gold", "a@b.c")
    assert rows[1]["trait.tier"] == ""
    assert json.loads(exact)["trait.tier"] == "=gold"


@pytest.mark.usefixtures("everybody")
@pytest.mark.parametrize(
    "query",
    [{"purpose": "profit"}, {"traits": "nothing"}, {"version": "x"}, {"type": "csv"}],
)
def test_export__what_there_is_not__is_refused_as_json(query: dict[str, str]) -> None:
    answer = read(server("admin"), **query)

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert code(answer) == "malformed"
    assert not AuditEvent.objects.filter(action="export").exists()


@pytest.mark.usefixtures("everybody")
def test_rows__erased_customer__is_left_out() -> None:
    version = SegmentVersion.objects.get(segment__key="everybody")
    personal_data["segments"].erase(customer("u1"))

    found = list(exports.rows(exports.Export(version, "analytics")))

    assert [row["uuid"] for row in found] == [uuid("u2"), uuid("a1", DEVICE)]
