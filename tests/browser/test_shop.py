"""The storefront in Chromium: clean in every theme and width; shelves follow the clicks."""

import json

import pytest
from playwright.sync_api import Page, expect

from personalization.consent.models import Purpose
from personalization.consent.services import save_purpose
from tests.browser.conftest import Watch, clean, looks

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SHELF = '[data-placement="home.recommended"]'


def loaded(page: Page) -> Page:
    expect(page.locator("body")).to_have_attribute("data-loaded", "yes", timeout=15_000)
    return page


def settled(page: Page) -> None:
    """Wait until shelves are filled and events sent: going on earlier would abort both."""
    page.wait_for_function(
        """() => (localStorage.getItem('shop.queue') ?? '[]') === '[]'
            && !document.querySelector('[aria-busy=true]')
            && [...document.images].every((image) => image.complete || image.loading === 'lazy')"""
    )


def clean_but_for_resent(window: Watch, name: str) -> None:
    """Assert that the page is without fault.

    A click that leaves the page may cut off a batch: it is kept and sent again, so that is none.
    """
    window.faults = [f for f in window.faults if not f.endswith("/v1/batch")]
    clean(window, name)


def shown(page: Page, shelf: str = SHELF) -> str:
    return page.locator(shelf).get_attribute("data-shown") or ""


@looks("light-desktop", "dark-phone")
def test_shop__walk__shelves_follow_the_clicks_by_keyboard_too(window: Watch, shop: str) -> None:
    page = loaded(window.open(shop))
    page.get_by_role("button", name="Accept all").click()
    expect(page.locator("#consent")).to_be_hidden()
    settled(page)
    before = shown(page)
    clean_but_for_resent(window, "shop-home")

    page.locator(f"{SHELF} .card a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/shop/p/**")
    loaded(page)
    similar = page.locator('[data-placement="product.similar"]')
    expect(similar.locator(".card").first).to_be_visible()
    settled(page)
    clean_but_for_resent(window, "shop-product")
    page.locator("#add").click()
    expect(page.locator("#cart-count")).to_have_text("1")
    settled(page)

    loaded(window.open(f"{shop}cart/"))
    expect(page.locator("#lines li")).to_have_count(1)
    settled(page)
    clean_but_for_resent(window, "shop-cart")

    loaded(window.open(shop))
    after = shown(page)
    assert before != after
    assert after

    expect(page.locator("#seen-shelf")).to_be_visible()
    page.locator("#persona").select_option(index=1)
    expect(page.locator(SHELF)).not_to_have_attribute("data-shown", after)
    expect(page.locator("#cart-count")).to_have_text("0")
    expect(page.locator("#seen-shelf")).to_be_hidden()


@looks("light-desktop")
def test_shop__product_page__no_product_on_two_shelves(window: Watch, shop: str) -> None:
    page = loaded(window.open(f"{shop}p/lark-00001/"))
    settled(page)
    similar = shown(page, '[data-placement="product.similar"]').split(",")

    assert len(similar) > 1
    assert not set(similar) & set(shown(page).split(","))


@looks("light-desktop")
def test_shop__ordered__nothing_goes_with_an_empty_cart(window: Watch, shop: str) -> None:
    page = loaded(window.open(shop))
    page.get_by_role("button", name="Accept all").click()
    settled(page)
    page.locator(f"{SHELF} .card a").first.click()
    page.wait_for_url("**/shop/p/**")
    loaded(page)
    page.locator("#add").click()
    settled(page)
    loaded(window.open(f"{shop}cart/"))
    beside = page.locator('[data-placement="cart.complements"]')
    expect(beside).to_be_visible()

    page.locator("#order").click()

    expect(page.locator("#cart-empty")).to_be_visible()
    expect(beside).to_be_hidden()


@looks("light-desktop")
@pytest.mark.parametrize("taken", [True, False])
def test_shop__page_left__sent_again_only_what_no_beacon_took(
    window: Watch, shop: str, *, taken: bool
) -> None:
    page = window.page
    page.add_init_script(
        """
        const real = window.fetch;
        window.fetch = (path, ...rest) =>
            path === "/v1/batch" ? Promise.reject(new Error("away")) : real(path, ...rest);
        navigator.sendBeacon = () => {
            sessionStorage.setItem("left", localStorage.getItem("shop.queue"));
            return TAKEN;
        };
        """.replace("TAKEN", json.dumps(taken))
    )
    loaded(window.open(shop))
    page.get_by_role("button", name="Accept all").click()
    expect(page.locator("#consent")).to_be_hidden()
    page.wait_for_function("() => !document.querySelector('[aria-busy=true]')")
    page.locator(f"{SHELF} .card a").first.click()
    page.wait_for_url("**/shop/p/**")
    loaded(page)

    left = json.loads(page.evaluate("sessionStorage.getItem('left')"))
    waits = json.loads(page.evaluate("localStorage.getItem('shop.queue')"))
    again = {one["messageId"] for one in left} & {one["messageId"] for one in waits}
    assert left[-1]["event"] == "Decision Clicked"
    assert bool(again) is not taken


@looks("light-desktop")
def test_shop__refused__nothing_is_remembered_and_shelves_stay_general(
    window: Watch, shop: str
) -> None:
    page = loaded(window.open(shop))
    heading = page.locator(f"{SHELF} h2")
    expect(heading).to_have_text("Picked for you")
    page.get_by_role("button", name="Refuse all").click()
    expect(page.locator("#consent")).to_be_hidden()
    expect(heading).to_have_text("Popular in the shop")
    settled(page)
    before = shown(page)

    page.locator(f"{SHELF} .card a").first.click()
    page.wait_for_url("**/shop/p/**")
    loaded(page)
    settled(page)
    loaded(window.open(shop))

    assert shown(page) == before
    assert page.evaluate("localStorage.getItem('shop.recent')") in {None, "[]"}


def chosen(page: Page) -> dict[str, bool]:
    """Purpose -> whether its box is ticked."""
    boxes = page.locator("#consent-form input")
    ticked: dict[str, bool] = boxes.evaluate_all(
        "all => Object.fromEntries(all.map((one) => [one.name, one.checked]))"
    )
    return ticked


@looks("light-desktop")
def test_shop__privacy_choices__show_what_is_in_force_for_whoever_sits_here(
    window: Watch, shop: str
) -> None:
    default = {"analytics": True, "personalization": True, "marketing": False}
    refused = dict.fromkeys(default, False)
    banner, persona = "#consent", "#persona"
    page = loaded(window.open(shop))
    expect(page.locator(banner)).to_be_visible()
    assert chosen(page) == default
    settled(page)
    clean_but_for_resent(window, "shop-consent")

    page.get_by_role("button", name="Refuse all").click()
    expect(page.locator(banner)).to_be_hidden()
    settled(page)
    loaded(window.open(shop))
    expect(page.locator(banner)).to_be_hidden()
    page.get_by_role("button", name="Privacy choices").click()
    expect(page.locator(banner)).to_be_visible()
    assert chosen(page) == refused

    with page.expect_response("**/v1/decide"):
        page.locator(persona).select_option(index=1)
    expect(page.locator(banner)).to_be_visible()
    assert chosen(page) == default
    page.get_by_role("button", name="Accept all").click()
    expect(page.locator(banner)).to_be_hidden()
    settled(page)
    page.get_by_role("button", name="Privacy choices").click()
    expect(page.locator(banner)).to_be_visible()
    assert chosen(page) == dict.fromkeys(default, True)


@looks("light-desktop")
def test_shop__visits_wait_for_a_yes__boxes_are_empty_and_nothing_is_remembered(
    window: Watch, shop: str
) -> None:
    for purpose in Purpose.objects.all():
        purpose.default_granted = False
        save_purpose(purpose, actor="test")

    page = loaded(window.open(f"{shop}p/lark-00001/"))

    expect(page.locator("#consent")).to_be_visible()
    assert not any(chosen(page).values())
    assert page.evaluate("localStorage.getItem('shop.recent')") in {None, "[]"}
    settled(page)
