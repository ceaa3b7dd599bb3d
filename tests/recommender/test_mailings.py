"""Lists made ahead: for whom, in which order, and gone on with after a break."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import Client
from structlog.testing import capture_logs

from personalization.access.models import AuditEvent
from personalization.access.services import create_key
from personalization.catalog import serve as catalogue
from personalization.catalog.services import upsert_products
from personalization.consent.models import ConsentState
from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import documents
from personalization.customers.models import Identity, Profile
from personalization.ops import serve as config
from recommender import mailings
from recommender.serve import recommend
from tests.access.test_api import member
from tests.recommender.shop import NOW, customer
from tests.recommender.stocked import install, stock, strategy


@pytest.fixture
def people(shop: Path) -> list[int]:
    """Five customers; the third has withdrawn personalization, the fourth says nothing."""
    stock()
    install("popularity", "item_knn")
    config.reload()
    ids = [customer(f"u{number}").customer_id for number in range(5)]
    both = purposes().bit("marketing") | PERSONALIZATION
    for number, person in enumerate(ids):
        if number != 3:
            denied = PERSONALIZATION if number == 2 else 0
            ConsentState.objects.create(
                customer_id=person, granted=both & ~denied, denied=denied, updated_at=NOW
            )
    return ids


def test_write_lists__who_allows_it__in_order(people: list[int], tmp_path: Path) -> None:
    out = tmp_path / "lists.ndjson"
    call_command("write_lists", str(out), count=3, verbosity=0)

    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["customer"] for row in rows] == [people[0], people[1], people[4]]
    assert rows[0]["user_ids"] == ["u0"]
    assert [item["id"] for item in rows[0]["items"]] == ["p0", "p1", "p2"]


def test_write_lists__country_and_ids__as_a_decision_has_them(
    people: list[int], tmp_path: Path
) -> None:
    """The country of the locale counts: p9 is popular there, and p0 is not sold there."""
    install("popularity", "popular_in_group")
    upsert_products([{"key": "p0", "attributes": {"regions": ["FR"]}}], actor="t", now=NOW)
    catalogue.refresh()
    key = strategy(algorithm="popular_in_group", params={})
    told = {"n": 1, "r": {}, "f": 0, "l": 0, "k": {}, "x": {"locale": [1, "de_DE"]}}
    Profile.objects.create(customer_id=people[0], state=json.dumps(told), updated_at=NOW)
    Identity.objects.create(
        kind=1, value="a b", customer_id=people[0], origin_id=people[0], created_at=NOW
    )
    out = tmp_path / "lists.csv"

    call_command("write_lists", str(out), strategy=key, format="csv", count=2, verbosity=0)

    first = next(csv.reader(out.read_text().splitlines()))
    assert [json.loads(cell) for cell in first] == [people[0], ["a b", "u0"], ["p9", "p1"]]


def test_write_lists__no_user_id__left_out_unless_asked(people: list[int], tmp_path: Path) -> None:
    Identity.objects.filter(customer_id=people[0]).update(kind=Identity.Kind.ANONYMOUS)
    few, every = tmp_path / "few", tmp_path / "every"
    call_command("write_lists", str(few), verbosity=0)
    call_command("write_lists", str(every), anonymous=True, verbosity=0)

    first, *rest = [json.loads(line) for line in every.read_text().splitlines()]
    assert (first["customer"], first["user_ids"]) == (people[0], [])
    assert [json.loads(line) for line in few.read_text().splitlines()] == rest


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_write_lists__broken_off__goes_on_after_the_last_whole_line(
    people: list[int], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "lists"
    call_command("write_lists", str(out), format=kind, verbosity=0)
    whole = out.read_bytes()
    first = whole.index(b"\n") + 1
    out.write_bytes(whole[: first + 9])

    call_command("write_lists", str(out), format=kind, verbosity=0)

    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    "wrong", [{"strategy": "ghost"}, {"segment": "ghost"}, {"purpose": "ghost"}]
)
def test_write_lists__what_there_is_not__said(
    people: list[int], tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(CommandError, match="ghost"):
        call_command("write_lists", str(tmp_path / "x"), **wrong)


@pytest.mark.parametrize("count", [-3, 0, 100_000_000])
def test_write_lists__no_such_count__said(people: list[int], tmp_path: Path, count: int) -> None:
    with pytest.raises(CommandError, match="1 to 100 items"):
        call_command("write_lists", str(tmp_path / "x"), count=count)


@pytest.mark.parametrize("where", [".", "nowhere/x"], ids=["a folder", "in no folder"])
def test_write_lists__no_file_can_be_there__said(
    people: list[int], tmp_path: Path, where: str
) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("write_lists", str(tmp_path / where))


@pytest.mark.parametrize("kind", ["ndjson", "csv"])
def test_write_lists__file_of_something_else__said_and_left_alone(
    people: list[int], tmp_path: Path, kind: str
) -> None:
    out = tmp_path / "notes"
    out.write_text("dear diary\ntoday")
    with pytest.raises(CommandError, match="something else"):
        call_command("write_lists", str(out), format=kind)

    assert out.read_text() == "dear diary\ntoday"


@pytest.mark.parametrize("wrong", [{"count": -5}, {"count": 101}, {"top": 0}])
def test_shelves__no_such_number__said(people: list[int], wrong: dict[str, int]) -> None:
    with pytest.raises(CommandError, match="give 1 to 100"):
        call_command("shelves", **wrong)


@pytest.fixture
def get(people: list[int], client: Client) -> Callable[..., Any]:
    """A caller of the lists with a secret key."""
    _, secret = create_key(name="mailer", kind="secret", actor="t")

    def call(strategy: str = "email", **query: Any) -> Any:
        where = f"/api/strategies/{strategy}/lists/"
        return client.get(where, query, headers={"Authorization": f"Bearer {secret}"})

    return call


def lines(answer: Any) -> list[dict[str, Any]]:
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-ndjson")
    *rows, end = [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert (end["end"], end["lines"]) == (True, len(rows))
    return rows


def test_lists__by_key__page_by_page_what_the_command_writes(
    people: list[int], get: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "lists.ndjson"
    call_command("write_lists", str(out), count=3, verbosity=0)

    first = lines(get(count=3, limit=2))
    rest = lines(get(count=3, limit=2, after=first[-1]["customer"]))

    assert [*first, *rest] == [json.loads(line) for line in out.read_text().splitlines()]
    assert [len(first), len(rest)] == [2, 1]
    assert lines(get(after=people[-1])) == []
    told = AuditEvent.objects.filter(action="export", actor__startswith="key:")
    assert told.order_by("pk")[1].after == {
        "segment": "",
        "purpose": "marketing",
        "after": people[1],
    }


def test_lists__purpose_withdrawn__left_out_at_once(
    people: list[int], get: Callable[..., Any]
) -> None:
    ConsentState.objects.filter(customer_id=people[0]).update(denied=purposes().bit("marketing"))

    assert [line["customer"] for line in lines(get())] == [people[1], people[4]]
    Identity.objects.filter(customer_id=people[1]).update(kind=Identity.Kind.ANONYMOUS)
    assert [line["customer"] for line in lines(get())] == [people[4]]
    assert [line["customer"] for line in lines(get(anonymous="true"))] == [people[1], people[4]]
    everybody = [
        line["customer"] for line in lines(get(purpose="personalization", anonymous="true"))
    ]
    assert everybody == [people[0], people[1], people[3], people[4]]


@pytest.mark.parametrize(
    ("strategy", "query", "status", "path"),
    [
        ("ghost", {}, 404, ""),
        ("email", {"segment": "ghost"}, 404, ""),
        ("email", {"purpose": "ghost"}, 422, "purpose"),
        ("email", {"count": 101}, 422, "count"),
        ("email", {"limit": 0}, 422, "limit"),
        ("email", {"after": "x"}, 422, "after"),
        ("email", {"anonymous": "perhaps"}, 422, "anonymous"),
        ("email", {"coutn": 3}, 400, "coutn"),
    ],
)
def test_lists__what_there_is_not__refused_as_json(
    get: Callable[..., Any], strategy: str, query: dict[str, Any], status: int, path: str
) -> None:
    answer = get(strategy, **query)

    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert [one["path"] for one in answer.json()["error"]["details"]] == ([path] if path else [])
    assert not AuditEvent.objects.filter(action="export").exists()


def test_lists__public_key_and_viewers__refused(people: list[int], client: Client) -> None:
    _, public = create_key(name="browser", kind="public", actor="t")
    where = "/api/strategies/email/lists/"
    assert client.get(where, headers={"Authorization": f"Bearer {public}"}).status_code == 403
    assert member("viewer").get(where).status_code == 403
    assert len(lines(member("editor").get(where))) == 3


@pytest.mark.parametrize("zone", ["Etc/Unknown", "Europe", "UTC+1", "é"])
def test_lists__time_zone_that_nobody_knows__the_shops_counts(
    people: list[int], get: Callable[..., Any], zone: str
) -> None:
    told = {"n": 1, "r": {}, "f": 0, "l": 0, "k": {}, "x": {"timezone": [1, zone]}}
    Profile.objects.create(customer_id=people[1], state=json.dumps(told), updated_at=NOW)

    assert [line["customer"] for line in lines(get())] == [people[0], people[1], people[4]]


@pytest.fixture
def faulty(people: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """The second customer brings what serving cannot read."""

    def served(strategy: str, visit: Any) -> Any:
        if visit.seed == faulty_seed:
            raise RuntimeError("cannot be served")
        return recommend(strategy, visit)

    faulty_seed = orjson.loads(documents.build([people[1]])[people[1]][2])["a"]
    monkeypatch.setattr(mailings, "recommend", served)


@pytest.mark.usefixtures("faulty")
def test_lists__one_customer_cannot_be_served__left_out_and_said(
    people: list[int], get: Callable[..., Any]
) -> None:
    with capture_logs() as logged:
        *rows, end = b"".join(get().streaming_content).splitlines()

    assert [json.loads(row)["customer"] for row in rows] == [people[0], people[4]]
    assert json.loads(end) == {"end": True, "lines": 2, "skipped": 1, "after": people[4]}
    assert [one["customer"] for one in logged if one["event"] == "mailing.customer_skipped"] == [
        people[1]
    ]


@pytest.mark.usefixtures("faulty")
def test_write_lists__one_customer_cannot_be_served__written_without_and_said(
    people: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "lists"
    call_command("write_lists", str(out))

    told = capsys.readouterr()
    assert [json.loads(line)["customer"] for line in out.open()] == [people[0], people[4]]
    assert "2 lists written" in told.out
    assert "left out by a fault, which the log tells: 1" in told.err


def test_lists__store_goes_away__breaks_off_without_an_end(
    people: list[int], get: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(strategy: str, visit: Any) -> Any:
        raise OperationalError("away")

    monkeypatch.setattr(mailings, "recommend", away)

    with pytest.raises(OperationalError):
        b"".join(get().streaming_content)
