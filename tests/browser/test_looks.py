"""The inner admin pages, lists and forms in the looks that the quick tests leave out."""

import pytest
from django.urls import reverse
from playwright.sync_api import Browser

from tests.browser.conftest import Look, Server, faults_of, signed_in
from tests.browser.test_pages import ALL_LOOKS, FORBIDDEN, filled_pages, model_names

pytestmark = [pytest.mark.browser, pytest.mark.deep, pytest.mark.django_db(transaction=True)]

# A card hides what is wider than itself: no page scrolls sideways for it, yet a field is cut off.
CUT_OFF = """() => [...document.querySelectorAll("form input, form select, form textarea")]
    .filter(field => field.checkVisibility() && field.closest("fieldset.module") &&
        field.getBoundingClientRect().right >
        field.closest("fieldset.module").getBoundingClientRect().right)
    .map(field => field.name)"""


@pytest.mark.parametrize("look", ALL_LOOKS, ids="-".join)
def test_inner_pages__filled_shop__are_clean_in_every_look(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str], look: Look
) -> None:
    _, pages = filled_pages()
    pages |= {f"list-{name}": reverse(f"admin:{name}_changelist") for name in model_names()}
    faults = []
    with signed_in(browser, look, staff_cookie) as window:
        for name in model_names():
            path = reverse(f"admin:{name}_add")
            if window.page.request.get(server.url + path).status != FORBIDDEN:
                pages[f"add-{name}"] = path
        for name, path in pages.items():
            page = window.open(server.url + path)
            cut = page.evaluate(CUT_OFF)
            faults += [f"{name}: the field {field} is cut off" for field in cut]
            faults += faults_of(window, f"{name}-{'-'.join(look)}")

    assert faults == [], "\n".join(faults)
