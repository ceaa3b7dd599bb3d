"""What a strategy would show to somebody, saved or not: the real pipeline, pictures and why."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from personalization.catalog.models import Product
from personalization.catalog.selectors import products
from personalization.consent.serve import PERSONALIZATION, purposes
from personalization.customers import serve as customers
from personalization.lib import money
from personalization.lib.storable import whole_number
from recommender import serve
from recommender.engine.strategies import StrategySpec
from recommender.names import plain
from recommender.serve import Explored, Item, Lost, Visit
from recommender.visits import visit_of

# Reason code -> words for merchandisers; docs/api.md lists the codes.
LOST_WORDS: Mapping[str, str] = {
    "below_count": "came later in the order",
    "brand_cap": "enough of this brand",
    "category_cap": "enough of this category",
    "gave_way": "gave its place to a new product",
    "excluded": "left out by the page",
    "shown_above": "is on another shelf of the page",
    "in_cart": "is in the cart",
    "page_item": "is the product of the page",
    "bought": "was bought lately",
    "seen": "was looked at already",
    "out_of_stock": "cannot be bought now",
    "not_in_region": "is not sold in the country",
    "filtered": "does not pass “Show only”",
    "not_asked": "does not pass the page's filter",
    "unknown": "is not in the catalogue",
    "no_room": "no place was left for it",
}
_ASKED = (
    "preview_customer",
    "preview_item",
    "preview_count",
    "preview_device",
    "preview_country",
    "preview_given",
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One product of a preview; `why` is the reason for the shop or what kept it away."""

    key: str
    title: str
    image_url: str
    brand: str
    price: str
    why: str
    source: str
    score: float | None
    propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """A shelf as it would be now. `who` says for whom; `fault` why there is none."""

    items: tuple[Shown, ...] = ()
    lost: tuple[Shown, ...] = ()
    degraded: tuple[str, ...] = ()
    models: tuple[tuple[str, int], ...] = ()
    who: str = ""
    latest: tuple[str, ...] = ()
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a preview is asked for: `customer` is a user id or an anonymous id, "" a stranger."""

    customer: str = ""
    item: str = ""
    count: int = 12
    device: str = ""
    country: str = ""
    given: tuple[str, ...] = ()


def preview(spec: StrategySpec, wish: Wish, *, now: datetime) -> Preview:
    """Return what the strategy would show; nothing is logged, nothing is written."""
    visit, who = _visit(wish, now)
    started = time.perf_counter()
    answer = serve.recommend(spec, visit, explain=True)
    spent_ms = (time.perf_counter() - started) * 1000
    keys = [one.id for one in answer.items] + [one.id for one in answer.lost]
    latest = [key for _kind, key, _at in visit.recent[:6]]
    known = {row.key: row for row in products().filter(key__in=[*keys, *latest])}
    return Preview(
        items=tuple(_shown(one, known) for one in answer.items),
        lost=tuple(_shown(one, known) for one in answer.lost),
        degraded=answer.degraded,
        models=tuple(sorted(answer.model_versions.items())),
        who=who,
        latest=tuple(known[key].title if key in known else key for key in latest),
        ms=spent_ms,
    )


def _visit(wish: Wish, now: datetime) -> tuple[Visit, str]:
    """Return the visit that a decision would make of this customer, and for whom it is."""
    document, personal, words = _known(wish.customer)
    counts = document if personal else None
    visit = visit_of(
        counts.parts if counts else {},
        seed=counts.assignment_key if counts else "",
        count=wish.count,
        now=now,
        told={"device.type": wish.device} if wish.device else {},
        country=wish.country,
    )
    visit = replace(visit, item=wish.item or None, given=wish.given or None, personal=personal)
    return visit, words


def _known(name: str) -> tuple[customers.Document | None, bool, str]:
    """Return what is known of a customer, whether it may count, and how to call the visitor."""
    if not name:
        return None, True, "A visitor nobody knows"
    document = _document(name)
    if document is None:
        return None, True, f"Nobody is known as “{name}”: shown as to a stranger"
    granted, denied = document.parts.get("consent", (0, 0))
    if not purposes().in_force(granted, denied, gpc=False, restrict={}) & PERSONALIZATION:
        return document, False, "This customer allows nothing personal"
    return document, True, f"Customer {name}"


def _document(name: str) -> customers.Document | None:
    found = customers.read(user_id=name, anonymous_id=None).document
    return found or customers.read(user_id=None, anonymous_id=name).document


def _shown(one: Item | Lost, known: Mapping[str, Product]) -> Shown:
    row = known.get(one.id)
    why = LOST_WORDS.get(one.lost, one.lost) if isinstance(one, Lost) else one.reason
    return Shown(
        key=one.id,
        title=row.title if row else one.id,
        image_url=row.image_url if row else "",
        brand=row.brand if row else "",
        price=_price(row),
        why=why,
        source=plain(one.source),
        score=one.score,
        propensity=one.propensity if isinstance(one, Explored) else None,
    )


def _price(row: Product | None) -> str:
    if row is None or row.price_minor is None:
        return ""
    return money.text(row.price_minor, row.currency).strip()


def wish_of(form: Mapping[str, object]) -> Wish:
    """Return the wish of a form's fields; what is no number is the default."""
    # the database refuses NUL: nobody and nothing is called so
    given = {name: str(form.get(name, "")).replace("\0", "") for name in _ASKED}
    ids: Sequence[str] = given["preview_given"].replace(",", " ").split()
    return Wish(
        customer=given["preview_customer"].strip()[:255],
        item=given["preview_item"].strip()[:255],
        count=min(whole_number(given["preview_count"]) or 0, 50) or 12,
        device=given["preview_device"][:20],
        country=given["preview_country"].strip()[:2],
        given=tuple(ids[:500]),
    )
