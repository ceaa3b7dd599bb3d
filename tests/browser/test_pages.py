"""Every kind of admin page, light and dark, wide and at 390 pixels: no CSP violation, no error, no axe fault."""

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.browser.conftest import Server, Watch, clean

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


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
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        window.open(server.url + reverse(f"admin:{name}_changelist"))

        clean(window, f"list-{name}-{'-'.join(look)}")


def test_add_forms__as_an_administrator__are_clean(
    window: Watch, server: Server, look: tuple[str, str]
) -> None:
    for model, model_admin in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        page = window.page.request.get(server.url + reverse(f"admin:{name}_add"))
        if page.status == 403:
            continue
        window.open(server.url + reverse(f"admin:{name}_add"))

        clean(window, f"add-{name}-{'-'.join(look)}")


def test_explorer__opened__is_clean(window: Watch, server: Server, look: tuple[str, str]) -> None:
    window.open(server.url + reverse("docs"))
    window.page.wait_for_selector(".swagger-ui .info")

    window.shot(f"explorer-{'-'.join(look)}")
    assert window.faults == []
    assert window.overflow() <= 0
