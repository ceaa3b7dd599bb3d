"""Pages of models and results in Chromium: clean, wide and narrow, light and dark; a promotion."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from recommender import live, outcomes
from tests.browser.conftest import Server, faults_of, signed_in
from tests.recommender.shop import NOW, customer, products, shop
from tests.recommender.test_outcomes import bought, clicked, shown
from tests.recommender.test_result_pages import version
from tests.recommender.test_searching import adopt

__all__ = ["shop"]

LOOKS = (("light", "desktop"), ("dark", "phone"))


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_pages__with_results__are_clean_and_promote_asks_first(
    shop: Any, browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    products("mug", "cup", "pan", "a", "b", "c")
    first, second = version(0.2, newest_s=1), version(0.21, newest_s=2)
    adopt()
    for number in range(6):
        who, hours = customer(f"u{number}"), 30.0 + 24 * number
        outcomes.fold([shown(who, hours), clicked(who, hours), bought(who, hours - 5)], NOW)
    live.refresh()
    model = reverse("admin:recommender_modelversion_change", args=[first.pk])
    addresses = {
        "model": model,
        "models": reverse("admin:recommender_modelversion_changelist"),
        "performance": reverse("admin:recommender_shelfday_changelist"),
        "coverage": reverse("admin:recommender_itemday_changelist"),
        "item": reverse("admin:recommender_item") + "?key=mug",
    }
    faults = []
    for look in LOOKS:
        with signed_in(browser, look, staff_cookie) as window:
            for name, address in addresses.items():
                page = window.open(server.url + address)
                for summary in page.locator("#content-main details summary").all():
                    summary.press("Enter")
                faults += faults_of(window, f"{name}-{'-'.join(look)}")
    with signed_in(browser, LOOKS[0], staff_cookie) as window:
        page = window.open(server.url + model)
        page.get_by_role("link", name="Promote …").press("Enter")
        page.wait_for_url("**/decide/promote/")
        faults += faults_of(window, "promote")
        page.get_by_role("button", name="Have it serve").press("Enter")
        page.wait_for_url(f"**{model}")
        said = page.locator(".messagelist").inner_text()

    assert faults == [], "\n".join(faults)
    assert "opularity v1 serves now" in said
    second.refresh_from_db()
    assert second.status == "retired"
