"""The catalogue in the admin: the same rules and trail as the API."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.catalog.models import Category, Product

pytestmark = pytest.mark.django_db
FORM = {
    "key": "mug",
    "title": "Mug",
    "url": "https://shop.test/mug",
    "price_0": "4.50",
    "price_1": "EUR",
    "available": "on",
    "categories": "kitchen\nhome",
    "attributes": "material: clay\nweight: 0.4",
}


@pytest.fixture
def staff(client: Client) -> Client:
    """A signed-in member of staff who may do all."""
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client


def test_product__added_and_changed__through_the_service(staff: Client) -> None:
    staff.post("/admin/catalog/product/add/", FORM)
    mug = Product.objects.get(key="mug")
    staff.post(f"/admin/catalog/product/{mug.pk}/change/", FORM | {"title": "Big mug"})

    changed = Product.objects.get(key="mug")
    assert (changed.title, changed.pk) == ("Big mug", mug.pk)
    assert changed.change > mug.change
    trail = AuditEvent.objects.filter(object_type="catalog.product").order_by("id")
    assert [(row.action, row.actor) for row in trail] == [("create", "ann"), ("update", "ann")]


def test_product__faults__stand_at_their_fields(staff: Client) -> None:
    answer = staff.post("/admin/catalog/product/add/", FORM | {"url": "javascript:1"})

    assert "Must start with https://" in answer.content.decode()
    assert not Product.objects.exists()


def test_product__price_lines_and_pairs__stored_as_the_api_has_them(staff: Client) -> None:
    staff.post("/admin/catalog/product/add/", FORM)

    mug = Product.objects.get()
    assert (mug.price_minor, mug.currency) == (450, "EUR")
    assert mug.categories == ["kitchen", "home"]
    assert mug.attributes == {"material": "clay", "weight": 0.4}
    page = staff.get(f"/admin/catalog/product/{mug.pk}/change/").content.decode()
    assert 'value="4.50"' in page
    assert "weight: 0.4\nmaterial: clay" in page  # as jsonb orders them


def test_product__price_without_currency__told_at_the_price(staff: Client) -> None:
    answer = staff.post("/admin/catalog/product/add/", FORM | {"price_1": ""})

    assert "Give the currency" in answer.content.decode()
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "for sale"),
        ({"stock": "3"}, "for sale"),
        ({"stock": "0"}, "sold out"),
        ({"available": ""}, "not for sale"),
    ],
)
def test_product__list__says_whether_it_can_be_bought(
    staff: Client, fields: dict[str, str], words: str
) -> None:
    staff.post("/admin/catalog/product/add/", FORM | fields)

    page = staff.get("/admin/catalog/product/").content.decode()

    assert f">{words}</span>" in page
    filtered = {
        one: "field-key" in staff.get("/admin/catalog/product/", {"standing": one}).content.decode()
        for one in ("for sale", "sold out", "not for sale", "deleted")
    }
    assert [one for one, found in filtered.items() if found] == [words]


def test_product__deleted__softly(staff: Client) -> None:
    staff.post("/admin/catalog/product/add/", FORM)
    mug = Product.objects.get()

    staff.post(f"/admin/catalog/product/{mug.pk}/delete/", {"post": "yes"})

    mug.refresh_from_db()
    assert mug.deleted_at is not None


@pytest.mark.parametrize(("term", "found"), [("mu", True), ("MUG", True), ("zebra", False)])
def test_product__search__by_beginning(staff: Client, term: str, found: bool) -> None:
    staff.post("/admin/catalog/product/add/", FORM)

    page = staff.get("/admin/catalog/product/", {"q": term}).content.decode()

    assert ('class="field-key"' in page) is found


def test_category__child_then_renamed_parent__paths_follow(staff: Client) -> None:
    staff.post("/admin/catalog/category/add/", {"key": "home", "title": "Home"})
    home = Category.objects.get()
    staff.post("/admin/catalog/category/add/", {"key": "mugs", "title": "Mugs", "parent": home.pk})

    assert Category.objects.get(key="mugs").path == "home/mugs"
    assert staff.get("/admin/catalog/category/").status_code == 200


@pytest.mark.parametrize("path", ["product/", "product/add/", "unknownitem/", "category/add/"])
def test_pages__empty__open(staff: Client, path: str) -> None:
    assert staff.get(f"/admin/catalog/{path}").status_code == 200
