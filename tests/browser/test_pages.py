"""Every kind of admin page without a fault: all light and wide, the main ones in every look.

Each test opens many pages, since a server and a filled shop cost more than a page does.
"""

from collections.abc import Mapping

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser

from personalization.content.models import Campaign
from personalization.customers.models import Identity, Profile
from personalization.decisions import record
from personalization.demo.services import ensure_keys
from personalization.events.models import EventSchema
from personalization.ops.models import ConfigVersion
from recommender.models import ModelVersion
from tests.browser.conftest import Look, Server, Watch, faults_of, looks, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FORBIDDEN = 403
ALL_LOOKS = (("light", "phone"), ("dark", "desktop"), ("dark", "phone"))


def model_names() -> list[str]:
    """Return the admin's models as their URL names begin."""
    return [f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry]


def walk(window: Watch, server: Server, pages: Mapping[str, str], look: Look) -> list[str]:
    """Open pages (name -> path) one after the other; return all their faults."""
    faults = []
    for name, path in pages.items():
        window.open(server.url + path)
        faults += faults_of(window, f"{name}-{'-'.join(look)}")
    return faults


@looks("light-desktop")
def test_lists__nothing_in_them__are_clean_and_guide(
    window: Watch, server: Server, look: Look
) -> None:
    faults = []
    for name in model_names():
        page = window.open(server.url + reverse(f"admin:{name}_changelist"))
        faults += faults_of(window, f"list-{name}-{'-'.join(look)}")
        if page.locator("#result_list").count() + page.locator(".empty h2").count() != 1:
            faults.append(f"{name}: neither rows nor an empty state")

    assert faults == [], "\n".join(faults)


@looks("light-desktop")
def test_add_forms__as_an_administrator__are_clean(
    window: Watch, server: Server, look: Look
) -> None:
    faults = []
    for name in model_names():
        address = server.url + reverse(f"admin:{name}_add")
        if window.page.request.get(address).status == FORBIDDEN:
            continue
        window.open(address)
        faults += faults_of(window, f"add-{name}-{'-'.join(look)}")

    assert faults == [], "\n".join(faults)


def test_main_pages__empty_system__are_clean_in_every_look(
    browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    searched = EventSchema.objects.get(name="Products Searched")
    pages = {
        "index": reverse("admin:index"),
        "empty": reverse("admin:events_rejectedevent_changelist"),
        "form": reverse("admin:content_campaign_add"),
        "event-type": reverse("admin:events_eventschema_change", args=[searched.pk]),
        "event-json": reverse("admin:events_eventschema_add") + "?as=json",
    }
    faults = []
    for look in (("light", "desktop"), *ALL_LOOKS):
        with signed_in(browser, look, staff_cookie) as window:
            faults += walk(window, server, pages, look)
            window.page.context.clear_cookies()
            faults += walk(window, server, {"login": reverse("admin:login")}, look)

    assert faults == [], "\n".join(faults)


def explained(customer_value: str) -> str:
    """Decide once for a customer; return the address of the page that explains it."""
    answer = Client().post(
        "/v1/decide",
        {"anonymousId": customer_value, "placements": ["home.hero", "home.recommended"]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {ensure_keys().secret}"},
    )
    assert answer.status_code == 200, answer.content
    record.flush()
    decision = answer.json()["decisionId"]
    return reverse("admin:decisions_decision_explain") + f"?id={decision}"


def filled_pages() -> tuple[dict[str, str], dict[str, str]]:
    """Return the main pages of a filled shop, and the others."""
    profile = Profile.objects.order_by("-events", "pk").first()
    assert profile is not None
    identity = Identity.objects.filter(
        customer_id=profile.customer_id, kind=Identity.Kind.ANONYMOUS
    ).first()
    assert identity is not None
    explain = explained(identity.value)
    campaign = Campaign.objects.first()
    assert campaign is not None
    main = {
        "campaign": reverse("admin:content_campaign_change", args=[campaign.pk]),
        "overview": reverse("admin:index"),
        "products": reverse("admin:catalog_product_changelist"),
        "customer": reverse("admin:customers_customer_change", args=[profile.customer_id]),
        "debugger": reverse("admin:events_debugger"),
        "models": reverse("admin:recommender_modelversion_changelist"),
        "explain": explain,
    }
    model = ModelVersion.objects.first()
    version = ConfigVersion.objects.first()
    assert model is not None
    assert version is not None
    others = {
        "customers": reverse("admin:customers_customer_changelist"),
        "model": reverse("admin:recommender_modelversion_change", args=[model.pk]),
        "configs": reverse("admin:ops_configversion_changelist"),
        "config": reverse("admin:ops_configversion_change", args=[version.pk]),
        "jobs": reverse("admin:ops_jobrun_changelist"),
        "events": reverse("admin:events_loggedevent_changelist"),
        "decisions": reverse("admin:decisions_decision_changelist"),
        "audit": reverse("admin:access_auditevent_changelist"),
        "app": reverse("admin:app_list", args=["content"]),
        "help": reverse("admin:help", kwargs={"page": "metrics"}),
        "help-index": reverse("admin:help", kwargs={"page": "README"}),
        "search": reverse("admin:catalog_product_changelist") + "?q=nothing-like-it",
    }
    return main, others


def test_filled_shop__every_kind_of_page__is_clean(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str]
) -> None:
    main, others = filled_pages()
    faults = []
    for look in (("light", "desktop"), *ALL_LOOKS):
        with signed_in(browser, look, staff_cookie) as window:
            pages = main | others if look == ("light", "desktop") else main
            faults += walk(window, server, pages, look)

    assert faults == [], "\n".join(faults)


def test_debugger__event_sent_while_it_is_open__appears_within_two_seconds(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str]
) -> None:
    with signed_in(browser, ("light", "desktop"), staff_cookie) as window:
        page = window.open(server.url + reverse("admin:events_debugger"))
        answer = page.request.post(
            f"{server.url}/v1/track",
            data={"event": "Wish Made", "anonymousId": "a-live", "messageId": "m-live"},
            headers={"Authorization": f"Bearer {ensure_keys().secret}"},
        )
        assert answer.ok

        page.get_by_text("m-live").wait_for(timeout=2_000)


# Swagger UI puts a link into the button that opens an operation; its markup is not ours to change.
SWAGGER_FAULTS = ("nested-interactive",)


@looks("light-desktop", "dark-phone")
def test_explorer__opened__is_clean(window: Watch, server: Server, look: Look) -> None:
    window.open(server.url + reverse("docs"))
    window.page.wait_for_selector(".swagger-ui .opblock")

    faults = faults_of(window, f"explorer-{'-'.join(look)}", without=SWAGGER_FAULTS)

    assert faults == [], "\n".join(faults)


@looks("light-desktop")
def test_explorer__operation_tried_out__calls_this_server_under_the_policy(
    window: Watch, server: Server, look: Look
) -> None:
    page = window.open(server.url + reverse("docs"))
    page.wait_for_selector(".swagger-ui .opblock")

    page.locator("#operations-Models-models_list .opblock-summary-control").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    page.locator(".live-responses-table .response-col_status").first.wait_for()

    assert page.locator("tr.response .response-col_status").first.inner_text().startswith("200")
    assert window.faults == []
