"""Pages of a segment, of overlaps and of "why": clean in every look, full and empty."""

import pytest
from playwright.sync_api import Browser
from pytest_django.fixtures import Settings

from tests.browser.conftest import THEMES, WIDTHS, Server, faults_of, signed_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PAGES = {"segment": "segment", "bare": "segment?bare", "overlap": "overlap", "why": "why"}


@pytest.fixture(autouse=True)
def _segment_pages(settings: Settings) -> None:
    """Put the pages beside the project's own."""
    settings.ROOT_URLCONF = "tests.browser.segment_page"


def test_segment_pages__full_and_bare__are_clean_in_every_look(
    browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    found = []
    for look in [(theme, size) for theme in THEMES for size in WIDTHS]:
        with signed_in(browser, look, staff_cookie) as window:
            for name, path in PAGES.items():
                page = window.open(f"{server.url}/segments-test/{path}")
                for closed in page.locator("summary").all():
                    closed.click()
                found += faults_of(window, f"segments-{name}-{'-'.join(look)}")

    assert found == [], "\n".join(found)
