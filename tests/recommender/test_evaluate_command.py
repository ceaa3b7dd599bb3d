"""`manage.py evaluate` on small files: what it chooses, what it prints, what it refuses."""

import gzip
import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from recommender.engine import budget
from recommender.engine.algorithms import RECIPES
from recommender.engine.base import Cost
from recommender.engine.ease import Ease
from recommender.engine.entries import ENTRIES
from recommender.engine.measures import NAMES

DAY_S = 86_400
BEGIN_S = 1_600_000_000


def evaluate(
    tmp_path: Path, form: str, train: str, test: str | None = None, **options: Any
) -> dict[str, Any]:
    files = {"train": tmp_path / "train.txt", "test": None if test is None else tmp_path / "test"}
    files["train"].write_text(train)  # type: ignore[union-attr]  # written above
    if files["test"] is not None:
        files["test"].write_text(test or "")
    out = StringIO()
    call_command(
        "evaluate", format=form, json=True, stdout=out, stderr=StringIO(), **files, **options
    )
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def chains(count: int, seed: int = 1) -> str:
    """Sessions that walk a ring of 40 items forwards: the next is known from the last alone."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(40, size=count).tolist()
    return "".join(" ".join(str((at + step) % 40) for step in range(5)) + "\n" for at in starts)


def test_evaluate__what_follows_what__a_session_model(tmp_path: Path) -> None:
    found = evaluate(
        tmp_path,
        "sessions",
        chains(300),
        "1 2\t3\n38 39\t0\n",
        models=["popularity,item_knn", "transitions"],
    )

    assert found["chosen"]["model"] == "transitions"
    assert found["chosen"]["metrics"]["MRR@20"] == 1
    assert found["chosen"]["discovery"]["MRR@20"] == 1
    assert [one["model"] for one in found["models"]] == ["transitions", "item_knn", "popularity"]


def test_evaluate__sessions_without_a_test_file__a_tenth_is_held_out_and_a_tenth_validates(
    tmp_path: Path,
) -> None:
    found = evaluate(
        tmp_path, "sessions", chains(600), models=["popularity,item_knn", "transitions"]
    )

    assert found["chosen"]["model"] == "transitions"
    assert found["chosen"]["metrics"]["MRR@20"] == 1
    assert "nothing to validate" not in found["protocol"]


def test_evaluate__everybody_likes_the_same__popularity(tmp_path: Path) -> None:
    """Items are drawn by popularity alone, whoever draws."""
    rng = np.random.default_rng(2)
    chances = 1 / np.arange(1, 61)
    lines = []
    for user in range(150):
        items = rng.choice(60, 8, replace=False, p=chances / chances.sum())
        lines.append(" ".join([f"u{user}", *map(str, items)]))

    found = evaluate(
        tmp_path, "lightgcn", "\n".join(lines), models=["popularity", "item_knn_cosine", "user_knn"]
    )

    assert found["chosen"]["model"] == "popularity"


def repeats() -> str:
    """Twenty people who buy their own three things every other day, and a new one now and then."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(20):
        for day in range(0, 30, 2):
            item = f"own {user} {rng.integers(3)}" if rng.random() < 0.8 else rng.integers(99)
            rows.append(f"u{user}\t{item}\t1\t{(BEGIN_S + day * DAY_S + user) * 1000}\n")
    return "".join(rows)


def test_evaluate__tsv_that_repeats_itself__repeats_count(tmp_path: Path) -> None:
    found = evaluate(tmp_path, "tsv", repeats(), models=["popularity", "buy_again"])

    chosen = found["chosen"]
    assert chosen["model"] == "buy_again"
    assert "they count" in found["protocol"]
    assert chosen["repeat"]["Recall@20"] == 1
    assert chosen["discovery"]["model"] == "popularity"
    assert chosen["discovery_as_chosen"]["users"] == chosen["discovery"]["users"] > 0


def test_evaluate__temporal__cut_says_what_is_asked(tmp_path: Path) -> None:
    found = evaluate(
        tmp_path, "temporal", repeats(), cut="2020-10-07", models=["popularity", "buy_again"]
    )

    assert "all from 2020-10-07 00:00 on" in found["protocol"]
    assert found["data"]["timed"]


def test_evaluate__report__all_figures_intervals_and_segments(tmp_path: Path) -> None:
    found = evaluate(
        tmp_path, "leave-one-out", chains(60), models=["popularity", "implicit_cosine"]
    )

    chosen = found["chosen"]
    beyond = {"coverage@20", "Gini@20", "novelty@20", "diversity@20", "users"}
    assert set(chosen["metrics"]) == {*NAMES, *beyond}
    low, high = chosen["intervals"]["NDCG@20"]
    assert low <= chosen["metrics"]["NDCG@20"] <= high
    assert {"history 1-4", "light fifth", "heavy fifth"} <= set(chosen["segments"])
    assert chosen["model"] == "popularity"
    assert {"seconds", "peak_mb"} <= set(found)


def test_evaluate__nothing_to_validate_on__the_default_is_tested(tmp_path: Path) -> None:
    found = evaluate(tmp_path, "lightgcn", "u a\nv a\nw a\n", "u b\n")

    assert found["chosen"]["config"]["sources"] == [["item_knn", 1.0], ["popularity", 0.001]]
    assert "nothing to validate on" in found["protocol"]


def test_evaluate__test_users_that_train_lacks__counted(tmp_path: Path) -> None:
    found = evaluate(tmp_path, "lightgcn", "u a b\nv b c\n", "u c\nx a\n", models=["popularity"])

    assert found["data"]["test_users_not_in_train"] == 1
    assert found["chosen"]["metrics"]["users"] == 1


def test_evaluate__too_dear__listed_with_its_estimate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget.Limits, "__init__", _no_memory)

    with pytest.raises(CommandError, match="no model is left: ease: needs about"):
        evaluate(tmp_path, "leave-one-out", chains(60), models=["ease"])


@pytest.mark.parametrize(
    ("cost", "why"),
    [
        (Cost(7.0, 9e9), "needs about 9,000 MB"),
        (Cost(400.0, 1e6), "two fits need about 800 s, more than is left"),
    ],
)
def test_evaluate__one_of_two_too_dear__listed_with_its_estimate_the_other_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cost: Cost, why: str
) -> None:
    monkeypatch.setattr(Ease, "cost", classmethod(lambda *_: cost))

    found = evaluate(tmp_path, "leave-one-out", chains(60), models=["popularity", "ease"])

    refused = next(one for one in found["models"] if one["model"] == "ease")
    estimate = {"seconds": cost.seconds, "mb": round(cost.bytes / 1e6)}
    assert found["chosen"]["model"] == "popularity"
    assert refused == {"model": "ease", "refused": why, "estimate": estimate}


def _no_memory(limits: budget.Limits, **_: float) -> None:
    for name, value in {"seconds": 720.0, "tuning_s": 60.0, "bytes": 1.0, "search_s": 0.0}.items():
        object.__setattr__(limits, name, value)


def test_evaluate__no_order__order_models_refused(tmp_path: Path) -> None:
    found = evaluate(tmp_path, "baskets", chains(60), models=["popularity", "transitions"])

    refused = [one for one in found["models"] if "refused" in one]
    assert refused == [{"model": "transitions", "refused": "the data has no order"}]


def test_evaluate__table__printed_with_progress_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"u a b c\nv a c d\nw b c d\n"))
    err = StringIO()

    call_command("evaluate", train=path, format="lightgcn", models=["popularity"], stderr=err)

    assert "validation" in err.getvalue()
    assert "chosen: popularity" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("form", "text", "options", "words"),
    [
        ("tsv", "u\ta\tmany\n", {}, "train line 1: the weight 'many'"),
        ("tsv", "", {}, "no test case"),
        ("lightgcn", "u a b\nv a\n", {"models": ["best"]}, "--models: unknown best; there are"),
        ("temporal", "u\ta\t1\t1\nu\tb\t1\t2\n", {"cut": "soon"}, "--cut 'soon' is no date"),
        ("temporal", "u\ta\t1\t1\nu\tb\t1\t2\n", {"cut": "9999-12-31"}, "the data is from 1970-"),
        (
            "temporal",
            "u\ta\t1\t1\nu\tb\t1\t2\n",
            {"cut": "0001-01-01T00:00:00+14:00"},
            "the data is from 1970-",
        ),
        ("tsv", "u\ta\n", {"minutes": float("nan")}, "--minutes nan: give minutes from 0"),
        ("tsv", "u\ta\n", {"minutes": 1e308}, "--minutes 1e+308: give"),
        ("tsv", "u\ta\n", {"search": float("inf")}, "--search inf: give"),
    ],
)
def test_evaluate__unusable__says_why(
    tmp_path: Path, form: str, text: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(CommandError) as found:
        evaluate(tmp_path, form, text, **options)

    assert words in str(found.value)


@pytest.mark.parametrize(
    ("name", "body"), [("missing", None), ("torn.gz", b"\x1f\x8b\x08\x00torn")]
)
def test_evaluate__unreadable_file__named(tmp_path: Path, name: str, body: bytes | None) -> None:
    path = tmp_path / name
    if body is not None:
        path.write_bytes(body)

    with pytest.raises(CommandError, match=name):
        call_command("evaluate", train=path, format="tsv", stderr=StringIO())


def test_entries__all__trained_from_recipes_with_settings_that_exist() -> None:
    for entry in ENTRIES:
        config = RECIPES[entry.recipe].config.to_json()
        for change in (entry.base, *entry.grid):
            assert set(change) <= set(config), entry.name


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"u{user} a b c\n" for user in range(9)),
        "one " + " ".join(map(str, range(30))),
        "".join(f"ü{user} {user} {user + 1} {user + 2}\n" for user in range(5)),
    ],
    ids=["identical", "one user", "tiny"],
)
def test_evaluate__degenerate__every_model_lives(tmp_path: Path, text: str) -> None:
    found = evaluate(tmp_path, "leave-one-out", text)

    assert len(found["models"]) == sum(entry.default for entry in ENTRIES)


def test_evaluate__attributes_beside_the_file__taken(tmp_path: Path) -> None:
    (tmp_path / "train_item2attributes.json").write_text(
        json.dumps({str(item): [f"tens {item // 10}"] for item in range(40)})
    )

    found = evaluate(tmp_path, "leave-one-out", chains(60), models=["content", "popularity"])

    assert found["data"]["attributes"] == "train_item2attributes.json"
    assert found["chosen"]["model"] == "content"


def test_evaluate__attributes_that_are_missing__named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere\.json"):
        evaluate(tmp_path, "leave-one-out", chains(9), items=tmp_path / "nowhere.json")


def test_evaluate__ratings__errors_beside_the_mean(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    lines = [
        f"u{user}\ti{item}\t{1 + 4 * (user % 2 == item % 2)}\n"
        if rng.random() < 0.9
        else f"u{user}\ti{item}\t3\n"
        for user in range(20)
        for item in rng.choice(30, 12, replace=False).tolist()
    ]

    found = evaluate(tmp_path, "tsv", "".join(lines), models=["popularity"])

    assert found["data"]["ratings"]
    assert found["ratings"]["RMSE"] < found["ratings"]["RMSE of the mean"]


def test_evaluate__search__settings_of_the_leading_are_no_worse(tmp_path: Path) -> None:
    options: dict[str, Any] = {"models": ["popularity", "transitions"]}
    plain = evaluate(tmp_path, "leave-one-out", chains(80), **options)

    found = evaluate(tmp_path, "leave-one-out", chains(80), search=0.002, **options)

    first, better = (one["models"][0]["validation"]["NDCG@20"] for one in (plain, found))
    assert better >= first
