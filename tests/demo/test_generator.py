"""The generated shop: sums, determinism, funnel, rhythm, tastes."""

from collections import Counter
from collections.abc import Iterator
from xml.dom.minidom import parseString

import numpy as np
import pytest

from personalization.demo.engine.funnel import COMPLEMENT, Kind
from personalization.demo.engine.records import Record, Recorder, carts, known
from personalization.demo.engine.shop import LEAVES, make_shop, product_rows, title_of
from personalization.demo.engine.shoppers import make_shoppers
from personalization.demo.engine.tiles import tile
from personalization.demo.engine.traffic import Plan, World, chunks, make_assortment, make_world
from personalization.demo.engine.visits import DAY_US, HOUR_US, season
from personalization.demo.engine.words import DEPARTMENTS, PLACES

END_US = 1_795_000_000_000_000
PLAN = Plan(seed=11, end_us=END_US, products=800, customers=2_000, events=40_000)


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(PLAN)


def records(world: World) -> Iterator[Record]:
    recorder = Recorder(world, currency="EUR")
    for rows in chunks(world, 5_000):
        yield from recorder.records(rows)


def test_events__plan__exactly_so_many_inside_the_window(world: World) -> None:
    at_us = world.steps.at_us

    assert len(at_us) == PLAN.events
    assert at_us.max() < END_US
    assert at_us.min() >= END_US - PLAN.days * DAY_US


def test_events__streamed__newest_first_each_once(world: World) -> None:
    made = list(records(world))

    times = [record.at_us for record in made]
    assert times == sorted(times, reverse=True)
    assert len({record.message_id for record in made}) == PLAN.events


def test_events__skipped_rows__continue_where_they_stopped(world: World) -> None:
    whole = np.concatenate(list(chunks(world, 7_000)))
    rest = np.concatenate(list(chunks(world, 7_000, skip=14_000)))

    assert (whole[14_000:] == rest).all()


def test_world__same_plan__same_records() -> None:
    plan = Plan(seed=5, end_us=END_US, products=300, customers=200, events=3_000)

    assert list(records(make_world(plan))) == list(records(make_world(plan)))


def test_world__other_seed__other_records() -> None:
    small = {"end_us": END_US, "products": 300, "customers": 200, "events": 1_000}

    first = [record.at_us for record in records(make_world(Plan(seed=1, **small)))]
    second = [record.at_us for record in records(make_world(Plan(seed=2, **small)))]

    assert first != second


def test_world__fewer_events_than_customers__still_exact() -> None:
    world = make_world(Plan(seed=3, end_us=END_US, products=300, customers=5_000, events=700))

    assert len(world.steps.visit) == 700


def test_assortment__alone__equals_that_of_the_world(world: World) -> None:
    shop = make_assortment(PLAN)

    assert (shop.price_minor == world.shop.price_minor).all()
    assert (shop.adjective == world.shop.adjective).all()


def test_funnel__whole_shop__narrows_step_by_step(world: World) -> None:
    count = Counter(world.steps.kind.tolist())

    assert count[Kind.VIEWED] > count[Kind.ADDED] > count[Kind.CART] > count[Kind.CHECKOUT]
    assert count[Kind.CHECKOUT] > count[Kind.ORDERED] > count[Kind.REFUNDED]
    assert 0.08 < count[Kind.ADDED] / count[Kind.VIEWED] < 0.25
    assert 0.1 < count[Kind.ORDERED] / count[Kind.ADDED] < 0.35


def test_orders__each__hold_what_was_added_and_not_removed(world: World) -> None:
    left = carts(world)
    ordered = world.steps.visit[world.steps.kind == Kind.ORDERED]

    assert all(left[visit] for visit in ordered.tolist())


def test_orders__records__total_is_the_sum_of_the_lines(world: World) -> None:
    orders = [record for record in records(world) if record.name == "Order Completed"]

    for order in orders:
        lines = order.properties["products"]
        total = sum(round(line["price"] * 100) * line["quantity"] for line in lines)
        assert round(order.properties["total"] * 100) == total
    assert len({order.properties["order_id"] for order in orders}) == len(orders)


def test_visits__times__rise_within_a_visit(world: World) -> None:
    same = np.diff(world.steps.visit) == 0

    assert (np.diff(world.steps.at_us)[same] > 0).all()


def test_visits__added_products__were_looked_at_before(world: World) -> None:
    seen: set[tuple[int, int]] = set()
    for visit, kind, product in zip(
        world.steps.visit.tolist(),
        world.steps.kind.tolist(),
        world.steps.product.tolist(),
        strict=True,
    ):
        if kind == Kind.VIEWED:
            seen.add((visit, product))
        if kind in {Kind.ADDED, Kind.WISHED, Kind.DWELLED}:
            assert (visit, product) in seen


def test_visits__sold_out_products__are_never_added(world: World) -> None:
    added = world.steps.product[world.steps.kind == Kind.ADDED]

    assert (world.shop.stock[added] > 0).all()


def test_rhythm__hours__evening_beats_night_tenfold(world: World) -> None:
    hours = np.bincount((world.steps.at_us // HOUR_US) % 24, minlength=24)

    assert hours[19:22].min() > 10 * hours[2:5].max()


def test_rhythm__season__each_leaf_peaks_on_its_day() -> None:
    calendar = season(np.arange(1.0, 366.0))

    best = calendar.argmax(axis=0) + 1
    assert [int(day) for day in best] == [leaf.peak_day for _, leaf in LEAVES]
    assert calendar.min() >= 0


def test_identity__shares__both_known_and_anonymous(world: World) -> None:
    share = known(world).mean()

    assert 0.3 < share < 0.65


def test_identity__log_in_within_a_visit__known_from_there_on(world: World) -> None:
    steps = world.steps
    flags = known(world)
    late = np.flatnonzero((steps.kind == Kind.IDENTIFIED) & ~world.visits.logged_in[steps.visit])

    assert len(late) > 0
    assert flags[late].all()
    assert not flags[late - 1].any()


def test_identity__without_account__never_known(world: World) -> None:
    customers = world.visits.customer[world.steps.visit]

    assert not (known(world) & ~world.shoppers.account[customers]).any()


def test_tastes__favourite_style__is_viewed_more_than_chance(world: World) -> None:
    viewed = world.steps.kind == Kind.VIEWED
    customer = world.visits.customer[world.steps.visit[viewed]]
    style = world.shop.style[world.steps.product[viewed]]

    matches = (world.shoppers.style.argmax(axis=1)[customer] == style).mean()
    assert matches > 2 / 6


def test_tastes__favourites__are_five_different_leaves() -> None:
    shoppers = make_shoppers(np.random.default_rng(2), 500)

    assert all(len(set(row)) == 5 for row in shoppers.favourites.tolist())
    assert np.allclose(shoppers.affinity.sum(axis=1), 1.0)
    assert np.isclose(shoppers.activity.sum(), 1.0)


def test_complements__bought_together__more_often_than_chance(world: World) -> None:
    steps, leaf = world.steps, world.shop.leaf
    added = steps.kind == Kind.ADDED
    visit, leaves = steps.visit[added], leaf[steps.product[added]]
    together = np.flatnonzero(np.diff(visit) == 0)
    pairs = leaves[together], leaves[together + 1]

    share = (COMPLEMENT[pairs[0]] == pairs[1]).mean()
    assert share > 5 / len(LEAVES)


def test_shop__titles__unique_and_prices_in_range() -> None:
    shop = make_shop(np.random.default_rng(1), 5_000)

    titles = {title_of(shop, number) for number in range(shop.size)}
    assert len(titles) == shop.size == 5_000
    assert shop.price_minor.min() >= 190
    assert np.allclose(np.add.reduceat(shop.weight, shop.start[:-1]), 1.0)


def test_shop__too_many_products_for_the_words__says_so() -> None:
    with pytest.raises(ValueError, match="make fewer products"):
        make_shop(np.random.default_rng(1), 100_000)


def test_shop__rows__carry_category_department_and_brand() -> None:
    rows = product_rows(make_shop(np.random.default_rng(1), 300), currency="EUR")

    departments = {department.key: department for department in DEPARTMENTS}
    for row in rows:
        leaf, department = row.categories
        assert leaf in {entry.key for entry in departments[department].leaves}
        assert row.brand in departments[department].brands
        assert len(row.title) <= 300


def test_words__tables__hang_together() -> None:
    keys = [leaf.key for _, leaf in LEAVES]

    assert len(DEPARTMENTS) == 8
    assert len(set(keys)) == len(keys) == 60
    assert all(leaf.complement in keys and leaf.low < leaf.high for _, leaf in LEAVES)
    assert sum(share for *_, share in PLACES) == pytest.approx(1.0)


def test_tile__key__deterministic_and_well_formed() -> None:
    drawn = tile(key="lark-00001", hue=28, accent="#5b7f4b", letter="Q")

    assert drawn == tile(key="lark-00001", hue=28, accent="#5b7f4b", letter="Q")
    assert drawn != tile(key="lark-00002", hue=28, accent="#5b7f4b", letter="Q")
    assert drawn.startswith("<svg ")
    assert "<script" not in drawn
    assert len(drawn) < 2_000


def test_tile__many_keys__all_are_xml() -> None:

    for number in range(200):
        parseString(tile(key=f"lark-{number:05d}", hue=number, accent="#5b7f4b", letter="Q"))  # noqa: S318 -- our own output
