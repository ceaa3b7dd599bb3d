"""Pages of models, products and results: what they say, and who may decide."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.test import Client

from personalization.access.models import AuditEvent
from personalization.catalog.services import upsert_categories, upsert_products
from personalization.lib import clock
from personalization.lib.charts import Chart
from recommender import model_pages, outcomes, pages, performance, registry, services
from recommender.engine import training
from recommender.engine.base import Interactions
from recommender.engine.popularity import Popularity, PopularityConfig
from recommender.engine.training import Fitted
from recommender.models import ModelVersion
from recommender.performance import Rates
from tests.recommender.shop import NOW, customer, two_tastes
from tests.recommender.test_outcomes import bought, clicked, shown

BASE = "/admin/recommender"


@pytest.fixture
def staff(shop: Path, client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ann", password="x" * 20))
    return client


@pytest.fixture
def viewer(shop: Path) -> Client:
    """Somebody who may look and nothing else."""
    user = User.objects.create_user("vera", password="x" * 20, is_staff=True)
    user.groups.add(Group.objects.get(name="viewer"))
    found = Client()
    found.force_login(user)
    return found


def text(client: Client, path: str, **query: Any) -> str:
    answer = client.get(f"{BASE}/{path}", query)
    assert answer.status_code == 200
    return answer.content.decode()


LEARNING = {
    "by": "customers",
    "points": [[20, 0.1], [80, 0.2], [320, 0.21]],
    "gain": 0.01,
    "sure": True,
    "questions": 250,
}
DRIFT = [
    {"feature": "products", "psi": 0.31, "verdict": "shifted"},
    {"feature": "kinds", "psi": 0.12, "verdict": "watch"},
    {"feature": "hours", "psi": 0.01, "verdict": "steady"},
]

PARTS: dict[str, Any] = {
    "groups": [
        {
            "part": part,
            "customers": 40,
            "users": 45,
            "Recall@20": 0.31,
            "NDCG@20": 0.2 + difference,
            "difference": difference,
            "chance": 0.04,
        }
        for part, difference in (("country:DE", 0.01), ("segment:night-owls", -0.06))
    ],
    "bands": [
        {
            "part": "history 1-4",
            "customers": 30,
            "users": 30,
            "Recall@20": 0.4,
            "NDCG@20": 0.3,
            "difference": 0.1,
            "chance": 0.04,
        }
    ],
    "few": 3,
    "further": 1,
}


def version(quality: float, *, newest_s: float, weight: float = 1.0) -> ModelVersion:
    """One trained popularity, gated."""
    who = np.arange(10, dtype=np.int32)
    weights = np.full(10, weight, np.float32)
    data = Interactions(who, who % 3, weights, np.zeros(10), 10, 3)
    model = Popularity.fit(data, PopularityConfig(), as_of_s=0.0)
    told: dict[str, Any] = {
        "NDCG@20": quality,
        "intervals": {"NDCG@20": [quality - 0.01, quality + 0.01]},
    }
    told |= {"learning": LEARNING, "drift": DRIFT, "coverage@20": 0.4, "Gini@20": 0.7}
    told |= {"parts": PARTS, "Recall@20": 0.3}
    facts = {**training.facts_of(data), "newest_s": newest_s}
    made = registry.register(
        name="popularity",
        fitted=Fitted(model.to_arrays(), facts, {**told, "users": 50}),
        item_keys=["a", "b", "c"],
        about={"mode": registry.FULL, "until_s": newest_s},
        run_id=None,
        now=NOW,
    )
    at = NOW + timedelta(seconds=newest_s)
    return registry.gate(made, actor="t", now=at)


def two_versions() -> tuple[ModelVersion, ModelVersion]:
    return version(0.2, newest_s=1), version(0.21, newest_s=2)


def test_model_page__figures_with_intervals_course_and_origin(staff: Client) -> None:
    _, second = two_versions()

    page = text(staff, f"modelversion/{second.pk}/change/")

    low, high = second.metrics["intervals"]["NDCG@20"]
    assert f"({low:.4f} to {high:.4f})" in page
    assert "Over its versions" in page
    assert second.manifest_sha256 in page
    assert "scipy" in page


def labels(chart: Chart | None) -> tuple[list[str], tuple[str, ...]]:
    """Return what stands at the side of a chart, from the top, and below it."""
    assert chart is not None
    return [one.label for one in chart.grid], chart.across


def test_model_page__charts__name_their_values_and_versions(shop: Path) -> None:
    _, second = two_versions()

    page = model_pages.model_page(second)
    course, ends = page["course"], ("v1", "v2")

    assert labels(course["quality"]) == (["0.3", "0.2", "0.1", "0"], ends)
    assert labels(course["sizes"]) == (["10", "5", "0"], ends)
    assert labels(course["spread"]) == (["1.0", "0.5", "0"], ends)
    assert labels(page["drift"]["chart"]) == (["0.4", "0.2", "0"], ends)
    # Steps of several times as much: every point has its number.
    assert labels(page["learning"]["chart"]) == (
        ["0.3", "0.2", "0.1", "0"],
        ("20", "80", "320 customers"),
    )
    assert course["sizes"].summary == "Interactions from 10 (v1) to 10 (v2)"
    assert course["spread"].summary == (
        "coverage@20 from 0.4000 (v1) to 0.4000 (v2); Gini@20 from 0.7000 (v1) to 0.7000 (v2)"
    )
    assert page["drift"]["chart"].summary == "Largest index from 0.310 (v1) to 0.310 (v2)"


def test_model_page__version_without_coverage__leaves_a_gap(shop: Path) -> None:
    first, second = two_versions()
    del first.metrics["coverage@20"]
    first.save(update_fields=["metrics"])

    chart = model_pages.model_page(second)["course"]["spread"]

    assert [line.path for line in chart.lines] == ["M720 120L720 120", "M0 60L720 60"]
    assert "coverage@20 from — (v1) to 0.4000 (v2)" in chart.summary


def test_model_page__first_version__draws_no_line_of_one_point(shop: Path) -> None:
    page = model_pages.model_page(version(0.2, newest_s=1))

    assert page["course"] is None
    assert page["drift"]["chart"] is None


def test_performance_page__click_rate__has_days_and_gaps_of_nothing_shown() -> None:
    first = NOW.date()
    rates = [Rates(shown=50, clicked=1), Rates(), Rates(shown=40, clicked=1)]
    found = performance.Performance(
        window=performance.Window(3, first, first + timedelta(days=2), NOW),
        total=sum(rates, Rates()),
        strategies=(),
        sources=(),
        positions=(),
        days=tuple((first + timedelta(days=day), one) for day, one in enumerate(rates)),
    )

    chart = pages.performance_page(found)["chart"]

    assert labels(chart) == (
        ["3 %", "2 %", "1 %", "0 %"],
        (str(first), str(first + timedelta(days=2))),
    )
    assert chart.lines[0].path == "M0 66.7L0 66.7 M720 33.3L720 33.3"
    assert chart.summary.endswith("highest 2.50 %")


@pytest.mark.django_db
def test_coverage_page__curve__from_nothing_to_all_on_both_axes() -> None:
    curve = tuple((part / 100) ** 2 for part in range(101))
    found = performance.Coverage(
        window=performance.Window(7, NOW.date(), NOW.date(), NOW),
        products=100,
        shown_products=99,
        shown=5_000,
        gini=0.4,
        tail_share=curve[90],
        curve=curve,
        brands=(),
        categories=(),
        bands=(),
    )

    chart = pages.coverage_page(found)["chart"]

    assert labels(chart) == (["100 %", "50 %", "0 %"], ("0 %", "50 %", "100 %"))
    assert "have 81.0 % of all showings" in chart.summary


def test_promote__asked_first_then_done_and_audited(staff: Client) -> None:
    first, _ = two_versions()
    address = f"{BASE}/modelversion/{first.pk}/decide/promote/"

    asked = staff.get(address).content.decode()
    staff.post(address)

    assert "Have this version serve?" in asked
    first.refresh_from_db()
    assert first.status == "live"
    assert AuditEvent.objects.filter(action="promote", actor="ann").count() == 1


def test_rollback__by_the_page__the_version_before_serves(staff: Client) -> None:
    first, second = two_versions()
    staff.post(f"{BASE}/modelversion/{second.pk}/decide/rollback/")

    first.refresh_from_db()
    assert first.status == "live"


def test_rollback__asked_first__names_the_version_that_will_serve(staff: Client) -> None:
    _, second = two_versions()

    asked = staff.get(f"{BASE}/modelversion/{second.pk}/decide/rollback/").content.decode()

    assert '<button class="button" type="submit">Roll back to version 1</button>' in asked
    assert "Have version 1, which served before this one, serve again?" in asked


@pytest.mark.parametrize(
    ("which", "words"),
    [(0, "earlier version of popularity has served"), (1, "does not serve; version 1 does")],
)
def test_rollback__to_nothing_or_of_what_does_not_serve__said_instead_of_asked(
    staff: Client, which: int, words: str
) -> None:
    rows = version(0.2, newest_s=1), version(0.01, newest_s=2)

    address = f"{BASE}/modelversion/{rows[which].pk}/decide/rollback/"
    page = staff.get(address, follow=True).content.decode()

    assert [row.status for row in rows] == ["live", "rejected"]
    assert words in page
    assert "Leave it" not in page


@pytest.mark.parametrize("method", ["get", "post"])
def test_decide__viewer__may_not(viewer: Client, method: str) -> None:
    first, _ = two_versions()

    answer = getattr(viewer, method)(f"{BASE}/modelversion/{first.pk}/decide/promote/")

    assert answer.status_code == 403
    assert "decide/promote" not in text(viewer, f"modelversion/{first.pk}/change/")


@pytest.mark.parametrize("path", ["999/decide/promote/", "1/decide/delete_all/", "999/change/"])
def test_decide__no_such_thing__not_found(staff: Client, path: str) -> None:
    assert staff.get(f"{BASE}/modelversion/{path}").status_code == 404


def results(settings: Any) -> None:
    settings.SHOP_CURRENCY = "EUR"
    priced = [("mug", 500, "acme", "cups"), ("cup", 900, "", "cups"), ("pan", None, "pots", "")]
    upsert_products(
        [
            {"key": key, "title": key.title(), "brand": brand, "categories": [kind] if kind else []}
            | ({"price": price / 100, "currency": "EUR"} if price else {})
            for key, price, brand, kind in priced
        ],
        actor="t",
        now=NOW,
    )
    who = customer("ann")
    outcomes.fold([shown(who, 30), clicked(who, 30), bought(who, 10)], NOW)


def test_performance__rates_of_the_window__by_source_and_position(
    staff: Client, settings: Any
) -> None:
    results(settings)

    page = text(staff, "shelfday/")
    found = performance.performance(7, now=NOW)

    assert (found.total.shown, found.total.clicked, found.total.revenue_minor) == (2, 1, 1000)
    assert [(source, one.ctr) for _, source, one in found.sources] == [
        ("item_knn", 1.0),
        ("popularity", 0.0),
    ]
    assert [(place, one.conversion) for place, one in found.positions] == [(0, 1.0), (1, None)]
    assert "50.00 %" in page
    assert "10.00 EUR" in page
    assert "for the last click on the same product in the 7 days before it" in page


def test_performance__of_another_strategy_or_window__nothing(settings: Any, shop: Path) -> None:
    results(settings)

    assert performance.performance(7, now=NOW, strategy="similar").total.shown == 0
    assert performance.performance(7, now=NOW + timedelta(days=20)).total.shown == 0


def test_coverage__by_brand_category_and_price__shares_add_up(staff: Client, settings: Any) -> None:
    results(settings)

    found = performance.coverage(28, now=NOW)
    page = text(staff, "itemday/", days=28)

    assert (found.products, found.shown_products, found.shown) == (3, 2, 2)
    assert [(one.name, one.shown) for one in found.categories] == [("cups", 2), ("", 0)]
    for shares in (found.brands, found.categories, found.bands):
        assert sum(one.products for one in shares) == 3
        assert sum(one.shown for one in shares) == 2
    assert [(one.name, one.shown) for one in found.bands] == [
        ("500-500", 1),
        ("900-900", 1),
        ("", 0),
    ]
    assert found.gini == pytest.approx(1 / 3)
    assert found.tail_share == found.curve[90] == 0.5
    assert (found.curve[0], found.curve[33], found.curve[-1]) == (0.0, 0.0, 1.0)
    assert "66.7 %" in page
    assert "cups" in page


def test_coverage__categories_with_titles__are_called_by_them(staff: Client, settings: Any) -> None:
    results(settings)
    upsert_categories([{"key": "cups", "title": "Cups and mugs"}], actor="t", now=NOW)

    assert "Cups and mugs" in text(staff, "itemday/", days=28)


def test_item__near_it_and_where_it_shows(staff: Client, settings: Any) -> None:
    two_tastes(20)
    services.train(slot="s1", actor="t", now=NOW, models=["popularity", "item_knn"])
    results(settings)

    page = text(staff, "itemday/item/", key="a0")
    lists = text(staff, "itemday/item/", key="mug")

    assert "Often viewed with A0" in page
    assert "this model does not go by products on the page" in page
    assert "No list of these days had it" in page
    assert "it was not met in the log" in lists
    assert "for-you" in lists


@pytest.mark.parametrize("path", ["shelfday/", "itemday/", "itemday/item/", "modelversion/"])
def test_pages__empty_shop__open_for_viewers(viewer: Client, path: str) -> None:
    with clock.frozen(NOW):
        assert text(viewer, path)


@pytest.mark.parametrize("name", ["shelfday", "itemday"])
def test_results__empty_shop__say_the_words_of_their_list(viewer: Client, name: str) -> None:
    listed: Any = admin.site._registry[apps.get_model("recommender", name)]

    with clock.frozen(NOW):
        page = text(viewer, f"{name}/")

    assert f"<p>{listed.empty_state.what}</p>" in page
    assert f"<p>{listed.empty_state.why}</p>" in page


def test_models__whoever_decides__is_offered_it_in_words(staff: Client, viewer: Client) -> None:
    two_versions()

    offered = text(staff, "modelversion/")

    assert "Promote: have the selected version serve" in offered
    assert "Roll back: have the version before serve" in offered
    assert "have the version before" not in text(viewer, "modelversion/")


def test_models__list__says_how_many_questions_of_which_kind(staff: Client) -> None:
    first, second = two_versions()
    protocol = "baskets of the last days: the last item asked of the others"
    told = {"users": 6000, "protocol": protocol}
    ModelVersion.objects.filter(pk=first.pk).update(metrics={**first.metrics, **told})
    ModelVersion.objects.filter(pk=second.pk).update(metrics={})

    page = text(staff, "modelversion/")

    kind = '6,000<br><span class="note">baskets, the last item</span>'
    assert f'<span title="{protocol}">{kind}</span>' in page
    assert '<td class="field-questions">—</td>' in page


def test_wilson__known_value() -> None:
    low, high = performance.wilson(10, 100) or (0, 0)

    assert (round(low, 4), round(high, 4)) == (0.0552, 0.1744)
    assert performance.wilson(0, 0) is None


def test_window__of_a_key_with_signs_or_nul__links_to_the_same(staff: Client) -> None:
    page = text(staff, "itemday/item/", key="a&b=c d\0")

    assert "&amp;key=a%26b%3Dc%20d" in page
    assert text(staff, "shelfday/", strategy="x\0&days=1").count("&amp;strategy=x%26days%3D1")
