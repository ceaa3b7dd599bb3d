"""The bulk upsert: what it writes, what it leaves alone, what it refuses."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from personalization.access.models import AuditEvent
from personalization.catalog import serve, services
from personalization.catalog.models import Category, Product, UnknownItem
from personalization.lib.errors import Conflict, Unprocessable

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MUG = {"key": "mug", "title": "Mug", "price": "4.50", "currency": "eur", "categories": ["kitchen"]}


def upsert(*items: object, now: datetime = NOW) -> services.Upserted:
    return services.upsert_products(items, actor="test", now=now)


@pytest.fixture(autouse=True)
def _fresh_view() -> None:
    serve.forget()


@pytest.mark.django_db
def test_upsert__new_product__stored_in_minor_units() -> None:
    outcome = upsert(MUG)

    mug = Product.objects.get(key="mug")
    assert (outcome["created"], outcome["updated"], outcome["unchanged"]) == (1, 0, 0)
    assert (mug.price_minor, mug.currency, mug.categories, mug.available) == (
        450,
        "EUR",
        ["kitchen"],
        True,
    )


@pytest.mark.django_db
def test_upsert__fields_absent__keep_what_is_stored() -> None:
    upsert(MUG | {"stock": 4, "attributes": {"colour": "red"}})

    outcome = upsert({"key": "mug", "stock": None}, now=LATER)

    mug = Product.objects.get(key="mug")
    assert outcome["updated"] == 1
    assert (mug.title, mug.stock, mug.attributes) == ("Mug", None, {"colour": "red"})
    assert (mug.created_at, mug.updated_at) == (NOW, LATER)


@pytest.mark.django_db
def test_upsert__same_again__unchanged_and_silent() -> None:
    upsert(MUG)
    before = Product.objects.get(key="mug").change

    outcome = upsert(MUG, now=LATER)

    assert outcome["unchanged"] == 1
    assert Product.objects.get(key="mug").change == before


@pytest.mark.django_db
def test_upsert__bad_neighbour__the_good_one_is_kept() -> None:
    outcome = upsert(
        {"key": "a"}, MUG, 7, {"key": "b", "title": "B", "price": "x", "currency": "EUR"}
    )

    assert [r["status"] for r in outcome["results"]] == [
        "rejected",
        "created",
        "rejected",
        "rejected",
    ]
    assert [p.path for r in outcome["rejected"] for p in r["problems"]] == ["title", "", "price"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fault",
    [
        {"title": "a\x00b"},
        {"title": "\ud800"},
        {"attributes": {"a": {"b": "\x00"}}},
        {"attributes": {"a": float("nan"), "b": "\udfff"}},
        {"url": "javascript:alert(1)"},
        {"stock": 2**40},
        {"stock": True},
        {"price_minor": -1},
        {"price": "1e400", "currency": "EUR"},
        {"price": 3},
        {"price": 3, "currency": "EUR", "price_minor": 300},
        {"currency": "euro"},
        {"categories": "kitchen"},
        {"colour": "red"},
        {"key": ""},
    ],
)
def test_upsert__unusable_value__rejected_with_its_path(fault: dict[str, object]) -> None:
    outcome = upsert(
        MUG | {"price": None} | fault if "price" not in fault else MUG | {"currency": ""} | fault
    )

    assert len(outcome["rejected"]) == 1
    assert outcome["rejected"][0]["problems"]
    assert not Product.objects.exists()


@pytest.mark.django_db
def test_upsert__many_unknown_fields__five_are_named_and_the_known_ones_once() -> None:
    outcome = upsert(MUG | {f"column_{n}": n for n in range(200)})

    (rejected,) = outcome["rejected"]
    *named, last = [(problem.path, problem.problem) for problem in rejected["problems"]]
    assert [path for path, _ in named] == [f"column_{n}" for n in range(5)]
    assert named[0][1].startswith("unknown field; known: key, title")
    assert {words for _, words in named[1:]} == {"unknown field"}
    assert last == ("", "195 more unknown fields")


@pytest.mark.django_db
def test_upsert__literal_backslash_u0000__is_plain_text() -> None:
    assert upsert(MUG | {"title": "a\\u0000b"})["created"] == 1


@pytest.mark.django_db
def test_delete__then_upsert__comes_back() -> None:
    upsert(MUG)

    deleted = services.delete_products(["mug", "nobody"], actor="test", now=NOW)
    revived = upsert(MUG, now=LATER)

    assert (deleted, revived["updated"]) == (1, 1)
    assert Product.objects.get(key="mug").deleted_at is None


@pytest.mark.django_db
def test_view__follows_changes__rows_keep_their_place() -> None:
    upsert(MUG, {"key": "cup", "title": "Cup", "stock": 0})
    first = serve.refresh()

    upsert({"key": "cup", "stock": 1}, {"key": "pan", "title": "Pan"})
    services.delete_products(["mug"], actor="test", now=NOW)
    second = serve.refresh()

    assert [first.is_available(k) for k in ("mug", "cup", "pan")] == [True, False, False]
    assert [second.is_available(k) for k in ("mug", "cup", "pan")] == [False, True, True]
    assert first.index["cup"] == second.index["cup"]
    assert (second.titles[second.index["pan"]], second.price_minor[second.index["mug"]]) == (
        "Pan",
        450,
    )


@pytest.mark.django_db
def test_view__nothing_changed__one_query_and_the_same_view(
    django_assert_num_queries: object,
) -> None:
    upsert(MUG)
    before = serve.refresh()

    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django's fixture is untyped here
        after = serve.refresh()

    assert after is before


@pytest.mark.django_db(transaction=True)
def test_view__slow_transaction__its_rows_are_not_skipped() -> None:
    """On a plain sequence the fast writer's higher number is read first, the slow row never."""
    slow_wrote, finish, fast_done = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            upsert({"key": "slow", "title": "Slow"})
            slow_wrote.set()
            finish.wait(10)
        connection.close()

    def fast() -> None:
        upsert({"key": "fast", "title": "Fast"})
        fast_done.set()
        connection.close()

    writers = [threading.Thread(target=slow), threading.Thread(target=fast)]
    writers[0].start()
    slow_wrote.wait(10)
    writers[1].start()
    fast_first = fast_done.wait(0.3)
    serve.refresh()
    finish.set()
    for writer in writers:
        writer.join(10)
    seen = serve.refresh()

    assert not fast_first
    assert set(seen.index) == {"slow", "fast"}


@pytest.mark.django_db
def test_categories__children_before_parents__paths_follow() -> None:
    services.upsert_categories(
        [
            {"key": "mugs", "title": "Mugs", "parent": "kitchen"},
            {"key": "kitchen", "title": "Kitchen"},
        ],
        actor="test",
        now=NOW,
    )
    services.upsert_categories(
        [{"key": "home"}, {"key": "kitchen", "parent": "home"}], actor="test", now=NOW
    )

    assert Category.objects.get(key="mugs").path == "home/kitchen/mugs"
    assert Category.objects.get(key="mugs").parent == Category.objects.get(key="kitchen")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("items", "error"),
    [
        ([{"key": "a", "parent": "b"}, {"key": "b", "parent": "a"}], Conflict),
        ([{"key": "a", "parent": "nobody"}], Unprocessable),
    ],
)
def test_categories__no_tree__refused_whole(
    items: list[dict[str, str]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        services.upsert_categories(items, actor="test", now=NOW)

    assert not Category.objects.exists()


@pytest.mark.django_db
def test_unknown_items__counted_again__figures_replace() -> None:
    services.count_unknown_items({"x": (5, NOW, LATER), "y": (1, NOW, NOW)})
    services.count_unknown_items({"x": (7, NOW, LATER)})

    assert list(UnknownItem.objects.values_list("key", "events")) == [("x", 7)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "attributes", [{"prices": {"DE": 1e300}}, {"margin": 1e308}, {"a": [1, {"b": -1e19}]}]
)
def test_upsert__number_that_cannot_be_kept__its_row_alone_is_rejected(
    attributes: dict[str, object],
) -> None:
    outcome = upsert(MUG | {"key": "cup", "attributes": attributes}, MUG)

    assert [result["status"] for result in outcome["results"]] == ["rejected", "created"]
    (fault,) = outcome["rejected"][0]["problems"]
    assert (fault.path, "cannot be kept" in fault.problem) == ("attributes", True)


@pytest.mark.django_db
def test_upsert__huge_number_stored_before__changed_and_in_the_trail() -> None:
    Product.objects.create(
        key="mug", title="Mug", attributes={"x": 1e300}, change=1, created_at=NOW, updated_at=NOW
    )

    outcome = upsert({"key": "mug", "stock": 3})

    assert outcome["updated"] == 1
    told = AuditEvent.objects.get(object_type="catalog.product")
    before, after = told.before or {}, told.after or {}
    assert (before["attributes"]["x"], after["stock"]) == (10**300, 3)


@pytest.mark.django_db
def test_upsert__one_key_twice__created_once_and_the_later_field_wins() -> None:
    outcome = upsert(MUG, MUG | {"stock": 2}, MUG | {"key": "pan"})

    assert [result["status"] for result in outcome["results"]] == ["created", "updated", "created"]
    assert (outcome["created"], outcome["updated"]) == (2, 1)
    assert Product.objects.get(key="mug").stock == 2
