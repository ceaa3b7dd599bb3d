"""The bar with the save buttons stays in sight over long forms and covers nothing in them."""

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from personalization.content import services
from segments import services as rules
from tests.browser import segment_shop
from tests.browser.conftest import Server, Watch, clean, looks
from tests.browser.test_strategies import opened

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Widths at which a preview stands beside the fields, and at which the buttons need two rows.
WIDTHS = (1280, 920)
HEIGHT = 700
# What of the form has the focus and reaches under the bar. What is higher than the room above it
# cannot but; of a textarea browsers bring the line with the caret into view.
_COVERED = """
() => {
    const bar = document.querySelector(".submit-row"), one = document.activeElement;
    if (bar.contains(one) || !one.closest("#content form")) { return ""; }
    const top = bar.getBoundingClientRect().top, box = one.getBoundingClientRect();
    const ends = one.matches("textarea") ? box.top + 24 : box.bottom;
    if (box.height > top || ends <= top + 1) { return ""; }
    return `${one.outerHTML.slice(0, 120)} ends at ${ends}, the bar begins at ${top}`;
}
"""
# By how many pixels the end of a preview, scrolled to its own end, reaches under the bar.
_PREVIEW = """
preview => {
    preview.scrollTop = preview.scrollHeight;
    const bar = document.querySelector(".submit-row").getBoundingClientRect();
    return preview.getBoundingClientRect().bottom - bar.top;
}
"""


def tabbed(page: Page) -> list[str]:
    """Go through the form by Tab, to the button that saves and back; return what was covered."""
    page.locator("#content form :is(input, select, textarea):visible").first.focus()
    faults = []
    for key in ("Tab", "Shift+Tab"):
        for _ in range(250):
            page.keyboard.press(key)
            faults.append(page.evaluate(_COVERED))
            if page.evaluate("!document.activeElement.closest('#content form')"):
                break
            if key == "Tab" and page.evaluate("document.activeElement.name") == "_save":
                break
    return [fault for fault in faults if fault]


@pytest.mark.parametrize("width", WIDTHS)
@looks("light-desktop")
def test_strategy__scrolled_and_tabbed__nothing_under_the_bar(
    window: Watch, server: Server, width: int
) -> None:
    window.page.set_viewport_size({"width": width, "height": HEIGHT})
    page, _ = opened(window, server)
    page.get_by_text("products are not shown").click()
    preview = page.locator(".strategy-preview")

    page.evaluate("scrollTo(0, document.documentElement.scrollHeight / 2)")
    middle = preview.evaluate(_PREVIEW)
    window.shot(f"save-bar-strategy-{width}")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    end = preview.evaluate(_PREVIEW)

    # Below the fields it scrolls with the page.
    assert middle <= 0 or width < 1180
    assert end <= 0
    assert tabbed(page) == []


@pytest.mark.parametrize("width", WIDTHS)
@looks("light-desktop")
def test_segment__scrolled_and_tabbed__nothing_under_the_bar(
    window: Watch, server: Server, width: int
) -> None:
    row = segment_shop.publish("eager", "Eager", segment_shop.EAGER)
    rules.save_draft(key="eager", rule=segment_shop.LOOKING, actor="mara")
    window.page.set_viewport_size({"width": width, "height": HEIGHT})
    page = window.open(server.url + reverse("admin:segments_segment_edit", args=[row.pk]))
    preview = page.locator(".rb-preview")
    expect(preview).to_have_attribute("data-state", "result", timeout=30_000)

    preview.evaluate("preview => preview.scrollIntoView({block: 'end'})")
    shown = preview.evaluate(_PREVIEW)
    window.shot(f"save-bar-segment-{width}")

    assert shown <= 0
    assert tabbed(page) == []


@pytest.mark.parametrize("width", WIDTHS)
@looks("light-desktop")
def test_campaign__tabbed__nothing_under_the_bar(window: Watch, server: Server, width: int) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    row = services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="spring", key="b", content={"heading": "Spring"}, actor="t")
    window.page.set_viewport_size({"width": width, "height": HEIGHT})
    page = window.open(server.url + reverse("admin:content_campaign_change", args=[row.pk]))
    page.locator(".rule-builder[data-ready=yes]").wait_for()

    assert tabbed(page) == []
    clean(window, f"save-bar-campaign-{width}")
