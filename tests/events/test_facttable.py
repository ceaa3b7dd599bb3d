"""Facts as rules read them: written in one go, read in order, replaced, expired."""

import threading

import pytest
from django.db import connection, transaction

from personalization.events import facttable

AWKWARD = {
    "text": 'tab\there, line\nthere, a \\ and "quotes" and \\N, é 漢 \u2028',
    "nested": {"a": [1, 1.5, True, None, {"b": "\\"}]},
    "$context": {"device": {"type": "mobile"}},
    "$session": {"id": "s1"},
    "$product": [{"category": "shoes", "brand": "x", "price_minor": 100}],
}


@pytest.mark.django_db
def test_history__any_text_in_properties__comes_back_in_order() -> None:
    ids = facttable.names(["b", "a"])
    facttable.write(
        [
            (65, 30, 3, ids["a"], None),
            (65, 20, 2, ids["b"], AWKWARD),
            (65, 20, 1, ids["a"], {"n": 1}),
            (1, 5, 4, ids["a"], {}),
        ]
    )

    found = facttable.history([65, 1, 2])

    assert found == {
        65: [(20, 1, "a", {"n": 1}), (20, 2, "b", AWKWARD), (30, 3, "a", {})],
        1: [(5, 4, "a", {})],
        2: [],
    }


@pytest.mark.django_db
def test_history__names_and_moment_given__leaves_others_out() -> None:
    ids = facttable.names(["a", "b"])
    facttable.write([(7, at, at, ids[name], None) for at in (10, 11, 12) for name in "ab"])

    found = facttable.history([7], [ids["a"]], 10)

    assert found == {7: [(11, 11, "a", {}), (12, 12, "a", {})]}
    assert facttable.history([7], []) == {7: []}


@pytest.mark.django_db
def test_rewrite__some_customers__leaves_the_others() -> None:
    ids = facttable.names(["a"])
    facttable.write([(customer, 1, 1, ids["a"], None) for customer in (1, 2, 65)])

    facttable.rewrite([1, 65], [(65, 9, 9, ids["a"], None)])

    assert facttable.history([1, 2, 65]) == {
        1: [],
        2: [(1, 1, "a", {})],
        65: [(9, 9, "a", {})],
    }


@pytest.mark.django_db
def test_first_seen__noted_twice__keeps_the_earlier() -> None:
    ids = facttable.names(["a", "b"])
    facttable.note_first_seen([(1, ids["a"], 5), (1, ids["a"], 3), (2, ids["b"], 9)])
    facttable.note_first_seen([(1, ids["a"], 4), (2, ids["b"], 8)])

    assert facttable.first_seen([1, 2, 3]) == {1: {"a": 3}, 2: {"b": 8}, 3: {}}

    facttable.forget_first_seen([1])

    assert facttable.first_seen([1, 2]) == {1: {}, 2: {"b": 8}}


@pytest.mark.django_db
def test_expire__moment__takes_what_is_at_or_before_it() -> None:
    ids = facttable.names(["a"])
    facttable.write([(customer, at, at, ids["a"], None) for customer in (1, 2) for at in (5, 6, 7)])

    assert facttable.expire(6) == 4

    assert facttable.history([1]) == {1: [(7, 7, "a", {})]}


@pytest.mark.django_db(transaction=True)
def test_names__transaction_rolled_back__is_not_remembered() -> None:
    with transaction.atomic():
        made = facttable.names(["rolled back"])
        assert facttable.names(["rolled back"]) == made
        with transaction.atomic():
            facttable.names(["deeper"])
        transaction.set_rollback(True)

    again = facttable.names(["rolled back", "deeper"])

    with connection.cursor() as cursor:
        cursor.execute("SELECT name, id FROM events_factname WHERE name = ANY(%s)", [list(again)])
        assert dict(cursor.fetchall()) == again
    assert facttable.ids(["rolled back", "nobody"]) == {"rolled back": again["rolled back"]}


@pytest.mark.django_db(transaction=True)
def test_names__two_at_once__agree() -> None:
    found: list[dict[str, int]] = []

    def other() -> None:
        try:
            with transaction.atomic():
                found.append(facttable.names(["both", "mine"]))
        finally:
            connection.close()

    with transaction.atomic():
        first = facttable.names(["both"])
        thread = threading.Thread(target=other)
        thread.start()
    thread.join()

    assert found[0]["both"] == first["both"] == facttable.names(["both"])["both"]


@pytest.mark.django_db
def test_names__longer_than_the_column__is_cut() -> None:
    long = "x" * 300

    assert facttable.names([long])[long] == facttable.names(["x" * 200])["x" * 200]
