"""The decision log: partitions, explanations, and a store that is away."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import RFC_4122

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from hypothesis import given
from hypothesis import strategies as st

from personalization.customers.models import Identity
from personalization.customers.services import create_identities
from personalization.decisions import record, selectors, services
from personalization.decisions.engine.ids import decision_id, sampled
from personalization.decisions.engine.recent import merged
from personalization.decisions.models import Decision
from personalization.lib.metrics import DECISION_LOG_LOST
from personalization.lib.registries import personal_data
from personalization.lib.uuid7 import day_of
from tests.decisions.conftest import NOW, Decide


def test_decision_id__any_random__version_7_with_its_day() -> None:
    made = decision_id(int(NOW.timestamp() * 1000), b"\xff" * 10)
    assert (made.version, day_of(made)) == (7, NOW.date())
    assert made.variant == RFC_4122


@pytest.mark.parametrize(("share", "kept"), [(0.0, False), (1.0, True)])
def test_sampled__all_or_nothing__as_told(share: float, kept: bool) -> None:
    assert sampled(decision_id(0, b"\xff" * 10), share) is kept


@given(
    st.lists(
        st.tuples(st.sampled_from("va"), st.sampled_from("xyz"), st.floats(0, 1e9)), max_size=60
    ),
    st.lists(
        st.tuples(st.sampled_from("va"), st.sampled_from("xyz"), st.floats(0, 1e9)), max_size=60
    ),
)
def test_merged__any_lists__newest_first_and_bounded(page: Any, remembered: Any) -> None:
    page.sort(key=lambda action: -action[2])
    remembered.sort(key=lambda action: -action[2])
    joined = merged(page, remembered)
    assert len(joined) <= 50
    assert [a[2] for a in joined] == sorted((a[2] for a in joined), reverse=True)


def _tables() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'decisions_decision'::regclass"
        )
        return {row[0] for row in cursor.fetchall()}


@pytest.mark.django_db
def test_maintain_partitions__days_pass__made_ahead_and_dropped(settings: Any) -> None:
    settings.DECISION_LOG_RETENTION_DAYS = 2
    Decision.objects.create(
        id=decision_id(0, bytes(10)), day=NOW.date(), at=NOW, config_version=1, body={}
    )
    assert services.maintain_partitions(now=NOW) == (4, 0)
    assert services.maintain_partitions(now=NOW) == (0, 0)
    assert "decisions_decision_20260301" in _tables()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM decisions_decision_20260301")
        assert cursor.fetchone()[0] == 1
    made, dropped = services.maintain_partitions(now=NOW + timedelta(days=3))
    assert (made, dropped) == (3, 1)
    assert "decisions_decision_20260301" not in _tables()


def test_explanation__logged__campaigns_judged_as_they_were(decide: Decide) -> None:
    answer = decide({"anonymousId": "a1", "placements": ["home.hero"]})
    record.flush()
    found = selectors.explanation(answer["decisionId"])
    assert found is not None
    assert [c.campaign for c in found.candidates["home.hero"]] == ["spring"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "asked", ["", "x", "0" * 32, "01900000-0000-7000-8000-000000000000", "f" * 32]
)
def test_explain_page__unlogged_or_garbage__not_recorded(admin_client: Any, asked: str) -> None:
    response = admin_client.get("/admin/decisions/decision/explain/", {"id": asked})
    assert response.status_code == 200
    assert ("Not in the log" in response.content.decode()) is bool(asked)


def test_admin_list__logged_decision__links_to_its_explanation(
    decide: Decide, admin_client: Any
) -> None:
    answer = decide({"placements": ["home.hero"]})
    record.flush()
    page = admin_client.get("/admin/decisions/decision/").content.decode()
    assert f"explain/?id={answer['decisionId']}" in page
    address = f"/admin/decisions/decision/explain/?id={answer['decisionId']}"
    assert "it won" in admin_client.get(address).content.decode()


def test_flush__store_away__rows_wait_on(decide: Decide, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decide({"placements": ["home.hero"]})

    def away(_rows: Any) -> None:
        raise OperationalError("away")

    with monkeypatch.context() as patched:
        patched.setattr(record, "_insert", away)
        with pytest.raises(OperationalError):
            record.flush()
    assert [str(one) for one in record.waiting()] == [answer["decisionId"]]
    record.flush()
    assert Decision.objects.count() == 1


def test_flush__written_once_before__no_row_twice_and_the_others_follow(decide: Decide) -> None:
    words = "back\\slash \\N \ttab \nline é😀"
    first = decide({"placements": ["home.hero"]})
    again = list(record._waiting.rows)
    record.flush()
    second = decide({"userId": "u", "placements": ["home.hero"], "context": {"cart": [words]}})
    record._waiting.rows.extendleft(again)

    record.flush()

    rows = {str(row.id): row.body for row in Decision.objects.all()}
    assert rows.keys() == {first["decisionId"], second["decisionId"]}
    assert rows[second["decisionId"]]["cart"] == [words]


def test_flush__the_store_refuses__djangos_error_and_rows_wait_on(decide: Decide) -> None:
    answer = decide({"placements": ["home.hero"]})

    with transaction.atomic():
        _take_the_table_away()
        with pytest.raises(DatabaseError):
            record.flush()
        transaction.set_rollback(True)

    assert [str(one) for one in record.waiting()] == [answer["decisionId"]]


def test_flush_at_exit__the_store_refuses__lost_and_counted(decide: Decide) -> None:
    decide({"placements": ["home.hero"]})
    before = DECISION_LOG_LOST._value.get()

    with transaction.atomic():
        _take_the_table_away()
        record.flush_at_exit()
        transaction.set_rollback(True)

    assert record.waiting() == []
    assert DECISION_LOG_LOST._value.get() == before + 1


def _take_the_table_away() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE decisions_decision RENAME TO decisions_elsewhere")


def test_keep__buffer_full__lost_and_counted(
    decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "_WAITING_MOST", 1)
    before = DECISION_LOG_LOST._value.get()
    decide({"placements": ["home.hero"]})
    decide({"placements": ["home.hero"]})
    assert len(record.waiting()) == 1
    assert DECISION_LOG_LOST._value.get() == before + 1


def test_flush__store_away_and_more_waits_than_may__what_is_lost_is_counted_once(
    decide: Decide, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        decide({"placements": ["home.hero"]})
    before, kept = DECISION_LOG_LOST._value.get(), list(record._waiting.rows)

    def away(rows: Any) -> None:
        # threads that all found the last place free
        record._waiting.rows.extend([*rows, rows[0]])
        raise OperationalError("away")

    monkeypatch.setattr(record, "_WAITING_MOST", 2)
    monkeypatch.setattr(record, "_insert", away)
    with pytest.raises(OperationalError):
        record.flush()

    assert list(record._waiting.rows) == [*kept, kept[0]]
    assert DECISION_LOG_LOST._value.get() == before + 2


@pytest.mark.django_db
def test_decisions_for__customer__newest_first() -> None:
    for n in range(2):
        at = datetime(2026, 3, 1, 12, n, tzinfo=UTC)
        Decision.objects.create(
            id=decision_id(n, bytes([n] * 10)), day=at.date(), at=at, customer_id=7,
            config_version=1, body={},
        )  # fmt: skip
    assert [row.at.minute for row in selectors.decisions_for(7)] == [1, 0]


def test_personal_data__customer__exported_and_erased(decide: Decide) -> None:
    create_identities([(Identity.Kind.ANONYMOUS, "device-1")], now=NOW)
    customer_id = Identity.objects.get(value="device-1").customer_id
    body = {"anonymousId": "device-1", "placements": ["home.hero"]}
    logged = decide(body)["decisionId"]
    record.flush()
    decide(body)
    decide({"anonymousId": "device-2", "placements": ["home.hero"]})
    part = personal_data["decisions"]
    assert [row["id"] for row in part.export(customer_id)] == [logged]
    assert part.erase(customer_id) == 2
    assert (part.export(customer_id), len(record.waiting())) == ([], 1)
