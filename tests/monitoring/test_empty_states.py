"""Every list of the admin says what belongs in it when there is nothing."""

import pytest
from django.contrib import admin
from django.contrib.admin import ModelAdmin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from personalization.lib import docs
from personalization.lib.admin import EmptyState

# Their lists are never empty: whoever looks is a user, and the role groups come with the tables.
NEVER_EMPTY = {"auth.user", "auth.group"}


def lists() -> list[ModelAdmin]:  # type: ignore[type-arg]  # not generic at run time
    return [a for m, a in admin.site._registry.items() if m._meta.label_lower not in NEVER_EMPTY]


@pytest.mark.parametrize("listed", lists(), ids=lambda one: one.opts.label_lower)
def test_list__without_rows__brings_its_own_words(listed: ModelAdmin) -> None:  # type: ignore[type-arg]  # not generic at run time
    state = getattr(listed, "empty_state", None)

    assert isinstance(state, EmptyState)
    assert state.what.endswith(".")
    assert state.why.endswith(".")
    if state.action:
        assert state.action_url.startswith("/") or reverse(state.action_url)
    if state.docs:
        page, _, anchor = state.docs.partition("#")
        assert not anchor or f'id="{anchor}"' in docs.page(page).html


@pytest.mark.django_db
@pytest.mark.parametrize("listed", lists(), ids=lambda one: one.opts.label_lower)
def test_list__search_without_match__says_so_and_leads_back(listed: ModelAdmin) -> None:  # type: ignore[type-arg]  # not generic at run time
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("mara", "mara@example.org"))
    address = reverse(f"admin:{listed.opts.app_label}_{listed.opts.model_name}_changelist")

    html = client.get(address, {"q": "no-such-thing"} if listed.search_fields else {}).content

    assert b'id="result_list"' in html or b'class="empty"' in html
