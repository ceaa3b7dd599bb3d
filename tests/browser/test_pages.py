"""Every kind of admin page, light and dark, wide and at 390 pixels, without a fault."""

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.browser.conftest import Server, Watch, clean, faults_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

FORBIDDEN = 403


def model_names() -> list[str]:
    """Return the admin's models as their URL names begin."""
    return [f"{m._meta.app_label}_{m._meta.model_name}" for m in admin.site._registry]


def test_index__empty_system__is_clean(
    window: Watch, server: Server, look: tuple[str, str]
) -> None:
    window.open(server.url + reverse("admin:index"))

    clean(window, f"index-{'-'.join(look)}")


def test_log_in__nobody_signed_in__is_clean(
    window: Watch, server: Server, look: tuple[str, str]
) -> None:
    window.page.context.clear_cookies()

    window.open(server.url + reverse("admin:login"))

    clean(window, f"login-{'-'.join(look)}")


def test_lists__nothing_in_them__are_clean_and_guide(
    window: Watch, server: Server, look: tuple[str, str]
) -> None:
    faults = []
    for name in model_names():
        page = window.open(server.url + reverse(f"admin:{name}_changelist"))
        faults += faults_of(window, f"list-{name}-{'-'.join(look)}")
        if page.locator("#result_list").count() + page.locator(".empty h2").count() != 1:
            faults.append(f"{name}: neither rows nor an empty state")

    assert faults == [], "\n".join(faults)


def test_add_forms__as_an_administrator__are_clean(
    window: Watch, server: Server, look: tuple[str, str]
) -> None:
    faults = []
    for name in model_names():
        address = server.url + reverse(f"admin:{name}_add")
        if window.page.request.get(address).status == FORBIDDEN:
            continue
        window.open(address)
        faults += faults_of(window, f"add-{name}-{'-'.join(look)}")

    assert faults == [], "\n".join(faults)


def test_explorer__opened__is_clean(window: Watch, server: Server, look: tuple[str, str]) -> None:
    window.open(server.url + reverse("docs"))
    window.page.wait_for_selector(".swagger-ui .info")

    window.shot(f"explorer-{'-'.join(look)}")
    assert window.faults == []
    assert window.overflow() <= 0
