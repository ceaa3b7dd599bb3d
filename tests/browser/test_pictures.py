"""The README's pictures: `make pictures` takes them anew into docs/images/."""

import math
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import Browser, ViewportSize, expect

from personalization.demo.engine.traffic import Plan
from personalization.demo.services import fill
from personalization.lib import clock
from personalization.lib.metrics import DECISION_BUCKETS_S
from personalization.monitoring.models import MinuteStat
from personalization.monitoring.services import BUCKET_PREFIX
from personalization.ops.models import Heartbeat
from segments import services
from segments.models import Segment
from tests.browser import segment_shop, test_strategies
from tests.browser.conftest import Server, signed_in

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif("PICTURES" not in os.environ, reason="pictures are taken by make pictures"),
]

LARGEST_BYTES = 200 * 1024
BUILDER_BYTES = 300 * 1024
SIZE = ViewportSize(width=1280, height=800)
# Room for two conditions beside their preview.
BUILDER_SIZE = ViewportSize(width=1280, height=1000)
# Share of answers that took at most so long, a log-normal around 3 ms.
MIDDLE_S, SPREAD = 0.003, 0.55


def busy(now: datetime) -> None:
    """Write an hour of a shop: what its processes would have counted, in a smooth wave."""
    this = now.replace(second=0, microsecond=0)
    rows = []
    for back in range(60):
        wave = 1 + 0.25 * math.sin(back / 7) + 0.09 * math.sin(back * 2.4)
        decisions = round(640 * wave)
        counted = {
            "events_accepted": round(1_900 * wave),
            "events_rejected": round(4 * wave),
            "events_processed": round(1_900 * wave),
            "decisions": decisions,
            "process_lag_s": 0.31,
        }
        for le in DECISION_BUCKETS_S:
            z = math.log(le / (MIDDLE_S * (0.9 + 0.2 * wave))) / SPREAD
            counted[f"{BUCKET_PREFIX}{le}"] = round(decisions * 0.5 * (1 + math.erf(z / 2**0.5)))
        counted[f"{BUCKET_PREFIX}+Inf"] = decisions
        minute = this - timedelta(minutes=back)
        rows += [
            MinuteStat(minute=minute, name=name, value=value, updated_at=now)
            for name, value in counted.items()
        ]
    MinuteStat.objects.bulk_create(rows)
    for kind in ("web", "processor", "worker", "beat"):
        Heartbeat.objects.update_or_create(name=f"{kind}-1", defaults={"kind": kind, "at": now})


def test_pictures__of_the_demo__are_written_small(
    browser: Browser, server: Server, shop: str, staff_cookie: dict[str, str]
) -> None:
    folder = Path(settings.BASE_DIR) / "docs" / "images"
    folder.mkdir(exist_ok=True)
    busy(clock.now())

    with signed_in(browser, ("light", "desktop"), staff_cookie) as window:
        page = window.page
        page.set_viewport_size(SIZE)
        window.open(server.url + reverse("admin:index"))
        page.screenshot(path=folder / "overview.png")
        window.open(shop)
        page.wait_for_selector("body[data-loaded=yes]")
        page.get_by_role("button", name="Accept all").click()
        page.locator("#consent").wait_for(state="hidden")
        page.locator(".card a").first.click()
        page.wait_for_url("**/shop/p/**")
        page.wait_for_selector("body[data-loaded=yes]")
        window.open(shop)
        page.wait_for_selector("body[data-loaded=yes]")
        page.screenshot(path=folder / "shop.png")

    for name in ("overview.png", "shop.png"):
        assert (folder / name).stat().st_size <= LARGEST_BYTES, name


def test_picture__of_the_rule_builder__is_written_small(
    browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    path = Path(settings.BASE_DIR) / "docs" / "images" / "segment.png"
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    plan = Plan(
        seed=4, end_us=clock.to_us(end), days=60, products=600, customers=6_000, events=150_000
    )
    fill(say=lambda *_: None, plan=plan, first=150_000)
    row = segment_shop.publish("eager", "Eager, without an order", segment_shop.EAGER)
    services.save_draft(key="eager", rule=segment_shop.LOOKING, actor="mara")
    Segment.objects.filter(published=None).delete()

    with signed_in(browser, ("light", "desktop"), staff_cookie) as window:
        page = window.page
        page.set_viewport_size(BUILDER_SIZE)
        window.open(server.url + reverse("admin:segments_segment_edit", args=[row.pk]))
        preview = page.locator(".rb-preview")
        expect(preview).to_have_attribute("data-state", "result", timeout=30_000)
        page.locator("#toggle-nav-sidebar").click()
        page.evaluate("document.documentElement.style.scrollPaddingTop = '0'")
        page.locator(".field-rule").evaluate("row => row.scrollIntoView()")
        page.screenshot(path=path)

    assert path.stat().st_size <= BUILDER_BYTES


def test_picture__of_the_strategy_editor__is_written_small(
    browser: Browser, server: Server, staff_cookie: dict[str, str]
) -> None:
    path = Path(settings.BASE_DIR) / "docs" / "images" / "strategy.png"

    with signed_in(browser, ("light", "desktop"), staff_cookie) as window:
        window.page.set_viewport_size(BUILDER_SIZE)
        page, _row = test_strategies.opened(window, server)
        page.locator("#toggle-nav-sidebar").click()
        page.evaluate("document.documentElement.style.scrollPaddingTop = '0'")
        page.locator(".strategy-rows").first.evaluate("row => row.scrollIntoView()")
        page.screenshot(path=path)

    assert path.stat().st_size <= BUILDER_BYTES
