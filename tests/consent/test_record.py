"""Consent written down: latest word over all identities, through every fault of Redis."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from personalization.access.models import AuditEvent
from personalization.consent import errors, ledger
from personalization.consent.models import ConsentRecord, DenyEpoch, Purpose
from personalization.consent.selectors import resolved
from personalization.consent.serve import ANALYTICS, MARKETING, PERSONALIZATION, purposes
from personalization.consent.services import record, save_purpose
from personalization.customers import documents, serve, services
from personalization.customers.models import Identity, Merge, ProfileDirty, RebuildDue
from personalization.lib import redisclient
from personalization.ops import serve as config

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER = (Identity.Kind.USER, "u1")
PHONE = (Identity.Kind.ANONYMOUS, "phone-1")
LAPTOP = (Identity.Kind.ANONYMOUS, "laptop-1")


def say(who: tuple[int, str], *, at: datetime = NOW, **words: bool) -> tuple[int, int]:
    return record(identity=who, purposes=words, source="banner", policy_version="3", now=at)


def served(who: tuple[int, str]) -> tuple[list[int] | None, str]:
    """What a decision reads of consent, and from where."""
    user, device = (who[1], None) if who[0] == Identity.Kind.USER else (None, who[1])
    read = serve.read(user_id=user, anonymous_id=device)
    return (read.document.parts["consent"] if read.document else None), read.source


def break_redis(settings: Settings) -> str:
    good = settings.CACHE_REDIS_URL
    settings.CACHE_REDIS_URL = "unix:///nowhere/redis.sock"
    redisclient.reset()
    return str(good)


def mend_redis(settings: Settings, good: str) -> None:
    settings.CACHE_REDIS_URL = good
    redisclient.reset()
    redisclient.call(lambda client: client.ping())


def test_record__new_id__makes_the_customer_and_keeps_the_proof() -> None:
    said = say(PHONE, personalization=False, marketing=True)

    rows = ConsentRecord.objects.order_by("purpose__bit").values_list(
        "purpose__key", "granted", "source", "policy_version", "at"
    )
    assert said == (MARKETING, PERSONALIZATION)
    assert list(rows) == [
        ("personalization", False, "banner", "3", NOW),
        ("marketing", True, "banner", "3", NOW),
    ]


def test_record__withdrawal__is_in_redis_before_the_call_returns() -> None:
    say(PHONE, personalization=True)

    say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))

    assert served(PHONE) == ([0, PERSONALIZATION], "redis")
    assert not ProfileDirty.objects.exists()


def test_record__change__has_the_profile_folded_again() -> None:
    say(PHONE, personalization=False)

    assert RebuildDue.objects.get().cause == "consent"


def test_record__same_word_again__keeps_the_proof_and_rebuilds_nothing() -> None:
    say(PHONE, personalization=True)
    RebuildDue.objects.all().delete()

    say(PHONE, personalization=True, at=NOW + timedelta(days=1))

    assert ConsentRecord.objects.count() == 2
    assert not RebuildDue.objects.exists()


def test_record__older_word_arriving_late__changes_nothing() -> None:
    say(PHONE, personalization=False)

    assert say(PHONE, personalization=True, at=NOW - timedelta(days=1)) == (0, PERSONALIZATION)


@pytest.mark.parametrize("value", ["", "null", "undefined", "0", "guest", "00000000-0000"])
def test_record__id_that_many_share__is_refused(value: str) -> None:
    with pytest.raises(errors.IdentityUnusable):
        say((Identity.Kind.ANONYMOUS, value), personalization=False)

    assert not Identity.objects.exists()


def test_record__unknown_purpose__names_it_and_writes_nothing() -> None:
    with pytest.raises(errors.PurposeUnknown) as refused:
        say(PHONE, personalization=False, weather=True)

    assert [p.path for p in refused.value.details] == ["purposes.weather"]
    assert not ConsentRecord.objects.exists()
    assert not Identity.objects.exists()


def test_record__no_purpose__is_refused() -> None:
    with pytest.raises(errors.PurposeUnknown):
        say(PHONE)


def merged() -> Merge:
    services.create_identities([USER, PHONE], now=NOW)
    ids = {row.kind: row.customer_id for row in Identity.objects.all()}
    return services.merge(
        ids[Identity.Kind.ANONYMOUS],
        ids[Identity.Kind.USER],
        cause="staff",
        actor="ann",
        now=NOW + timedelta(days=1),
    )


@pytest.mark.parametrize(
    ("user_at", "phone_at", "expected"),
    [(1, 2, (0, PERSONALIZATION)), (2, 1, (PERSONALIZATION, 0)), (1, 1, (0, PERSONALIZATION))],
)
def test_merge__two_words__latest_wins_and_withdrawal_wins_ties(
    user_at: int, phone_at: int, expected: tuple[int, int]
) -> None:
    say(USER, personalization=True, at=NOW + timedelta(seconds=user_at))
    say(PHONE, personalization=False, at=NOW + timedelta(seconds=phone_at))

    merged()

    found = resolved([USER, PHONE])
    assert {(r.granted, r.denied) for r in found.values()} == {expected}


def test_unmerge__two_words__each_has_its_own_again() -> None:
    say(USER, personalization=True)
    say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))
    done = merged()

    services.unmerge(done.pk, actor="ann", now=NOW + timedelta(days=2))

    found = resolved([USER, PHONE])
    assert (found[USER].granted, found[USER].denied) == (PERSONALIZATION, 0)
    assert (found[PHONE].granted, found[PHONE].denied) == (0, PERSONALIZATION)


def test_withdrawal__said_on_one_device__holds_on_the_others() -> None:
    services.create_identities([USER, PHONE, LAPTOP], now=NOW)
    services.log_in(user="u1", device="phone-1", now=NOW)
    services.log_in(user="u1", device="laptop-1", now=NOW)

    say(PHONE, personalization=False)

    assert served(LAPTOP) == ([0, PERSONALIZATION], "redis")
    assert served(USER) == ([0, PERSONALIZATION], "redis")


def test_resolved__many_ids__is_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    say(USER, marketing=True)
    say(PHONE, analytics=False)

    with django_assert_num_queries(1):
        found = resolved([USER, PHONE, LAPTOP, USER])

    assert set(found) == {USER, PHONE}
    assert (found[USER].granted, found[PHONE].denied) == (MARKETING, ANALYTICS)
    assert resolved([]) == {}


def test_withdrawal__process_dies_before_the_commit__nothing_is_said() -> None:
    say(PHONE, personalization=True)

    with transaction.atomic():
        say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))
        transaction.set_rollback(True)

    assert served(PHONE) == ([PERSONALIZATION, 0], "postgres")


def test_withdrawal__process_dies_between_commit_and_refresh__holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(PHONE, personalization=True)
    assert served(PHONE)[1] == "redis"
    monkeypatch.setattr("personalization.consent.services._refresh", _die)

    with pytest.raises(KeyboardInterrupt):
        say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))

    assert served(PHONE) == ([0, PERSONALIZATION], "postgres")
    documents.sweep()
    assert served(PHONE) == ([0, PERSONALIZATION], "redis")


def _die(*_args: object, **_kwargs: object) -> None:
    raise KeyboardInterrupt


def test_withdrawal__redis_away_and_back_with_its_old_documents__holds(settings: Settings) -> None:
    say(PHONE, personalization=True)
    assert served(PHONE) == ([PERSONALIZATION, 0], "redis")
    good = break_redis(settings)

    say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))
    assert served(PHONE) == ([0, PERSONALIZATION], "postgres")
    mend_redis(settings, good)

    assert served(PHONE)[0] == [0, PERSONALIZATION]
    assert DenyEpoch.objects.get().epoch == 1
    documents.sweep()
    assert served(PHONE) == ([0, PERSONALIZATION], "redis")


def test_withdrawal__redis_goes_away_after_the_commit__holds_when_it_is_back(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(PHONE, personalization=True)
    monkeypatch.setattr(documents, "write_now", lambda _ids: False)

    say(PHONE, personalization=False, at=NOW + timedelta(seconds=1))
    monkeypatch.undo()

    assert DenyEpoch.objects.get().epoch == 1
    assert served(PHONE)[0] == [0, PERSONALIZATION]


@pytest.mark.parametrize("write", ["update", "delete"])
def test_ledger__rewritten__is_refused_by_the_database(write: str) -> None:
    say(PHONE, personalization=False)
    rows = ConsentRecord.objects.all()

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(granted=True) if write == "update" else rows._raw_delete(rows.db)


def test_recompute__customer_without_words__is_the_default() -> None:
    services.create_identities([PHONE], now=NOW)

    assert ledger.recompute(Identity.objects.get().customer_id) == (0, 0)


def test_save_purpose__new_one__gets_the_next_bit_and_is_published() -> None:
    made = save_purpose(
        Purpose(key="research", title="Research", default_granted=True), actor="ann"
    )

    assert made.bit == 3
    assert config.reload().parts["consent"].bit("research") == 8
    assert say(PHONE, research=False) == (0, 8)
    assert AuditEvent.objects.get(object_type="consent.purpose").action == "create"


def test_save_purpose__default_changed__holds_for_who_has_said_nothing() -> None:
    row = Purpose.objects.get(key="personalization")
    row.default_granted = False

    save_purpose(row, actor="ann")

    config.reload()
    assert purposes().in_force(0, 0, gpc=False) == ANALYTICS
    trail = AuditEvent.objects.get(object_type="consent.purpose")
    assert trail.before is not None
    assert trail.after is not None
    assert (trail.before["default_granted"], trail.after["default_granted"]) == (True, False)


@pytest.mark.parametrize("change", [{"bit": 9}, {"key": "ads"}])
def test_save_purpose__key_or_bit_changed__is_refused(change: dict[str, object]) -> None:
    row = Purpose.objects.get(key="marketing")
    for name, value in change.items():
        setattr(row, name, value)

    with pytest.raises(errors.PurposeInvalid):
        save_purpose(row, actor="ann")


def test_save_purpose__no_bit_left__is_refused() -> None:
    for bit in range(3, 15):
        save_purpose(Purpose(key=f"p{bit}", title=""), actor="ann")

    with pytest.raises(errors.PurposeInvalid):
        save_purpose(Purpose(key="one-more", title=""), actor="ann")
