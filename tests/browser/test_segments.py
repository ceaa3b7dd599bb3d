"""The segments' pages in Chromium: made by keyboard from nothing, clean in every look."""

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from personalization.content.models import Campaign
from personalization.customers.models import Profile
from personalization.lib import clock
from segments.models import Segment
from segments.preview import preview
from tests.browser import segment_shop
from tests.browser.conftest import Server, Watch, faults_of, signed_in
from tests.browser.keys import choose, tab_to
from tests.segments.live.world import count, members

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# Opposite corners; every look of these pages was taken once, and takes minutes.
LOOKS = (("light", "desktop"), ("dark", "phone"))
LIST = "admin:segments_segment_changelist"
# What the keyboard builds, and what it is made into.
BUILT = {"and": [count("Product Viewed", days=7, value=3)]}
NARROWER = {"and": [count("Product Viewed", days=7, value=9)]}


def faults(window: Watch, name: str) -> list[str]:
    """Return what is wrong; a refused rule is no fault."""
    window.faults = [fault for fault in window.faults if "status of 422" not in fault]
    return faults_of(window, name)


def size_of(rule: object) -> int:
    """Return how many customers a rule holds for now."""
    return preview(rule, now=clock.now()).count  # type: ignore[arg-type]  # a rule as JSON


def press(page: Page, name: str) -> None:
    """Go to a control by Tab and press it."""
    tab_to(page, name)
    page.keyboard.press("Enter")


def wait_for(page: Page, words: str) -> None:
    """Wait for a message of the admin."""
    expect(page.locator(".messagelist")).to_contain_text(words)


def built(page: Page, server: Server) -> None:
    """Make the segment from the empty list, by keyboard alone; see who it is on the way."""
    press(page, "Create a segment")
    page.wait_for_selector(".rule-builder[data-ready]")
    page.locator("#id_title").focus()
    page.keyboard.type("Eager lookers")
    expect(page.locator("#id_key")).to_have_value("eager-lookers")
    press(page, "Add condition")
    choose(page, "Event", "=Product Viewed")
    tab_to(page, "How often")
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    shown = page.locator(".rb-preview")
    expect(shown).to_have_attribute("data-state", "result", timeout=20_000)
    expect(shown.locator(".rb-number-big")).to_have_text(str(size_of(BUILT)))
    expect(shown.locator(".rb-sentence")).to_contain_text("at least 3 times")


def test_marketer__by_keyboard_alone__makes_publishes_edits_compares_and_rolls_back(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str]
) -> None:
    Campaign.objects.exclude(audience=None).delete()
    Segment.objects.update(published=None)
    Segment.objects.all().delete()
    found = []
    with signed_in(browser, ("light", "desktop"), staff_cookie) as window:
        page = window.open(server.url + reverse(LIST))
        found += faults(window, "segments-empty")
        built(page, server)
        found += faults(window, "segments-building")
        press(page, "Save draft")
        wait_for(page, "has its first draft")
        found += faults(window, "segments-drafted")
        press(page, "Publish: version 1")
        wait_for(page, "takes over once")
        segment_shop.decided()
        page.reload()
        many = len(members("eager-lookers"))
        assert many == size_of(BUILT) > 0
        expect(page.locator(".figure .value").first).to_have_text(str(many))
        found += faults(window, "segments-published")

        press(page, "Edit")
        page.wait_for_selector(".rule-builder[data-ready]")
        tab_to(page, "How often")
        page.keyboard.press("Control+a")
        page.keyboard.type("9")
        press(page, "Save draft")
        wait_for(page, "is saved")
        leaving = many - size_of(NARROWER)
        figures = page.locator(".figures.three").nth(1).locator(".value")
        expect(figures).to_have_text(["0", str(leaving), str(many - leaving)])
        press(page, "Publish: version 2")
        wait_for(page, "takes over once")
        segment_shop.decided()
        page.reload()
        expect(page.locator(".figure .value").first).to_have_text(str(many - leaving))
        press(page, "Roll back to it: version 1")
        wait_for(page, "Version 1 is in force")
        expect(page.locator(".figure .value").first).to_have_text(str(many))
        found += faults(window, "segments-rolled-back")

    assert found == [], "\n".join(found)


def test_pages__of_a_filled_shop__are_clean_in_opposite_looks(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str]
) -> None:
    row = segment_shop.filled()
    tried = segment_shop.tried()
    someone = Profile.objects.order_by("-events", "pk").first()
    assert someone is not None
    pages = {
        "list": reverse(LIST),
        "page": reverse("admin:segments_segment_change", args=[row.pk]),
        "edit": reverse("admin:segments_segment_edit", args=[row.pk]),
        "tried": reverse("admin:segments_segment_change", args=[tried.pk]),
        "compare": reverse("admin:segments_segment_diff", args=[row.pk]) + "?from=1&to=3",
        "delete": reverse("admin:segments_segment_delete", args=[row.pk]),
        "overlaps": reverse("admin:segments_segment_overlaps"),
        "upload": reverse("admin:segments_segment_upload"),
        "customer": reverse("admin:customers_customer_change", args=[someone.customer_id]),
    }
    found = []
    for look in LOOKS:
        with signed_in(browser, look, staff_cookie) as window:
            for name, path in pages.items():
                page = window.open(server.url + path)
                if name == "edit":
                    expect(page.locator(".rb-preview")).to_have_attribute(
                        "data-state", "result", timeout=20_000
                    )
                for closed in page.locator(".why summary").all()[:2]:
                    closed.click()
                found += faults(window, f"segments-{name}-{'-'.join(look)}")

    assert found == [], "\n".join(found)


def test_upload__of_typed_ids__tells_each_bad_line(
    browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    with signed_in(browser, ("light", "phone"), staff_cookie) as window:
        page = window.open(server.url + reverse("admin:segments_segment_upload"))
        page.get_by_label("Title").fill("Press")
        page.get_by_label("Key").fill("press")
        page.get_by_label("Or ids").fill("u1\nnull\nu2")
        page.get_by_role("button", name="Upload").click()
        expect(page.get_by_role("status")).to_contain_text("Ids added: 2")
        expect(page.get_by_role("status")).to_contain_text("line 2")
        found = faults(window, "segments-uploaded")

    assert found == [], "\n".join(found)
