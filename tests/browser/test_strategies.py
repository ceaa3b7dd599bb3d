"""The editor of a strategy in Chromium: rules, sliders and the live preview beside them."""

import pytest
from playwright.sync_api import Page, expect

from recommender import live
from recommender.models import Strategy
from tests.browser.conftest import Server, Watch, clean, looks
from tests.recommender.stocked import install, product, stock, strategy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHOES = ["Trail runner", "City sneaker", "Canvas slip-on", "Rain boot", "Court shoe", "Sandal"]
HATS = ["Wool beanie", "Sun hat", "Bucket hat", "Flat cap", "Straw hat", "Trucker cap"]


def opened(window: Watch, server: Server) -> tuple[Page, Strategy]:
    """Open the editor of a strategy with a filter and a cap, in a shop of shoes and hats."""
    stock(image_url=[f"/shop/tile/p{n}.svg" for n in range(12)], title=SHOES + HATS)
    install("popularity", "item_knn")
    rules = {"filter": product("price_minor", "gte", 2000), "caps": {"brand": 4}}
    strategy("for-home", title="For the home page", rules=rules)
    row = Strategy.objects.get(key="for-home")
    page = window.open(f"{server.url}/admin/recommender/strategy/{row.pk}/change/")
    expect(page.locator(".rule-builder[data-ready=yes]")).to_have_count(6)
    expect(page.locator(".preview-items li").first).to_contain_text("City sneaker")
    return page, row


@looks("light-desktop", "dark-phone")
def test_editor__a_slider_and_a_filter__change_the_preview(window: Watch, server: Server) -> None:
    page, row = opened(window, server)
    answer = page.locator(".preview-answer")

    expect(answer.locator(".preview-items li")).to_have_count(8)
    page.get_by_text("products are not shown").click()
    expect(answer).to_contain_text("enough of this brand")
    expect(answer).to_contain_text("does not pass “Show only”")
    clean(window, f"strategy-{page.viewport_size['width']}")  # type: ignore[index]  # always set

    page.locator("#id_diversity").fill("0.8")
    expect(answer.locator(".preview-items li").nth(1)).to_contain_text("Wool beanie")
    page.locator("input[name=preview_item]").fill("p1")
    expect(answer.locator(".preview-items")).not_to_contain_text("City sneaker")
    page.locator("#id_pins").fill("first p9")
    expect(answer).to_contain_text("write a place and a product")
    page.locator("#id_pins").fill("1 p9")
    expect(answer.locator(".preview-items li").first).to_contain_text("Chosen by our team")
    page.locator("input[name=_save]").click()
    page.wait_for_url("**/strategy/")

    row.refresh_from_db()
    live.forget()
    assert row.rules["diversity"] == 0.8
    assert row.rules["pins"] == [{"item": "p9", "place": 1}]
