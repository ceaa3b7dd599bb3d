"""What people do in plain forms by keyboard: publish a campaign, describe an event type."""

import pytest
from django.urls import reverse

from personalization.content import services
from personalization.content.models import Campaign
from personalization.events.models import EventSchema
from tests.browser.conftest import Look, Server, Watch, clean, looks
from tests.browser.keys import choose, tab_to
from tests.segments.live.world import count, go_live

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@looks("light-desktop", "dark-phone")
def test_campaign__published_by_keyboard_on_its_page__shows(
    window: Watch, server: Server, look: Look
) -> None:
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    row = services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    address = reverse("admin:content_campaign_change", args=[row.pk])
    page = window.open(server.url + address)
    page.get_by_text("It has no content yet: fill in its block.").wait_for()
    clean(window, f"campaign-draft-{'-'.join(look)}")

    page.get_by_role("textbox", name="Heading").fill("Spring")
    page.get_by_role("button", name="Save and publish").press("Enter")
    page.get_by_role("button", name="Save and end").wait_for()

    clean(window, f"campaign-published-{'-'.join(look)}")
    assert Campaign.objects.get().status == "published"


@looks("light-desktop", "dark-phone")
def test_campaign__audience_built_by_keyboard__told_and_kept(
    window: Watch, server: Server, look: Look
) -> None:
    go_live("early", count(days=30))
    go_live("regulars", count(days=30, value=3))
    services.upsert_placement(key="home.hero", values={"kind": "content"}, actor="t")
    row = services.create_campaign(key="spring", values={"placement": "home.hero"}, actor="t")
    services.upsert_block(campaign="spring", key="b", content={"heading": "Spring"}, actor="t")
    page = window.open(server.url + reverse("admin:content_campaign_change", args=[row.pk]))
    page.locator(".rule-builder[data-ready=yes]").wait_for()

    tab_to(page, "Add condition")
    page.keyboard.press("Enter")
    choose(page, "Segment", "=regulars")
    offered = page.get_by_label("Segment", exact=True).locator("option").all_inner_texts()
    assert offered[-1] == "Another key …"
    clean(window, f"campaign-audience-{'-'.join(look)}")
    page.get_by_role("button", name="Save and publish").press("Enter")
    page.get_by_text("It shows at the moment to its audience").first.wait_for()

    assert Campaign.objects.get().audience == {"and": [{"key": "regulars", "kind": "segment"}]}
    page = window.open(server.url + reverse("admin:content_campaign_changelist"))
    page.get_by_text("Customers who are in the segment “regulars”.").wait_for()
    clean(window, f"campaigns-{'-'.join(look)}")


@looks("light-desktop", "dark-phone")
def test_event_type__described_in_rows__faults_stand_at_their_row(
    window: Watch, server: Server, look: Look
) -> None:
    page = window.open(server.url + reverse("admin:events_eventschema_add"))
    page.get_by_role("textbox", name="Name").fill("Level Reached")
    page.get_by_role("textbox", name="Property in row 1", exact=True).fill("level")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    page.get_by_text("Row 1: Choose what it holds, such as text.").wait_for()
    clean(window, f"event-type-fault-{'-'.join(look)}")

    page.get_by_label("Holds in row 1", exact=True).select_option("number")
    page.get_by_role("checkbox", name="Required in row 1", exact=True).press("Space")
    page.get_by_role("button", name="Save", exact=True).press("Enter")
    page.locator("#result_list").wait_for()

    row = EventSchema.objects.get(name="Level Reached")
    assert row.properties == {"level": {"type": "number", "required": True}}
