"""What the demo shop shows where: its placements and campaigns."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from personalization.content.models import Campaign, Placement
from personalization.content.services import (
    create_campaign,
    delete_campaign,
    delete_placement,
    end_campaign,
    publish_campaign,
    upsert_block,
    upsert_placement,
)
from personalization.demo.engine.words import SHOP_NAME
from segments import serve as segments

# Placement -> its fields.
PLACEMENTS: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (
        "home.hero",
        {
            "title": "Top of the home page",
            "kind": "content",
            "default_content": {
                "heading": f"Welcome to {SHOP_NAME}",
                "text": "Things for the house, the garden and the way between.",
                "link": "/shop/c/home/",
                "label": "Look around",
            },
        },
    ),
    (
        "home.recommended",
        {"title": "Picked for you", "kind": "recommendations", "strategy": "for-you", "count": 12},
    ),
    (
        "product.similar",
        {"title": "More like this", "kind": "recommendations", "strategy": "similar", "count": 8},
    ),
    (
        "cart.complements",
        {
            "title": "Goes well with it",
            "kind": "recommendations",
            "strategy": "complements",
            "count": 8,
        },
    ),
)
# Campaign -> title, priority, block.
CAMPAIGNS: tuple[tuple[str, str, int, Mapping[str, str]], ...] = (
    (
        "lark-season",
        "The season's table",
        20,
        {
            "heading": "The long table",
            "text": "Stoneware, linen and candlelight for everyone who stays for one more glass.",
            "link": "/shop/c/tableware/",
            "label": "Set the table",
        },
    ),
    (
        "lark-outdoors",
        "Out before breakfast",
        10,
        {
            "heading": "Out before breakfast",
            "text": "Tents, boots and flasks that have been up the hill and back.",
            "link": "/shop/c/outdoor/",
            "label": "Pack a bag",
        },
    ),
)


# The same for a segment out of the box, which comes first.
TARGETED: tuple[tuple[str, str, int, str, Mapping[str, str]], ...] = (
    (
        "lark-cart",
        "Still in the cart",
        30,
        "abandoned-cart",
        {
            "heading": "Your cart is as you left it",
            "text": "What you chose is still here, and so are we.",
            "link": "/shop/cart/",
            "label": "Back to the cart",
        },
    ),
)


@transaction.atomic
def publish_shelves(*, actor: str) -> None:
    """Make the placements and campaigns that are not there, and publish. Idempotent.

    What somebody changed stays changed: existing ones are left alone.
    """
    for key, values in PLACEMENTS:
        if not Placement.objects.filter(key=key).exists():
            upsert_placement(key=key, values=values, actor=actor)
    for key, title, priority, content in CAMPAIGNS:
        values = {"title": title, "placement": "home.hero", "priority": priority}
        _publish(key, values, content, actor=actor)


@transaction.atomic
def publish_targeted(*, actor: str) -> None:
    """Make and publish the campaigns of segments that are in force by now. Idempotent."""
    decided = segments.live().in_force
    for key, title, priority, segment, content in TARGETED:
        if segment in decided:
            values = {
                "title": title,
                "placement": "home.hero",
                "priority": priority,
                "audience": {"kind": "segment", "key": segment},
            }
            _publish(key, values, content, actor=actor)


@transaction.atomic
def remove_shelves(*, actor: str) -> None:
    """Delete the demo's campaigns, and its placements that no other campaign uses."""
    for key in [*(row[0] for row in CAMPAIGNS), *(row[0] for row in TARGETED)]:
        if Campaign.objects.filter(key=key).exists():
            end_campaign(key=key, actor=actor)
            delete_campaign(key=key, actor=actor)
    for key, _ in PLACEMENTS:
        row = Placement.objects.filter(key=key).first()
        if row is not None and not row.campaigns.exists():
            delete_placement(key=key, actor=actor)


def _publish(
    key: str, values: Mapping[str, Any], content: Mapping[str, str], *, actor: str
) -> None:
    if Campaign.objects.filter(key=key).exists():
        return
    create_campaign(key=key, values=values, actor=actor)
    upsert_block(campaign=key, key=f"{key}-block", content=content, actor=actor)
    publish_campaign(key=key, actor=actor)
