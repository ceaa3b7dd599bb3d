"""The editor of strategies in the admin: what is saved, and the preview of what is not."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from personalization.catalog.models import Product
from personalization.consent.models import ConsentState
from personalization.consent.serve import PERSONALIZATION
from personalization.customers.models import Identity, Profile
from personalization.customers.services import create_identities
from personalization.lib.errors import Conflict
from recommender.config import StrategiesPart
from recommender.models import Strategy
from recommender.strategies import save_strategy
from tests.recommender.shop import NOW
from tests.recommender.stocked import install, product, stock

PREVIEW = "/admin/recommender/strategy/preview/"


@pytest.fixture
def staff(shop: Path, client: Client) -> Client:
    stock(image_url=[f"https://shop.example/{n}.jpg" for n in range(12)])
    install("popularity", "item_knn")
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client


def form(rows: dict[str, list[dict[str, Any]]] | None = None, **fields: Any) -> dict[str, Any]:
    """What the page sends: everything at rest but `fields`, and rows of the sets."""
    given: dict[str, Any] = {
        "title": "Mine",
        "use": "home",
        "active": "on",
        "exclude_bought_days": "30",
        "exclude_cart": "on",
    }
    for name in ("sources", "boosts", "quotas"):
        held = (rows or {}).get(name, [])
        given |= {f"{name}-TOTAL_FORMS": str(len(held)), f"{name}-INITIAL_FORMS": "0"}
        for place, row in enumerate(held):
            given |= {f"{name}-{place}-{field}": value for field, value in row.items()}
    return given | fields


def rule(*args: Any) -> str:
    return json.dumps(product(*args))


FULL = form(
    {
        "sources": [
            {"algorithm": "item_knn", "weight": "1", "seeds": ["recent", "cart"]},
            {"algorithm": "popularity", "weight": "0.5"},
            {"algorithm": ""},
        ],
        "boosts": [{"rule": rule("brand", "eq", "acme"), "factor": "1.5"}, {"rule": ""}],
        "quotas": [
            {
                "title": "New",
                "rule": rule("created_at", "within_last", 86_400),
                "least": "2",
            }
        ],
    },
    key="mine",
    filter=rule("price_minor", "gt", 0),
    bury=json.dumps({"and": []}),
    diversity="0.3",
    margin="0.2",
    brand_cap="3",
    pins="1 p4\n3 p5",
    exclude_seen="on",
    readmission="shoes 14",
    fatigue_after="4",
    fatigue_factor="0.5",
    explore_share="0.1",
    explore_days="20",
    editorial="p1\np2",
)


def test_editor__everything_filled_in__saved_as_the_service_takes_it(staff: Client) -> None:
    answer = staff.post("/admin/recommender/strategy/add/", FULL)

    row = Strategy.objects.get(key="mine")
    assert answer.status_code == 302
    assert row.sources == [
        {"algorithm": "item_knn", "weight": 1.0, "seeds": ["recent", "cart"]},
        {"algorithm": "popularity", "weight": 0.5, "seeds": []},
    ]
    assert row.rules == {
        "filter": product("price_minor", "gt", 0),
        "boosts": [{"rule": product("brand", "eq", "acme"), "factor": 1.5}],
        "quotas": [
            {"rule": product("created_at", "within_last", 86_400), "least": 2, "title": "New"}
        ],
        "pins": [{"item": "p4", "place": 1}, {"item": "p5", "place": 3}],
        "caps": {"brand": 3},
        "diversity": 0.3,
        "margin": 0.2,
        "fatigue": {"after": 4, "factor": 0.5},
        "exclude_seen": True,
        "readmission_days": {"shoes": 14},
        "exploration": {"share": 0.1, "days": 20},
        "editorial": ["p1", "p2"],
    }


def test_editor__opened_and_saved__nothing_changes(staff: Client) -> None:
    staff.post("/admin/recommender/strategy/add/", FULL)
    row = Strategy.objects.get(key="mine")
    page = staff.get(f"/admin/recommender/strategy/{row.pk}/change/")
    shown = page.context["adminform"].form
    sent = form(
        {
            name: [
                {field.name: field.value() for field in one if field.value() not in (None, "")}
                for one in held.forms
            ]
            for name, held in shown.sets.items()
        },
        **{field.name: field.value() for field in shown if field.value() not in (None, False)},
    )
    staff.post(f"/admin/recommender/strategy/{row.pk}/change/", sent)

    again = Strategy.objects.get(key="mine")
    assert (again.sources, again.rules) == (row.sources, row.rules)


def test_editor__a_colleague_saved_meanwhile__refused_with_what_was_typed(staff: Client) -> None:
    staff.post("/admin/recommender/strategy/add/", FULL)
    path = f"/admin/recommender/strategy/{Strategy.objects.get(key='mine').pk}/change/"
    seen = staff.get(path).context["adminform"].form["seen"]

    first = staff.post(path, form(title="Theirs", seen=seen.value()))
    second = staff.post(path, form(title="Ours", seen=seen.value()))

    assert first.status_code == 302
    assert "a colleague has saved strategy" in second.content.decode()
    assert "Ours" in second.content.decode()
    assert Strategy.objects.get(key="mine").title == "Theirs"


def test_save__a_key_that_was_just_taken__conflict(staff: Client) -> None:
    save_strategy(key="mine", values={"algorithm": "popularity"}, actor="ann", expected="none")

    with pytest.raises(Conflict, match="there is a strategy 'mine'"):
        save_strategy(key="mine", values={"algorithm": "als"}, actor="bob", expected="none")


def test_editor__attributes_of_old_products_and_of_none_any_more__block_nothing(
    staff: Client,
) -> None:
    """The catalogue of words reads the products changed last; one rule may name rarer ones."""
    gone = {"filter": product("attributes.gone", "eq", "x")}
    Strategy.objects.create(key="other", algorithm="popularity", rules=gone)
    rare = Product.objects.order_by("change").first()
    assert rare is not None
    Product.objects.filter(pk=rare.pk).update(attributes={"rare": "yes"})
    fillers = [
        Product(key=f"f{n}", change=10_000 + n, created_at=NOW, updated_at=NOW, attributes={"u": n})
        for n in range(500)
    ]
    Product.objects.bulk_create(fillers)

    saved = staff.post(
        "/admin/recommender/strategy/add/",
        form(key="mine", filter=rule("attributes.rare", "eq", "yes")),
    )
    refused = staff.post(
        "/admin/recommender/strategy/add/",
        form(key="yours", filter=rule("attributes.unheard", "eq", "yes")),
    )
    kept = staff.post(
        f"/admin/recommender/strategy/{Strategy.objects.get(key='other').pk}/change/",
        form(title="Renamed", filter=rule("attributes.gone", "eq", "x")),
    )

    assert (saved.status_code, refused.status_code, kept.status_code) == (302, 200, 302)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"filter": rule("colour", "eq", "x")}, "there is no product field"),
        ({"pins": "first p4"}, "write a place and a product"),
        ({"pins": "1 p4\n1 p5"}, "the same place is pinned twice"),
        ({"readmission": "coffee"}, "write a category and days"),
        ({"pins": "² p4"}, "write a place and a product"),
        ({"pins": f"{'1' * 5000} p4"}, "write a place and a product"),
        ({"readmission": "coffee ²"}, "write a category and days"),
        ({"filter": rule("brand", "eq", "a\0b")}, "holds NUL"),
        ({"diversity": "2"}, "less than or equal to 1"),
    ],
)
def test_editor__what_cannot_serve__refused_in_words(
    staff: Client, fields: dict[str, str], words: str
) -> None:
    saved = staff.post("/admin/recommender/strategy/add/", FULL | fields)
    previewed = staff.post(PREVIEW, FULL | fields)

    assert words in saved.content.decode()
    assert words in previewed.content.decode()
    assert not Strategy.objects.filter(key="mine").exists()


def test_editor__pin_or_pick_of_no_product__saved_with_a_warning(staff: Client) -> None:
    """A feed may bring it later: no reason to refuse."""
    sent = form(title="Early", key="early", pins="1 sku-nope\n2 p4", editorial="sku-later\np1")
    warned = "Pinned or picked by hand, but not in the catalogue: “sku-nope”, “sku-later”."

    previewed = staff.post(PREVIEW, sent).content.decode()
    saved = staff.post("/admin/recommender/strategy/add/", sent, follow=True).content.decode()

    assert warned in previewed
    assert "<td>sku-nope</td><td>is not in the catalogue</td>" in previewed
    assert warned in saved
    assert Strategy.objects.get(key="early").rules["pins"][0] == {"item": "sku-nope", "place": 1}


def test_editor__many_unknown_products__the_first_are_named(staff: Client) -> None:
    sent = form(title="Early", key="early", editorial="\n".join(f"no{n}" for n in range(12)))

    assert "“no9” and 2 more." in staff.post(PREVIEW, sent).content.decode()


def test_editor__pins_and_picks_that_exist__no_warning(staff: Client) -> None:
    previewed = staff.post(PREVIEW, FULL).content.decode()
    saved = staff.post("/admin/recommender/strategy/add/", FULL, follow=True).content.decode()

    assert "preview-items" in previewed
    assert "not in the catalogue:" not in previewed + saved


def test_preview__not_saved__pictures_prices_reasons_and_what_is_missing(staff: Client) -> None:
    wish = {"preview_count": "3", "preview_item": "p7"}
    page = staff.post(PREVIEW, form(filter=rule("brand", "eq", "bolt")) | wish).content.decode()

    assert ["P1" in page, "P3" in page, "P5" in page] == [True] * 3
    assert "https://shop.example/1.jpg" in page
    assert "Popular right now" in page
    assert "does not pass “Show only”" in page
    assert "is the product of the page" in page
    assert not Strategy.objects.filter(title="Mine").exists()


@pytest.mark.parametrize("allowed", [True, False])
def test_preview__for_a_customer__personal_only_with_consent(
    staff: Client, *, allowed: bool
) -> None:
    create_identities([(1, "shopper")], now=NOW - timedelta(days=1))
    who = Identity.objects.get(value="shopper").customer_id
    state = {"n": 1, "f": 1, "l": 1, "k": {}, "r": {"view:p9": 1_000_000}}
    Profile.objects.create(customer_id=who, state=json.dumps(state), updated_at=NOW)
    told = {"granted" if allowed else "denied": PERSONALIZATION}
    ConsentState.objects.create(customer_id=who, updated_at=NOW, **told)
    clicks = {"sources": [{"algorithm": "item_knn", "weight": "1", "seeds": ["recent"]}]}

    page = staff.post(PREVIEW, form(clicks) | {"preview_customer": "shopper"}).content.decode()

    assert ("Customer shopper" in page) is allowed
    assert ("Often viewed with P9" in page) is allowed
    assert ("This customer allows nothing personal" in page) is not allowed


def test_preview__for_nobody__as_a_stranger_and_says_so(staff: Client) -> None:
    page = staff.post(PREVIEW, form() | {"preview_customer": "ghost"}).content.decode()

    assert "Nobody is known as “ghost”" in page
    assert "Popular right now" in page


def test_preview__nothing_left__says_so(staff: Client) -> None:
    page = staff.post(PREVIEW, form(filter=rule("brand", "eq", "nobody"))).content.decode()

    assert "Nothing can be shown" in page


def test_preview__before_a_title_is_typed__no_fault_yet(staff: Client) -> None:
    page = staff.post(PREVIEW, form() | {"title": "", "key": ""}).content.decode()

    assert "Not as it stands" not in page
    assert "preview-items" in page


def test_editor__sections__folded_up_while_nothing_is_set_there(staff: Client) -> None:
    add = reverse("admin:recommender_strategy_add")
    begun = staff.get(add).content.decode()
    staff.post(add, form() | {"title": "Mixed", "key": "mixed", "diversity": "0.5"})
    row = Strategy.objects.get(title="Mixed")
    stored = staff.get(reverse("admin:recommender_strategy_change", args=[row.pk])).content.decode()

    # what may be shown, order, met, new, too little, weights; lift or sink, quotas
    assert begun.count("<details><summary>") == 8
    assert stored.count("<details><summary>") == 7


def test_preview__what_is_no_number_or_holds_nul__is_answered(staff: Client) -> None:
    wish = {
        "preview_strategy": "²",
        "preview_count": "²",
        "preview_customer": "a\0b",
        "preview_item": "p\0",
        "preview_given": "p1 p\x002",
    }

    answers = [
        staff.post(PREVIEW, form() | wish).status_code,
        staff.post(PREVIEW, form() | {"preview_strategy": "9" * 30}).status_code,
        staff.post(PREVIEW, form() | {"preview_count": "9" * 5000}).status_code,
    ]

    assert answers == [200, 200, 200]


def test_preview__without_permission_or_by_get__refused(staff: Client) -> None:
    assert staff.get(PREVIEW).status_code == 405
    staff.force_login(User.objects.create_user("tom", is_staff=True))
    assert staff.post(PREVIEW, form()).status_code == 403


def test_version_of_before_rules__restored_with_none(db: None) -> None:
    part = StrategiesPart()
    names = ("key", "algorithm", "params", "fallback", "exclude_bought_days", "active")
    old = [{name: row[name] for name in names} for row in part.export()]
    Strategy.objects.filter(key="similar").update(rules={"diversity": 0.5}, use="cart")

    part.validate(old)
    part.restore(old)

    row = Strategy.objects.get(key="similar")
    assert (row.rules, row.sources, row.use) == ({}, [], "home")
    assert part.load(old)["similar"].sources[0].algorithm == "item_knn"


def test_editor__nulls_stored_before__page_opens(staff: Client) -> None:
    row = Strategy.objects.get(key="similar")
    row.rules = {"pins": None, "editorial": None, "readmission_days": None, "diversity": None}
    row.save()

    assert staff.get(reverse("admin:recommender_strategy_change", args=[row.pk])).status_code == 200


def test_editor__key_that_is_none__refused_beside_the_field(staff: Client) -> None:
    answer = staff.post(reverse("admin:recommender_strategy_add"), FULL | {"key": "a/b"})

    assert "use small letters" in answer.content.decode()
    assert not Strategy.objects.filter(key="a/b").exists()
