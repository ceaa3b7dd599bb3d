"""A blend's re-ranker: learned where there is something to learn, kept, refused, and obeyed."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse

from personalization.lib.artifacts import ArtifactError
from recommender import live, registry, reordering
from recommender.engine import rerank, secondlook, training
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Interactions, SideInfo
from recommender.engine.blend import Blend
from recommender.engine.cases import FoldIn, build
from recommender.engine.holdout import Holdout, cut_s
from recommender.engine.lists import Lists, first
from recommender.engine.lists import blend as blended
from recommender.engine.popularity import Popularity
from recommender.engine.queries import DECAY
from recommender.engine.rerank import KNOWN, Facts
from recommender.engine.secondlook import Second
from recommender.engine.situations import Tendencies, tendencies
from recommender.engine.training import Fitted
from recommender.engine.trees import Features, Nodes, Reranker
from recommender.live import LiveBlend
from recommender.models import ModelVersion
from recommender.reordering import situation
from recommender.serve import Answer
from tests.recommender.shop import NOW
from tests.recommender.stocked import KEYS, NOW_S, ask, ids, install, stock, strategy
from tests.recommender.test_measures import cases_of

DAY_S = 86_400.0
N_ITEMS = 40
RECENT: list[tuple[str, str, float]] = [
    ("view", "p3", NOW_S - 60),
    ("order", "p8", NOW_S - 600),
    ("view", "p3", NOW_S - 900),
    ("dwell", "p1", NOW_S - 950),
    ("view", "gone", NOW_S - 990),
]


@lru_cache
def trained(*, loyal: bool = True, device: str = "") -> Fitted:
    """A blend of popularity, which knows no brands; who is loyal comes back for the same brand.

    `device`: "tells" where each brand has a device of its own, "chance" where devices say nothing.
    """
    rng = np.random.default_rng(4)
    n_users = 260
    users = np.repeat(np.arange(n_users), 4).astype(np.int32)
    brand = np.repeat(rng.integers(4, size=n_users), 4) if loyal else rng.integers(4, size=4 * 260)
    items = (brand + 4 * rng.integers(N_ITEMS // 4, size=len(users))).astype(np.int32)
    at_s = np.tile([1.0, 2.0, 9.5, 9.6], n_users) * DAY_S + users
    data = Interactions(users, items, np.ones(len(users), np.float32), at_s, n_users, N_ITEMS)
    side = SideInfo(attributes=[[f"brand={item % 4}"] for item in range(N_ITEMS)])
    met_in = np.zeros((len(users), 3), np.int16)
    if device:
        met_in[:, 0] = 1 + (brand if device == "tells" else rng.integers(4, size=len(users)))
        side = SideInfo(categories=[[f"c{item % 5}"] for item in range(N_ITEMS)])
    log = training.Log(data, np.zeros(len(data), np.int8), side, met_in=met_in)
    recipe = RECIPES["popularity"]
    known = data.where(data.at_s <= cut_s(data.at_s))
    models = {"popularity": Popularity.fit(known, recipe.config, as_of_s=9 * DAY_S)}
    return training.train_blend("blend_home", log, models)


def test_train_blend__people_are_loyal_to_brands__a_reranker_wins_and_both_are_measured() -> None:
    made = trained()

    assert made.facts["reranker"]["features"] == ["popularity", *KNOWN]
    plain = made.metrics["without_reranker"]
    assert made.metrics["NDCG@20"] > 1.2 * plain["NDCG@20"]
    assert made.metrics["users"] == plain["users"] > 0


def test_train_blend__nothing_to_learn__none_and_says_so() -> None:
    made = trained(loyal=False)

    assert made.arrays == {}
    assert "not order questions" in made.facts["reranker"]["left_out"]
    assert "without_reranker" not in made.metrics


def test_train_blend__each_device_has_its_brand__the_device_alone_tells_what_is_taken() -> None:
    """Nobody comes back for a brand: but for the device of the question nothing is to be known."""
    made, blind = trained(loyal=False, device="tells"), trained(loyal=False, device="chance")

    at = made.facts["reranker"]["features"].index("suits_device")
    assert at in made.arrays["tree_feature"]
    assert made.metrics["NDCG@20"] > 1.2 * made.metrics["without_reranker"]["NDCG@20"]
    assert blind.arrays == {}


@pytest.mark.parametrize("device", ["", "tells"])
def test_train_blend__again__the_same_to_the_bit(device: str) -> None:
    once = trained(loyal=not device, device=device)
    trained.cache_clear()
    again = trained(loyal=not device, device=device)

    assert again is not once
    assert {name: one.tobytes() for name, one in again.arrays.items()} == {
        name: one.tobytes() for name, one in once.arrays.items()
    }
    assert (again.metrics, again.facts) == (once.metrics, once.facts)


def test_unpack__what_was_packed__the_same_order() -> None:
    made = trained()
    found = Second.unpack(made.arrays, made.facts["reranker"])

    assert found is not None
    arrays, told = found.pack()
    assert told == made.facts["reranker"]
    assert arrays.keys() == made.arrays.keys()
    assert all(
        (arrays[name] == made.arrays[name]).all() for name in arrays if name != "fact_prices"
    )


@pytest.mark.parametrize("same", [True, False])
def test_tried__the_others_teach_what_does_not_hold__none(same: bool) -> None:
    """Half of the people want what they met; the others, unless `same`, the last thing they do."""
    rng = np.random.default_rng(7)
    rows = np.stack([rng.permutation(10) for _ in range(400)]).astype(np.int32)
    taught = np.arange(400) < 200
    met = rows[np.arange(400), rng.integers(5, 10, size=400)]
    truth = np.where(taught | same, met, rows[:, 0])
    cases = cases_of(*(((row,), (one,)) for row, one in zip(met, truth, strict=True)), n_items=10)
    listed = Lists(rows, np.tile(np.linspace(1, 0.1, 10, dtype=np.float32), (400, 1)))
    nobody = np.zeros(0, np.int32)
    known = Interactions(nobody, nobody, np.zeros(0, np.float32), np.zeros(0), 1, 10)
    held = Holdout(known, cases, True, 0.0, "", np.arange(400))

    found = secondlook.tried(
        "home", [("a", 1.0)], {"a": listed}, held, learned_of=taught, side=SideInfo()
    )

    assert (found is not None) == same


# --- Kept beside its blend


def stored(fitted: Fitted, name: str = "blend_home") -> ModelVersion:
    keys = [f"k{n}" for n in range(N_ITEMS)]
    return registry.register(
        name=name,
        fitted=fitted,
        item_keys=keys,
        about={"mode": registry.FULL, "until_s": NOW_S},
        run_id=None,
        now=NOW,
    )


def loaded(fitted: Fitted) -> LiveBlend:
    version = stored(fitted)
    found = live.load("blend_home", version.number, version.manifest_sha256)
    assert isinstance(found, LiveBlend)
    return found


def page(client: Client) -> str:
    """The page of the one version that there is."""
    number = ModelVersion.objects.get().pk
    return client.get(reverse("admin:recommender_modelversion_change", args=[number])).text


def test_load__a_blend_with_a_reranker__serves_with_it_and_its_page_says_so(
    shop: Path, admin_client: Client
) -> None:
    found = loaded(trained())

    assert found.second is not None
    assert found.keys[:2] == ["k0", "k1"]
    assert "It has one: 120 trees" in page(admin_client)
    assert "what popularity and the blend said" in page(admin_client)
    assert "The blend alone, without its re-ranker" in page(admin_client)


def test_live__models_of_the_same_night__one_list_of_keys(shop: Path) -> None:
    stored(trained())
    recipe = RECIPES["popularity"]
    nobody = np.zeros(0, np.int32)
    empty = Interactions(nobody, nobody, np.zeros(0, np.float32), np.zeros(0), 1, N_ITEMS)
    model = Popularity.fit(empty, recipe.config, as_of_s=NOW_S)
    stored(Fitted(model.to_arrays(), {"interactions": 1, "items": 1}, {}), "popularity")
    ModelVersion.objects.update(status="live")
    live.refresh()

    assert live.blends()["blend_home"].second is not None
    assert live.blends()["blend_home"].keys is live.models()["popularity"].keys


def test_load__a_file_of_before_there_were_any__serves_and_its_page_says_so(
    shop: Path, admin_client: Client
) -> None:
    made = trained()
    facts = {name: value for name, value in made.facts.items() if name != "reranker"}
    found = loaded(Fitted({}, facts, made.metrics))

    assert (found.second, found.blend.sources) == (None, (("popularity", 1.0),))
    assert "trained before blends had one" in page(admin_client)


@pytest.mark.parametrize(
    "change",
    [
        {"format": secondlook.FORMAT + 1},
        {"format": secondlook.FORMAT - 1},
        {"features": ["popularity", *KNOWN[1:], "hour"]},
        {"use": "elsewhere"},
    ],
)
def test_load__a_reranker_of_another_release__the_blend_serves_without(
    shop: Path, admin_client: Client, change: dict[str, Any]
) -> None:
    made = trained()
    facts = {**made.facts, "reranker": {**made.facts["reranker"], **change}}
    found = loaded(replace(made, facts=facts))

    assert (found.second, found.blend.sources) == (None, (("popularity", 1.0),))
    assert "another release made it" in page(admin_client)


def test_page__no_reranker_won__says_why(shop: Path, admin_client: Client) -> None:
    stored(trained(loyal=False))

    assert "it did not order questions" in page(admin_client)


def widened(made: Fitted) -> dict[str, Any]:
    feature = made.arrays["tree_feature"].copy()
    inner = np.flatnonzero(made.arrays["tree_left"] != np.arange(len(feature)))
    feature[inner[0]] = len(KNOWN) + 1
    return {"tree_feature": feature}


def circular(made: Fitted) -> dict[str, Any]:
    left = made.arrays["tree_left"].copy()
    left[int(left[0])] = 0
    return {"tree_left": left}


@pytest.mark.parametrize(
    "change",
    [
        widened,
        circular,
        lambda made: {"tree_value": made.arrays["tree_value"][:-1]},
        lambda made: {"tree_value": np.full_like(made.arrays["tree_value"], np.nan)},
        lambda made: {"tree_right": made.arrays["tree_right"].astype(np.float64)},
        lambda made: {"fact_trend": made.arrays["fact_trend"][:-1]},
        lambda made: {"fact_indices": made.arrays["fact_indices"] + 100},
        lambda made: {"fact_indptr": made.arrays["fact_indptr"][:-2]},
        lambda made: {"fact_lifts": made.arrays["fact_lifts"][:-1]},
        lambda made: {"fact_lifts": np.full_like(made.arrays["fact_lifts"], np.nan)},
        lambda made: {"fact_columns": made.arrays["fact_columns"] + 1},
        lambda made: {"fact_columns": made.arrays["fact_columns"] - 1},
        lambda made: {
            f"fact_{name}": made.arrays[f"fact_{name}"][:9]
            for name in ("popularity", "trend", "freshness", "prices")
        },
    ],
)
def test_load__arrays_that_do_not_fit__refused(shop: Path, change: Any) -> None:
    made = trained()

    with pytest.raises((ValueError, ArtifactError)):
        loaded(replace(made, arrays={**made.arrays, **change(made)}))


def test_load__an_array_is_missing__refused(shop: Path) -> None:
    made = trained()
    rest = {name: array for name, array in made.arrays.items() if name != "tree_left"}

    with pytest.raises(KeyError):
        loaded(replace(made, arrays=rest))


# --- At decision time

WEIGHTS = (("item_knn", 1.0), ("popularity", 0.5))
LEARNED = [{"algorithm": "item_knn", "seeds": ["recent"]}, {"algorithm": "popularity"}]


def facts(n_items: int = len(KEYS), **columns: Any) -> Facts:
    nothing = np.zeros(n_items, np.float32)
    told = dict.fromkeys(("popularity", "trend", "freshness"), nothing)
    prices = np.full(n_items, np.nan, np.float32)
    return Facts(**{**told, "prices": prices, "attributes": None, **columns})


def stump(name: str, threshold: float) -> Reranker:
    """One tree: a feature above the threshold is better."""
    at = len(WEIGHTS) + KNOWN.index(name)
    whole = [np.array(one, np.int32) for one in ([0], [at, 0, 0], [1, 1, 2], [2, 1, 2])]
    roots, feature, left, right = whole
    value = np.array([0.0, -1.0, 1.0])
    cuts = np.array([threshold, 0.0, 0.0])
    return Reranker.made(Nodes(roots, feature, cuts, left, right, value, np.zeros(1)))


def teach(
    model: Any, about: Facts | None = None, *, use: str = "home", keys: list[str] = KEYS
) -> None:
    """Have a learned blend of this use serve, with this re-ranker; None for none."""
    names = tuple(name for name, _ in WEIGHTS)
    second = model and Second(model, about or facts(), names, use)
    name = f"blend_{use}"
    made = LiveBlend(name, 3, "x", Blend(WEIGHTS), second, keys)
    live._held.blends = MappingProxyType({name: made})


@pytest.fixture
def stocked(shop: Path) -> None:
    stock()
    install("popularity", "item_knn")


def shown(**options: Any) -> Answer:
    given = {"recent": [("view", "p4", NOW_S)], "count": 8}
    return ask("mine", **{**given, **options})


LATE = {"p9", "p10", "p11"}
FRESH = facts(freshness=np.array([float(key in LATE) for key in KEYS], np.float32))


def test_serving__follows_the_model__scores_stay_those_of_the_blend(stocked: None) -> None:
    strategy(weights="learned", sources=LEARNED)
    teach(None)
    before = shown(count=12)
    teach(stump("freshness", 0.5), FRESH)
    after = shown(count=12)

    own = [key for key in ids(before) if key in LATE]
    assert ids(after) == own + [key for key in ids(before) if key not in LATE]
    assert ids(after) != ids(before)
    assert [one.score for one in after.items] == [one.score for one in before.items]
    named = {one.id: (one.source, one.reason) for one in before.items}
    assert {one.id: (one.source, one.reason) for one in after.items} == named
    assert (before.reranked, after.reranked) == ({}, {"blend_home": 3})
    assert after.model_versions == {"item_knn": 1, "popularity": 1, "blend_home": 3}


def test_serving__boosts_and_pins_come_after_the_second_look(stocked: None) -> None:
    rules = {"pins": [{"item": "p7", "place": 2}]}
    strategy(weights="learned", sources=LEARNED, rules=rules)
    teach(stump("freshness", 0.5), FRESH)

    assert ids(shown())[1] == "p7"
    assert ids(shown())[0] in LATE


def test_serving__weights_of_its_own__untouched(stocked: None) -> None:
    strategy(sources=LEARNED)
    before = shown()
    teach(stump("freshness", 0.5), FRESH)

    assert shown() == before


def test_serving__a_product_that_came_after_the_training__keeps_its_place(stocked: None) -> None:
    strategy(weights="learned", sources=LEARNED)
    teach(None)
    second = ids(shown())[1]
    keys = [key for key in KEYS if key != second]
    known = np.array([float(key in LATE) for key in keys], np.float32)
    teach(stump("freshness", 0.5), facts(len(keys), freshness=known), keys=keys)

    assert ids(shown())[1] == second
    assert ids(shown())[0] in LATE


@pytest.mark.parametrize(
    ("name", "known", "silent"),
    [
        ("device", {"context": {"device.type": "mobile"}}, {"context": {"device.type": "fridge"}}),
        ("hour", {"context": {"local_time.hour": 21}}, {"context": {}}),
        ("country", {"country": "AT"}, {"country": "FR"}),
    ],
)
def test_serving__the_situation__what_is_taken_in_it_comes_first(
    stocked: None, name: str, known: dict[str, Any], silent: dict[str, Any]
) -> None:
    strategy(weights="learned", sources=LEARNED)
    teach(stump(f"suits_{name}", 0.5), facts(tendencies=LATE_ON_PHONES))

    assert ids(shown(**known))[0] in LATE
    assert ids(shown(**silent)) == ids(shown())
    assert ids(shown())[0] not in LATE


def lately_met() -> Tendencies:
    """p9, p10 and p11 are taken on a phone, from nine in the evening, in Austria."""
    people = np.arange(60 * 12, dtype=np.int32)
    rows = np.tile(np.arange(12, dtype=np.int32), 60)
    late = np.isin(rows, [9, 10, 11])[:, None]
    there, else_ = situation("mobile", 21, "AT"), situation("desktop", 9, "DE")
    return tendencies(people, rows, np.where(late, there, else_), 12)


LATE_ON_PHONES = lately_met()


@pytest.mark.parametrize(
    "visit", [{"personal": False}, {"recent": []}, {"recent": [("view", "ghost", NOW_S)]}]
)
def test_serving__nothing_that_may_be_told_of_the_visitor__order_of_the_blend(
    stocked: None, visit: dict[str, Any]
) -> None:
    strategy(weights="learned", sources=LEARNED)
    teach(None)
    before = shown(**visit)
    teach(stump("freshness", 0.5), FRESH)

    assert shown(**visit) == before
    assert before.items


def test_serving__a_page_s_product_without_consent__names_it_and_nobody(stocked: None) -> None:
    """What is on the page is no personal data; what the visitor did counts for nothing."""
    sources = [{"algorithm": "item_knn", "seeds": ["item"]}, {"algorithm": "popularity"}]
    strategy(weights="learned", sources=sources, use="product")
    seen = Watched()
    teach(seen, use="product")
    answer = shown(item="p2", recent=RECENT, cart=["p5"], personal=False)

    assert answer.reranked == {"blend_product": 3}
    assert set(seen.column("history_length")) == {np.float32(np.log1p(1))}


def test_serving__a_cart__once_an_item_and_only_with_consent(stocked: None) -> None:
    sources = [{"algorithm": "item_knn", "seeds": ["cart"]}, {"algorithm": "popularity"}]
    strategy(weights="learned", sources=sources, use="cart")
    seen = Watched()
    teach(seen, use="cart")
    answers = [shown(cart=["p2", "p2", "p3"], personal=personal) for personal in (True, False)]

    assert set(seen.column("history_length")) == {np.float32(np.log1p(2))}
    assert [one.reranked for one in answers] == [{"blend_cart": 3}, {}]


class Watched:
    """Ranks nothing anew and remembers what it was shown."""

    def __init__(self) -> None:
        self.rows: Features = np.zeros((0, 0), np.float32)

    def score(self, rows: Features) -> np.ndarray:
        self.rows = rows
        return np.zeros(len(rows))

    def column(self, name: str) -> list[np.float32]:
        return list(self.rows[:, len(WEIGHTS) + KNOWN.index(name)])


def test_serving__features_are_those_of_training(stocked: None) -> None:
    """One visitor, asked as training asks and as a page does, by the same models."""
    rng = np.random.default_rng(6)
    side = SideInfo(
        attributes=[[f"brand={n % 2}", f"shape={n % 3}"] for n in range(12)],
        prices=np.arange(100.0, 1300.0, 100.0),
    )
    users, items = rng.integers(9, size=200), rng.integers(12, size=200)
    data = Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.ones(200, np.float32),
        np.sort(rng.random(200)) * 10 * DAY_S,
        9,
        12,
    )
    about = rerank.facts(data, 12, side)._replace(tendencies=LATE_ON_PHONES)
    seen = Watched()
    strategy(weights="learned", sources=LEARNED)
    teach(seen, about)
    context = {"device.type": "mobile", "local_time.hour": 22}
    shown(recent=RECENT, count=12, context=context, country="DE")

    row = {key: place for place, key in enumerate(KEYS)}
    oldest = [(row["p3"], 1.0, -900.0), (row["p8"], 5.0, -600.0), (row["p3"], 1.0, -60.0)]
    met, weights, at = (np.array(column) for column in zip(*oldest, strict=True))
    history = (met.astype(np.int32), weights.astype(np.float32), at + NOW_S)
    cases = build(
        [history], [np.zeros(0, np.int32)], as_of_s=NOW_S, n_items=12, ordered=True, timed=True
    )
    cases = replace(cases, situations=situation("mobile", 22, "DE"))
    parts = [
        first(live.models()[name].model, cases, FoldIn(DECAY), count=training.DEPTH, own=False)
        for name, _ in WEIGHTS
    ]
    top = blended(parts, [weight for _, weight in WEIGHTS], 12, count=rerank.DEPTH)
    _, _, expected = rerank.features(top, parts, secondlook.asked("home", cases), about)

    assert seen.rows.shape == expected.shape == (10, len(WEIGHTS) + len(KNOWN))
    assert seen.rows == pytest.approx(expected, rel=1e-5)
    assert (np.ptp(expected, axis=0)[2:] > 0).sum() >= 9


@pytest.mark.parametrize("use", ["home", "cart"])
def test_question__as_training_builds_its_cases(use: str) -> None:
    rng = np.random.default_rng(8)
    items = rng.integers(30, size=70).astype(np.int32)
    weights = rng.integers(1, 5, size=70).astype(np.float32)
    at_s = (rng.integers(40, size=70) * 3_600).astype(np.float64)
    oldest = np.lexsort((items, at_s))
    oldest = oldest[-50:]
    whole = build(
        [(items[oldest], weights[oldest], at_s[oldest])],
        [np.zeros(0, np.int32)],
        as_of_s=2e5,
        n_items=30,
        ordered=True,
        timed=True,
    )

    found = secondlook.question(use, items, weights, at_s, as_of_s=2e5, n_items=30)

    wanted = secondlook.asked(use, whole)
    for name in ("starts", "items", "weights", "steps", "age_days", "truth_starts", "truth"):
        assert getattr(found, name).tolist() == getattr(wanted, name).tolist(), name
        assert getattr(found, name).dtype == getattr(wanted, name).dtype, name


def test_ask__as_many_candidates_as_training_looked_at() -> None:
    assert reordering.ASKED == training.DEPTH
    assert {use: secondlook.SEED_OF[use] for use in training.BLENDS.values()}
