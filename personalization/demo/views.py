"""The demo's storefront at `/shop/`; its shelves are filled by the API, in the browser."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST, require_safe

from personalization.access.serve import identity_token
from personalization.catalog.models import Category
from personalization.demo import selectors, state
from personalization.demo.engine.tiles import tile as draw
from personalization.demo.engine.words import SHOP_NAME
from personalization.demo.state import Demo
from personalization.lib import clock
from personalization.lib.storable import whole_number

_MAX_KEYS = 100
_MAX_PAGE = 10_000
_TOKEN_TTL = timedelta(hours=12)
Page = Callable[..., HttpResponse]


def _of_the_demo(view: Page) -> Page:
    """Give the view the demo; without one there is no shop, and a page says how to get one."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        demo = state.current()
        if demo is None:
            return render(request, "shop/none.html", {"shop_name": SHOP_NAME}, status=404)
        return view(request, demo, *args, **kwargs)

    return wrapped


@require_safe
def front_door(_request: HttpRequest) -> HttpResponse:
    """Send whoever comes without an address to the demo shop, or to the admin where none is."""
    return redirect("admin:index" if state.current() is None else "shop-home")


@require_safe
@_of_the_demo
def home(request: HttpRequest, demo: Demo) -> HttpResponse:
    """Hero and shelves."""
    return _page(request, demo, "home", {})


@require_safe
@_of_the_demo
def category(request: HttpRequest, demo: Demo, key: str) -> HttpResponse:
    """Products of one category, a page at a time."""
    row = Category.objects.filter(key=key).select_related("parent").first()
    if row is None:
        raise Http404
    number = _number(request.GET.get("page", ""))
    found, more = selectors.category_cards(key, number)
    return _page(
        request,
        demo,
        "category",
        {
            "category": row,
            "cards": found,
            "next": number + 1 if more else None,
            "previous": number - 1 if number else None,
        },
    )


@require_safe
@_of_the_demo
def product(request: HttpRequest, demo: Demo, key: str) -> HttpResponse:
    """One product."""
    found = selectors.cards([key])
    if not found:
        raise Http404
    titles = Category.objects.filter(key=found[0].category).values_list("title", flat=True)
    return _page(
        request, demo, "product", {"card": found[0], "category_title": titles.first() or ""}
    )


@require_safe
@_of_the_demo
def cart(request: HttpRequest, demo: Demo) -> HttpResponse:
    """Show the cart, which the browser keeps."""
    return _page(request, demo, "cart", {})


@require_safe
@_of_the_demo
def search(request: HttpRequest, demo: Demo) -> HttpResponse:
    """Products whose titles hold the words."""
    query = request.GET.get("q", "").replace("\0", "").strip()[:100]
    found = selectors.found_cards(query) if query else []
    return _page(request, demo, "search", {"query": query, "cards": found})


@require_safe
@_of_the_demo
def products(request: HttpRequest, _demo: Demo) -> HttpResponse:
    """Titles and prices of the given keys, for shelves."""
    keys = [key for key in request.GET.get("ids", "").split(",") if key and "\0" not in key]
    found = selectors.cards(keys[:_MAX_KEYS])
    return JsonResponse(
        {
            card.key: {
                "title": card.title,
                "brand": card.brand,
                "price": card.price,
                "amount": card.amount,
                "currency": card.currency,
                "category": card.category,
            }
            for card in found
        }
    )


@require_safe
@_of_the_demo
def progress(_request: HttpRequest, demo: Demo) -> HttpResponse:
    """How far the demo is filled."""
    share = demo.done / demo.total if demo.total else 1.0
    return JsonResponse({"ready": demo.ready, "stage": demo.stage, "share": round(share, 3)})


@require_safe
@cache_control(public=True, max_age=86_400)
def tile(_request: HttpRequest, key: str) -> HttpResponse:
    """Draw the picture of a product."""
    look = selectors.look(key)
    if look is None:
        raise Http404
    hue, accent, letter = look
    drawn = draw(key=key, hue=hue, accent=accent, letter=letter)
    return HttpResponse(drawn, content_type="image/svg+xml")


@require_POST
@_of_the_demo
def log_in(request: HttpRequest, demo: Demo) -> HttpResponse:
    """Hand out an identity token, as a shop's server does after its log-in; demo customers only."""
    wanted = request.POST.get("user", "")
    persona = next((p for p in selectors.personas(demo.plan) if p.user_id == wanted), None)
    if persona is None:
        return JsonResponse({"error": "no such demo customer"}, status=404)
    token = identity_token(persona.user_id, expires_at=clock.now() + _TOKEN_TTL)
    return JsonResponse({"userId": persona.user_id, "userToken": token, "name": persona.name})


def _page(request: HttpRequest, demo: Demo, name: str, context: dict[str, Any]) -> HttpResponse:
    shared = {
        "shop_name": SHOP_NAME,
        "page": name,
        "demo": demo,
        "tree": selectors.tree(),
        "personas": selectors.personas(demo.plan),
    }
    return render(request, f"shop/{name}.html", shared | context)


def _number(text: str) -> int:
    return min(whole_number(text) or 0, _MAX_PAGE)
