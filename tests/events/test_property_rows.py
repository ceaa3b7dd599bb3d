"""The properties of an event type as rows of a form: what they say, and what stays JSON."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from personalization.access.models import AuditEvent
from personalization.events import forms
from personalization.events.engine import schema
from personalization.events.engine.property_rows import properties_of, rows_of, settled
from personalization.events.engine.taxonomy import BUILT_IN
from personalization.events.forms import EventTypeForm
from personalization.events.models import EventSchema

ADD = "/admin/events/eventschema/add/"
_KEYS = st.sampled_from(["sku", "a b", "a[].b", "[].", "", " x", "a,b", "price", "line\nend"])
_NUMBERS = st.one_of(st.integers(-(10**18), 10**18), st.floats(allow_nan=False))


def _specs(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    one = st.fixed_dictionaries(
        {"type": st.sampled_from(list(schema.TYPES))},
        optional={
            "required": st.sampled_from([True, False, 1, None, "yes"]),
            "min": _NUMBERS,
            "max": _NUMBERS,
            "title": st.sampled_from(["", "Price", " x", 3, None, []]),
            "or": st.lists(_KEYS, max_size=2),
            "of": inner,
        },
    )
    return st.dictionaries(_KEYS, one, max_size=4)


SPECS = _specs(_specs(st.just({})))


def sent(form: EventTypeForm) -> dict[str, Any]:
    """Return what a browser sends of a form in which nobody typed."""
    assert form.rows is not None
    rows = form.rows.forms
    data = {"name": form.instance.name, "title": "", "fact": ""}
    data |= {"rows-TOTAL_FORMS": str(len(rows)), "rows-INITIAL_FORMS": str(len(rows))}
    for field in (field for row in rows for field in row):
        value = field.field.widget.format_value(field.value())
        told = "on" if field.value() is True else value
        data[field.html_name] = told[0] if isinstance(told, list) else told
    return {name: value for name, value in data.items() if value not in (None, False)}


def typed(*rows: dict[str, str]) -> dict[str, str]:
    data = {"name": "Level Reached", "title": "", "fact": ""}
    data |= {"rows-TOTAL_FORMS": str(len(rows)), "rows-INITIAL_FORMS": "0"}
    return data | {
        f"rows-{at}-{name}": value for at, row in enumerate(rows) for name, value in row.items()
    }


@pytest.fixture
def staff(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client


def test_type_titles__every_type_of_the_registry__has_one() -> None:
    assert forms._TYPE_TITLES.keys() == schema.TYPES.keys()


@given(SPECS)
def test_rows__any_description__say_the_same_or_nothing(spec: Any) -> None:
    rows = rows_of(spec)

    if schema.spec_problems(spec):
        assert rows is None
    elif rows is not None:
        assert properties_of(rows) == (settled(spec), [])
        assert schema.compiled([{"name": "x", "fact": "", "properties": settled(spec)}])


@pytest.mark.parametrize(
    "spec",
    [
        {"a[].b": {"type": "string"}},
        {"": {"type": "string"}},
        {" a": {"type": "string"}},
        {"a": {"type": "string", "required": "yes"}},
        {"a": {"type": "string", "title": ["A"]}},
        {"a": {"type": "string", "of": {"b": {"type": "id"}}}},
        {"a": {"type": "id", "or": ["b,c"]}, "b,c": {"type": "id"}},
        {"a": {"type": "number", "max": 10**17}},
        {"a": {"type": "nonsense"}},
    ],
)
def test_rows__what_they_cannot_say__is_left_to_json(spec: Any) -> None:
    assert rows_of(spec) is None


@pytest.mark.django_db
@pytest.mark.parametrize("name", [one.name for one in BUILT_IN])
def test_form__built_in_type_saved_as_it_is__is_the_same(name: str) -> None:
    row = EventSchema.objects.get(name=name)
    before = row.properties
    form = EventTypeForm(sent(EventTypeForm(instance=row)), instance=row)

    assert form.is_valid(), form.errors
    assert form.cleaned_data["properties"] == before
    assert form.instance.properties == before


@pytest.mark.django_db
@given(SPECS)
def test_form__any_description_that_rows_say__is_sent_back_the_same(spec: Any) -> None:
    row = EventSchema(name="X", properties=spec)
    shown = EventTypeForm(instance=row)

    if shown.rows is not None:
        form = EventTypeForm(sent(shown), instance=EventSchema(name="X"))
        assert form.is_valid(), form.errors
        assert form.instance.properties == settled(spec)


def test_admin__rows__become_the_description(staff: Client) -> None:
    rows = (
        {"name": "lines[].price", "type": "number", "least": "0", "most": "9.5"},
        {"name": "lines", "type": "objects", "title": "Lines"},
        {"name": "id", "type": "id", "required": "on", "stand_ins": "sku, ean"},
        {"name": "sku", "type": "id"},
        {"name": "ean", "type": "id"},
        {"name": "gone", "type": "id", "least": "x", "DELETE": "on"},
        {"name": "", "type": ""},
    )

    answer = staff.post(ADD, typed(*rows))

    assert answer.status_code == 302, answer.content.decode()
    assert EventSchema.objects.get(name="Level Reached").properties == {
        "id": {"type": "id", "required": True, "or": ["sku", "ean"]},
        "sku": {"type": "id"},
        "ean": {"type": "id"},
        "lines": {
            "type": "objects",
            "title": "Lines",
            "of": {"price": {"type": "number", "min": 0, "max": 9.5}},
        },
    }


def test_admin__every_row_removed__nothing_is_described(staff: Client) -> None:
    row = EventSchema.objects.create(name="Level Reached", properties={"n": {"type": "id"}})

    form = typed({"name": "n", "type": "id", "DELETE": "on"})
    staff.post(f"/admin/events/eventschema/{row.pk}/change/", form)

    row.refresh_from_db()
    assert row.properties == {}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": "n"}, "Row 2: Choose what it holds, such as text."),
        ({"type": "id"}, "Row 2: Write the property as events carry it, or remove the row."),
        ({"name": "n", "type": "number", "least": "low"}, "Row 2: Enter a number."),
        ({"name": "sku", "type": "id"}, "Row 2: “sku” has two rows; remove one of them."),
        (
            {"name": "lines[].n", "type": "id"},
            "Row 2: “lines” needs a row of its own that holds a list of objects.",
        ),
        (
            {"name": "n", "type": "id", "stand_ins": "sku, ean"},
            "Row 2: There is no row “ean”; add one, or name other properties.",
        ),
    ],
)
def test_admin__row_with_a_fault__is_named_with_the_fix(
    staff: Client, row: dict[str, str], words: str
) -> None:
    page = staff.post(ADD, typed({"name": "sku", "type": "id"}, row)).content.decode()

    # above the form, and at the row
    assert words in page
    assert page.count(words.removeprefix("Row 2: ")) == 2
    assert not EventSchema.objects.filter(name="Level Reached").exists()


def test_admin__nothing_changed__stays_as_it_was_written(staff: Client) -> None:
    written = {"n": {"type": "id", "required": False}}
    row = EventSchema.objects.create(name="Level Reached", properties=written)

    staff.post(f"/admin/events/eventschema/{row.pk}/change/", sent(EventTypeForm(instance=row)))

    row.refresh_from_db()
    assert row.properties == written
    assert not AuditEvent.objects.filter(object_type="events.eventschema").exists()


@pytest.mark.parametrize(
    ("properties", "query", "shown"),
    [
        ({"n": {"type": "id"}}, "", "Write the properties as JSON instead"),
        ({"n": {"type": "id"}}, "?as=json", "Write the properties in rows instead"),
        ({" n": {"type": "id"}}, "", "These properties say something that rows cannot"),
        ({f"n{i}": {"type": "id"} for i in range(101)}, "", "something that rows cannot"),
    ],
)
def test_admin__json_for_experts__where_asked_for_or_needed(
    staff: Client, properties: Any, query: str, shown: str
) -> None:
    row = EventSchema.objects.create(name="Level Reached", properties=properties)

    page = staff.get(f"/admin/events/eventschema/{row.pk}/change/{query}").content.decode()

    assert shown in page
    assert ('name="rows-TOTAL_FORMS"' in page) != ('name="properties"' in page)


@pytest.mark.parametrize(
    ("properties", "shown"),
    [
        ({"n": {"type": "number", "required": True, "min": 3}}, "at least 3"),
        ({" n": {"type": "id"}}, "{&#x27; n&#x27;: {&#x27;type&#x27;: &#x27;id&#x27;}}"),
        ({}, "Nothing in particular"),
    ],
)
def test_admin__viewer__reads_the_properties(
    client: Client, db: None, properties: Any, shown: str
) -> None:
    row = EventSchema.objects.create(name="Level Reached", properties=properties)
    viewer = User.objects.create_user("vi", is_staff=True)
    viewer.groups.set(Group.objects.filter(name="viewer"))
    client.force_login(viewer)

    page = client.get(f"/admin/events/eventschema/{row.pk}/change/").content.decode()

    assert shown in page
    assert "rows-TOTAL_FORMS" not in page
