"""For whom a model does well: figures of groups and of lengths of history beside chance."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.test import Client
from numpy.typing import NDArray

from personalization.customers.models import Customer, Profile
from recommender import model_pages, registry, services
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import SideInfo
from recommender.engine.parts import FIGURES, LEAST, MOST, Parts, bands, groups, told
from recommender.engine.training import KINDS, Fitted, Log, known_model, train, train_blend
from recommender.models import ModelVersion
from segments.models.rules import Segment
from tests.recommender.shop import NOW, two_tastes
from tests.recommender.test_groups import segment
from tests.recommender.test_learning import DATA
from tests.recommender.test_measures import cases_of

PEOPLE = np.arange(60)


def values_of(aim: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    return {"Recall@20": aim / 2, "NDCG@20": aim}


def parts_of(values: NDArray[np.float64], by_group: Parts, users: Any = None) -> dict[str, Any]:
    whose = np.arange(len(values)) if users is None else users
    found = told(values_of(values), by_group, {}, whose)
    assert found is not None
    return found


def test_bands__by_length() -> None:
    found = bands(cases_of(((), (1,)), ((1, 2), (3,)), (tuple(range(7)), (9,))))

    assert found["history 0"].tolist() == [True, False, False]
    assert found["history 1-4"].tolist() == [False, True, False]
    assert found["history 5-9"].tolist() == [False, False, True]
    assert found["heavy fifth"].tolist() == [False, False, True]


def test_groups__of_the_customer_of_each_case() -> None:
    found = groups([("b", "a"), (), ("a",)], np.array([2, 1, 0, 2]))

    assert {name: mask.tolist() for name, mask in found.items()} == {
        "a": [True, False, True, True],
        "b": [False, False, True, False],
    }


def test_groups__nobody_is_in_any__none() -> None:
    assert groups([], PEOPLE) == {}
    assert told(values_of(np.ones(60)), {}, {}, PEOPLE) is None


def test_told__half_finds_all_and_half_nothing__hand_worked() -> None:
    """Of 60 values of 1 and 0 the deviation is .5042, the error of 30 .5042 √(1/30 - 1/60)."""
    aim = (PEOPLE < 30).astype(np.float64)
    (row,) = parts_of(aim, {"segment:vip": PEOPLE < 30})["groups"]

    assert row.pop("chance") == pytest.approx(1.96 * 0.0651, rel=0.15)
    assert row == {
        "part": "segment:vip",
        "customers": 30,
        "users": 30,
        "Recall@20": 0.5,
        "NDCG@20": 1.0,
        "difference": 0.5,
    }


def test_told__lengths_of_history__beside_groups_and_none_counted_as_few() -> None:
    lengths = {"history 0": PEOPLE < 30, "history 50+": PEOPLE > 55}
    found = told(values_of(np.ones(60)), {"a": PEOPLE >= 30}, lengths, PEOPLE)

    assert found is not None
    assert [row["part"] for row in found["groups"]] == ["a"]
    assert [row["part"] for row in found["bands"]] == ["history 0"]
    assert found["few"] == 0


def test_told__questions_that_ask_for_nothing__count_nowhere() -> None:
    aim = np.where(PEOPLE < 30, 1.0, 0.0)
    aim[-10:] = np.nan
    (row,) = parts_of(aim, {"a": (PEOPLE < 30) | (PEOPLE >= 50)})["groups"]

    assert (row["customers"], row["users"], row["difference"]) == (30, 30, 0.4)


def test_told__nothing_asked_of_anybody__none() -> None:
    assert told(values_of(np.full(60, np.nan)), {"a": PEOPLE < 30}, {}, PEOPLE) is None


def test_told__fewer_customers_than_the_floor__counted_not_told() -> None:
    """Ten questions each do not make 29 customers 30."""
    users = np.repeat(np.arange(60), 10)
    by_group = {"few": users < LEAST - 1, "enough": users < LEAST}
    found = parts_of(np.random.default_rng(1).random(600), by_group, users)

    assert [row["part"] for row in found["groups"]] == ["enough"]
    assert found["few"] == 1


def test_told__too_few_alone__only_their_number() -> None:
    found = parts_of(np.ones(60), {"few": PEOPLE < 3})

    assert found == {"groups": [], "bands": [], "few": 1, "further": 0}


def test_told__more_groups_than_fit__largest_first_then_by_name() -> None:
    users = np.arange(200)
    by_group = {f"g{n:02}": users < 30 + n // 2 for n in reversed(range(MOST + 4))}
    found = parts_of(np.random.default_rng(1).random(200), by_group)

    names = [row["part"] for row in found["groups"]]
    assert names[:3] == ["g22", "g23", "g20"]
    assert (len(names), found["further"]) == (MOST, 4)


def test_told__a_part_of_all_questions__left_out() -> None:
    by_group = {"all": PEOPLE >= 0, "half": PEOPLE < 30}

    assert [row["part"] for row in parts_of(np.ones(60), by_group)["groups"]] == ["half"]


def test_told__all_questions_alike__no_difference_and_no_chance() -> None:
    (row,) = parts_of(np.full(60, 0.3), {"a": PEOPLE < 30})["groups"]

    assert (row["difference"], row["chance"]) == (0, 0)


def test_told__four_questions_a_customer__chance_is_twice_as_wide() -> None:
    aim, mask = np.random.default_rng(1).random(400), np.arange(400) < 200
    apart, together = (
        parts_of(aim, {"a": mask}, users)["groups"][0]["chance"]
        for users in (np.arange(400), np.arange(400) // 4)
    )

    assert together == pytest.approx(2 * apart, abs=1e-5)


def test_told__groups_drawn_by_lot_of_questions_that_mostly_find_nothing__seldom_a_finding() -> (
    None
):
    """One night in twenty: of 100 more than 11 come in one of a hundred."""
    rng = np.random.default_rng(3)
    nights = 0
    for _ in range(100):
        aim = np.where(rng.random(800) < 0.04, rng.random(800), 0.0)
        lots = [rng.permutation(800) < 30 * (1 + n % 4) for n in range(12)]
        found = parts_of(aim, {f"g{n}": lot for n, lot in enumerate(lots)})
        nights += any(abs(row["difference"]) > row["chance"] for row in found["groups"])

    assert 1 <= nights <= 11


def test_told__again__the_same() -> None:
    aim = np.random.default_rng(1).random(60)

    assert parts_of(aim, {"a": PEOPLE < 30}) == parts_of(aim, {"a": PEOPLE < 30})


# every third customer, and a country of two thirds
GROUPS = [("segment:third",) if user % 3 == 0 else ("country:DE",) for user in range(DATA.n_users)]
LOG = Log(DATA, np.full(len(DATA), KINDS.index("order"), np.int8), SideInfo(groups=GROUPS))


def sizes(metrics: Any) -> dict[str, int]:
    return {row["part"]: row["customers"] for row in metrics["parts"]["groups"]}


@pytest.mark.parametrize("name", ["popularity", "bought_together"])
def test_train__customers_and_their_baskets__by_the_groups_of_customers(name: str) -> None:
    assert RECIPES[name].baskets == (name == "bought_together")
    fitted, _ = train(RECIPES[name], LOG, as_of_s=float(DATA.at_s.max()))

    assert sizes(fitted.metrics) == {"country:DE": 200, "segment:third": 100}


@pytest.mark.parametrize("use", ["home", "cart"])
def test_train_blend__by_the_groups_of_those_it_was_not_learned_from(use: str) -> None:
    models = {name: known_model(RECIPES[name], LOG) for name in ("popularity", "item_knn")}
    metrics = train_blend(f"blend_{use}", LOG, models).metrics

    found = sizes(metrics)
    assert set(found) == {"country:DE", "segment:third"}
    assert sum(found.values()) < DATA.n_users
    assert sum(row["users"] for row in metrics["parts"]["groups"]) == metrics["users"]


def test_train__no_groups_and_histories_of_one_length__nothing() -> None:
    log = replace(LOG, side=SideInfo())
    fitted, _ = train(RECIPES["popularity"], log, as_of_s=float(DATA.at_s.max()))

    assert "parts" not in fitted.metrics


def evens() -> list[int]:
    """The customers of one of two tastes, as a segment; the others live in Denmark."""
    ids = list(Customer.objects.order_by("pk").values_list("pk", flat=True))
    segment("evens", *ids[::2])
    Segment.objects.update(title="The evens")
    for one in ids[1::2]:
        Profile.objects.create(customer_id=one, country="DK", updated_at=NOW)
    segment("three", *ids[:3])
    return ids


def test_train__a_shop_with_segments__labels_and_counts_and_equal_files(shop: Path) -> None:
    two_tastes()
    evens()
    for slot in ("s1", "s2"):
        services.train(slot=slot, actor="t", now=NOW, models=["item_knn", "blend_home"])
    first, second = ModelVersion.objects.filter(algorithm="item_knn").order_by("number")

    assert sizes(first.metrics) == {"country:DK": 40, "segment:evens": 40}
    assert first.metrics["parts"]["few"] == 1
    assert set(first.metrics["parts"]["groups"][0]) == {
        "part", "customers", "users", "difference", "chance", *FIGURES,
    }  # fmt: skip
    assert first.manifest_sha256 == second.manifest_sha256


def version(**parts: Any) -> ModelVersion:
    """A version with figures of parts."""
    metrics = {"NDCG@20": 0.2, "Recall@20": 0.3, "users": 90, "protocol": "the last days"}
    empty = {"groups": [], "bands": [], "few": 0, "further": 0}
    return registry.register(
        name="popularity",
        fitted=Fitted(
            {},
            {"interactions": 10, "items": 3},
            metrics | ({"parts": empty | parts} if parts else {}),
        ),
        item_keys=["a"],
        about={"mode": registry.FULL, "until_s": 1},
        run_id=None,
        now=NOW,
    )


def row(part: str, difference: float) -> dict[str, Any]:
    figures = {"Recall@20": 0.3, "NDCG@20": 0.2 + difference}
    return {
        "part": part, "customers": 40, "users": 45, **figures, "difference": difference,
        "chance": 0.05,
    }  # fmt: skip


def test_page__parts__titles_differences_verdicts_and_what_is_left_out(
    shop: Path, admin_client: Client
) -> None:
    segment("vip")
    Segment.objects.update(title="Very <important>")
    given = [row("segment:vip", 0.06), row("segment:gone", -0.06), row("country:DK", 0.05)]
    bands_given = [row("history 5-9", 0.0), row("light fifth", 0.0)]
    one = version(groups=given, bands=bands_given, few=2, further=1)
    page = admin_client.get(f"/admin/recommender/modelversion/{one.pk}/change/").content.decode()

    assert "Very &lt;important&gt;" in page
    assert "gone (deleted since)" in page
    assert "Country DK" in page
    assert "5 to 9 actions" in page
    assert "the fifth with the least" in page
    assert '+0.0600 (chance ±0.0500)</td><td><span class="badge good">better</span>' in page
    assert '-0.0600 (chance ±0.0500)</td><td><span class="badge warn">worse</span>' in page
    assert page.count("no sure difference") == 3
    assert "2 groups of fewer than 30 customers asked are not told." in page
    assert "1 smaller group is left out." in page
    assert "Groups as they were at the training (2026-03-01 12:00 UTC)" in page


@pytest.mark.parametrize("parts", [{}, {"bands": [row("history 0", 0.0)]}])
def test_page__no_groups__nothing_of_groups(
    shop: Path, admin_client: Client, parts: dict[str, Any]
) -> None:
    one = version(**parts)
    page = admin_client.get(f"/admin/recommender/modelversion/{one.pk}/change/").content.decode()

    assert ("For whom" in page) == bool(parts)
    assert "Segments and countries" not in page
    assert "Groups as they were" not in page


def test_page__too_few_alone__says_so_without_a_table(shop: Path) -> None:
    told_of = model_pages.model_page(version(few=1))["parts"]

    assert (told_of["headed"], told_of["few"]) == ([], 1)
