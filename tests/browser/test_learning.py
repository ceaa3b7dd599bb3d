"""Pages of learned models in Chromium: no fault, wide and narrow, light and dark; what they do."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser

from personalization.ops import services as jobs
from segments.learning import fits, services
from segments.learning.engine.recipes import RECIPES
from segments.models.learning import LearnedModel, Observation
from segments.models.rules import ListMember, Segment
from tests.browser.conftest import Server, faults_of, signed_in
from tests.recommender.shop import NOW, shop
from tests.segments.learning.shop import habits

# The shop that learns, not the demo of the other pages.
__all__ = ["shop"]

LOOKS = (("light", "desktop"), ("dark", "phone"))
KINDS = services.cluster_recipe("kinds", algorithm="kmeans", k=3)


def learnt() -> dict[str, LearnedModel]:
    """A model of each kind, scored three times."""
    who = habits(240, busy=True)
    vips = Segment.objects.create(
        key="vips", title="VIPs", kind="list", created_at=NOW, updated_at=NOW
    )
    ListMember.objects.bulk_create(
        ListMember(segment=vips, value=one.value, customer_id=one.customer_id, added_at=NOW)
        for one in who[0:150:3]
    )
    names = ("customers", "purchase_30d", "value_90d")
    # a window of two months: a small shop has few buyers
    category = replace(RECIPES["next_category"], config={"days": 60.0})
    recipes = [*(RECIPES[name] for name in names), category, services.lookalike_recipe("vips")]
    services.learn(slot="s", actor="test", now=NOW, recipes=recipes)
    for hours in (12, 6, 0):
        services.score(slot=f"s{hours}", now=NOW - timedelta(hours=hours))
    return {row.key: row for row in LearnedModel.objects.all()}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_pages__each_kind__are_clean_in_every_look(
    shop: Any, browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    models = learnt()
    faults = []
    for look in LOOKS:
        with signed_in(browser, look, staff_cookie) as window:
            for key, row in models.items():
                address = reverse("admin:segments_learnedmodel_change", args=[row.pk])
                page = window.open(server.url + address)
                for summary in page.locator("#content-main details summary").all():
                    summary.press("Enter")
                faults += faults_of(window, f"learned-{key}-{'-'.join(look)}")
            window.open(server.url + reverse("admin:segments_learnedmodel_changelist"))
            faults += faults_of(window, f"learned-list-{'-'.join(look)}")

    assert faults == [], "\n".join(faults)
    assert set(models) == {"customers", "purchase_30d", "value_90d", "next_category", "vips"}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_fits__form_progress_and_what_they_give__are_clean_in_every_look(
    shop: Any, browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    habits(150)
    used = ("orders", "sessions", "days_since_event")
    dense = services.cluster_recipe("dense", algorithm="dbscan", features_used=used, reach=0.4)
    soft = services.cluster_recipe("soft", algorithm="gaussian_mixture", k=3)
    services.learn(slot="s", actor="test", now=NOW, recipes=[dense, soft])
    services.score(slot="s", now=NOW)
    run = fits.start_fit(recipe=KINDS, actor="ann")
    jobs.start_run(kind=run.kind, slot=run.slot)
    jobs.advance(run.pk, done=1, total=2)
    form = server.url + reverse("admin:segments_learnedmodel_clusters")
    fit = server.url + reverse("admin:segments_learnedmodel_fit", args=[run.pk])
    faults = []
    for look in LOOKS:
        with signed_in(browser, look, staff_cookie) as window:
            page = window.open(form)
            assert page.locator("#id_k").is_visible()
            assert not page.locator("#id_reach").is_visible()
            page.get_by_label("HDBSCAN").check()
            assert not page.locator("#id_k").is_visible()
            page.fill("#id_least_share", "90")
            page.get_by_role("button", name="Find clusters").click()
            page.get_by_text("Give 0.2 to 50 percent").wait_for()
            faults += faults_of(window, f"fit-form-{'-'.join(look)}")
            window.open(fit)
            faults += faults_of(window, f"fit-progress-{'-'.join(look)}")
            for row in LearnedModel.objects.all():
                address = reverse("admin:segments_learnedmodel_change", args=[row.pk])
                window.open(server.url + address)
                faults += faults_of(window, f"fit-{row.key}-{'-'.join(look)}")

    assert faults == [], "\n".join(faults)


@pytest.fixture
def kinds(shop: Any) -> LearnedModel:
    habits(120)
    services.learn(slot="s", actor="test", now=NOW, recipes=[KINDS])
    services.score(slot="s", now=NOW)
    return LearnedModel.objects.get()


def staff(client: Client, *permissions: str) -> Client:
    user = User.objects.create_user("ann", password="x" * 20, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)
    return client


def test_cluster_page__saved_as_segment__draft_with_the_rule(
    kinds: LearnedModel, client: Client
) -> None:
    told = next(one for one in kinds.metrics["clusters"] if one["rule"])
    inside = staff(client, "view_learnedmodel", "add_segment")
    address = reverse("admin:segments_learnedmodel_segment", args=[kinds.pk, told["label"]])

    for _ in range(2):
        answer = inside.post(address)

    assert answer.status_code == 302
    row = Segment.objects.get(key=f"kinds-cluster-{told['label']}")
    draft = row.versions.get()
    assert (row.title, draft.status) == (told["title"], "draft")
    page = inside.get(reverse("admin:segments_learnedmodel_change", args=[kinds.pk]))
    assert told["title"] in page.content.decode()


def test_cluster_page__unknown_cluster__says_so(kinds: LearnedModel, client: Client) -> None:
    inside = staff(client, "view_learnedmodel", "add_segment")

    page = inside.post(
        reverse("admin:segments_learnedmodel_segment", args=[kinds.pk, "77"]), follow=True
    )

    assert "o rule tells cluster 77" in page.content.decode()
    odd = reverse("admin:segments_learnedmodel_segment", args=[kinds.pk, "all"])
    assert inside.post(odd).status_code == 404
    assert not Segment.objects.filter(key__startswith="kinds").exists()


def test_pages__without_permission__closed(kinds: LearnedModel, client: Client) -> None:
    outside = staff(client)

    pages = [
        outside.get(reverse("admin:segments_learnedmodel_change", args=[kinds.pk])),
        outside.post(reverse("admin:segments_learnedmodel_segment", args=[kinds.pk, "0"])),
    ]

    assert [page.status_code for page in pages] == [403, 403]


def test_registry__actions__move_the_pointer(kinds: LearnedModel, client: Client) -> None:
    inside = staff(client, "view_learnedmodel", "change_learnedmodel")
    later = NOW + timedelta(hours=1)
    services.learn(slot="s2", actor="test", now=later, recipes=[KINDS])

    for action in ("rollback", "promote"):
        inside.post(
            reverse("admin:segments_learnedmodel_changelist"),
            {"action": action, "_selected_action": [kinds.pk]},
        )

    kinds.refresh_from_db()
    assert kinds.status == "live"
    assert Observation.objects.filter(model=kinds).count() == 1
