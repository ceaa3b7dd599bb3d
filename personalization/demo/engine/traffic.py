"""The whole demo shop from one seed: assortment, customers and exactly so many events."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personalization.demo.engine.funnel import Steps, make_steps
from personalization.demo.engine.shop import Shop, make_shop
from personalization.demo.engine.shoppers import Shoppers, make_shoppers
from personalization.demo.engine.visits import Visits, make_visits

# Events a visit brings, a little below what comes out: one draw is nearly always enough.
_EVENTS_A_VISIT = 6.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make, in the `days` before `end_us`; the same plan makes the same shop."""

    seed: int
    end_us: int
    days: int = 90
    products: int = 5_000
    customers: int = 20_000
    events: int = 500_000
    offset_us: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """A demo shop: its assortment, customers, visits and events (ordered by visit and time)."""

    plan: Plan
    shop: Shop
    shoppers: Shoppers
    visits: Visits
    steps: Steps
    # Rows of `steps`, the newest first.
    newest: NDArray[np.int64]


def make_world(plan: Plan) -> World:
    """Make the shop of a plan: `plan.events` events, all before `plan.end_us`."""
    streams = np.random.default_rng(plan.seed).spawn(3)
    shop = make_shop(streams[0], plan.products)
    shoppers = make_shoppers(streams[1], plan.customers)
    visits, steps = _enough(streams[2], plan, shop, shoppers)
    steps = _exactly(streams[2], steps, plan)
    return World(
        plan,
        shop,
        shoppers,
        visits,
        steps,
        np.lexsort((-np.arange(len(steps.visit)), -steps.at_us)),
    )


def make_assortment(plan: Plan) -> Shop:
    """Make the products of a plan alone: what the storefront needs to draw tiles."""
    return make_shop(np.random.default_rng(plan.seed).spawn(3)[0], plan.products)


def chunks(world: World, size: int, *, skip: int = 0) -> Iterator[NDArray[np.int64]]:
    """Yield rows of `world.steps`, newest first, `size` at a time, after the first `skip`."""
    for start in range(skip, len(world.newest), size):
        yield world.newest[start : start + size]


def _enough(
    rng: np.random.Generator, plan: Plan, shop: Shop, shoppers: Shoppers
) -> tuple[Visits, Steps]:
    n_visits = max(1, int(plan.events / _EVENTS_A_VISIT))
    while True:
        visits = make_visits(
            rng,
            shoppers,
            n_visits=n_visits,
            end_us=plan.end_us,
            days=plan.days,
            offset_us=plan.offset_us,
        )
        steps = make_steps(rng, shop, shoppers, visits)
        steps = steps.take(steps.at_us < plan.end_us)
        if len(steps.visit) >= plan.events:
            return visits, steps
        n_visits = int(n_visits * 1.5) + 1


def _exactly(rng: np.random.Generator, steps: Steps, plan: Plan) -> Steps:
    """Keep whole visits, drawn at random so that the rhythm stays, and the beginning of one more.

    Everybody's first visit is kept as long as there is room.
    """
    counts = np.bincount(steps.visit)
    order = rng.permutation(len(counts))
    order = np.concatenate([order[order < plan.customers], order[order >= plan.customers]])
    before = np.empty(len(counts), dtype=np.int64)
    before[order] = np.cumsum(counts[order]) - counts[order]
    rank = np.arange(len(steps.visit)) - (np.cumsum(counts) - counts)[steps.visit]
    return steps.take(before[steps.visit] + rank < plan.events)
