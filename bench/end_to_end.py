"""Public data through the whole installation: imported, folded, trained on, asked through HTTP.

`python -m bench end_to_end`, or `python -m bench.end_to_end 0.1` with the first tenth of each file;
data as for `bench.recommenders`, what is missing is skipped and named. Each set has servers and a
database of its own and goes through the commands of docs/guides/real-data.md.
"""

import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from bench import harness
from bench.end_to_end_data import SETS, Prepared, Question
from bench.harness import Figure

if TYPE_CHECKING:
    from recommender.models import ModelVersion

SHELF, COUNT = "home.recommended", 20
# What POST /v1/batch takes at once.
BATCH = 500
# Both sets on two cores that nobody else wants.
MOST_S = 900.0
_GIVE_UP_S = 300.0
PROTOCOL = (
    "Each set in an empty installation of its own: `manage.py import_events --no-process`, `process"
    " --bulk --once` and `train`, each timed from its start to its end, with that of Python; then "
    "granian with 2 workers and one processor, the test visitors' events through POST /v1/batch, "
    f"and when all are folded POST /v1/decide for {COUNT} products of the strategy for-you, one "
    "visitor at a time over one connection. Such a shelf leaves out what was just looked at or put "
    "into the cart: new are questions for a product that the visitor had not met. What the "
    "installation never saw counts as not found. Models: as the registry has them after `train`, "
    "which measures each on days that it was not fitted on, over the whole catalogue; popularity's "
    "NDCG@20 is of the same questions, coverage the share of the catalogue in anybody's list; 95 % "
    "intervals in brackets. Seconds: all of it, servers and migrations included."
)


@dataclass(frozen=True, slots=True)
class Answers:
    """What each question was answered: keys of products, and milliseconds."""

    shelves: list[list[str]]
    ms: list[float]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one set gave. `steps`: row of its table -> figure; `models`: key -> figure."""

    steps: dict[str, Figure]
    models: dict[str, Figure]
    ratio: float
    words: str


def main(arguments: Sequence[str]) -> int:
    """Measure the sets that are there, one after the other, and write the result."""
    share = float(arguments[0]) if arguments else 1.0
    there = []
    for name, one in SETS.items():
        if one.missing is None:
            there.append(name)
        else:
            print(f"{name}: SKIPPED, {one.missing} is missing", file=sys.stderr)
    if not there:
        return 0
    began = time.perf_counter()
    # a process has one LOCAL_DIR and sets Django up once
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool:
        found = {name: pool.submit(measured, name, share).result() for name in there}
    seconds = time.perf_counter() - began
    harness.write("end_to_end", figures_of(found, seconds, share), protocol_of(found, share))
    return 0


def figures_of(found: dict[str, Measured], seconds: float, share: float) -> dict[str, Figure]:
    """Return all figures: what has a goal, the steps beside each other, the models of each set."""
    enough = share >= 1
    figures = {}
    for name, one in found.items():
        least = SETS[name].least
        figures[f"{name}_item_knn_over_popularity"] = Figure(
            one.ratio,
            "x",
            goal=f"> {least:g} x its NDCG@{COUNT}",
            holds=one.ratio > least if enough else None,
        )
    figures["seconds"] = Figure(
        seconds,
        "s",
        goal=f"<= {MOST_S:g} s for both",
        holds=seconds <= MOST_S if enough and len(found) == len(SETS) else None,
    )
    rows = dict.fromkeys(row for one in found.values() for row in one.steps)
    for row in rows:
        figures |= {f"steps.{row}.{name}": one.steps[row] for name, one in found.items()}
    for name, one in found.items():
        figures |= {f"{name}.{key}": figure for key, figure in one.models.items()}
    return figures


def protocol_of(found: dict[str, Measured], share: float) -> str:
    """Return how it was measured, set by set."""
    size = [] if share >= 1 else [f"The first {100 * share:g} % of each file alone."]
    return " ".join([*size, PROTOCOL, *(one.words for one in found.values())])


def measured(name: str, share: float) -> Measured:
    """Take one set through an installation. It needs a process of its own."""
    harness.prepare()
    one = SETS[name]
    with tempfile.TemporaryDirectory() as folder:
        prepared = one.prepare(Path(folder), share)
        print(f"{one.title}: {prepared.lines:,} lines", flush=True)
        steps = {
            "import": _typed(
                "import_events", str(prepared.path), f"--format={one.format}", "--no-process"
            ),
            "process": _typed("process", "--bulk", "--once"),
            "train": _typed("train"),
        }
    sizes = _sizes()
    key = _shelf()
    with harness.granian() as port, harness.processor():
        print(f"{len(prepared.questions):,} questions", flush=True)
        answers = _answered(port, key, one.event, prepared.questions)
    found = _versions()
    item_knn = found["item_knn"].metrics if "item_knn" in found else {}
    if not item_knn.get("popularity", {}).get("NDCG@20"):
        sys.exit(f"{one.title}: too little was imported to ask about")
    return Measured(
        {"lines_imported": Figure(prepared.lines, ""), **sizes, **steps}
        | asked_figures(prepared.questions, answers),
        {key: figure for one in found.values() for key, figure in model_figures(one).items()},
        item_knn["NDCG@20"] / item_knn["popularity"]["NDCG@20"],
        _words(one.title, prepared, found),
    )


def _typed(*arguments: str) -> Figure:
    """Run a command as a person would; return the seconds it took."""
    print(f"manage.py {' '.join(arguments)}", flush=True)
    began = time.perf_counter()
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=harness.ROOT, check=True)
    return Figure(time.perf_counter() - began, "s")


def _sizes() -> dict[str, Figure]:
    from personalization.catalog.models import Product
    from personalization.customers.models import Profile
    from personalization.events.models import Event

    rows = {"events": Event.objects, "customers": Profile.objects, "products": Product.objects}
    return {name: Figure(all_rows.count(), "") for name, all_rows in rows.items()}


def _shelf() -> str:
    """Make the placement that is asked; return a secret key."""
    from personalization.access.services import create_key
    from personalization.content.services import upsert_placement

    values = {"title": "For you", "kind": "recommendations", "strategy": "for-you", "count": COUNT}
    upsert_placement(key=SHELF, values=values, actor="bench")
    _row, key = create_key(name="bench", kind="secret", actor="bench")
    return key


def _answered(port: int, key: str, event: str, questions: Sequence[Question]) -> Answers:
    """Send what each visitor did; once it is folded, ask each question, one at a time."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    events = events_of(event, questions, datetime.now(UTC))
    for first in range(0, len(events), BATCH):
        batch = events[first : first + BATCH]
        if (said := _post(connection, key, "/v1/batch", {"batch": batch}))["accepted"] < len(batch):
            sys.exit(f"of {len(batch)} events not all were accepted: {said}")
    connection.close()  # the server closes what is idle for long; the next request opens it again
    _wait(_is_folded, "events were not folded")
    bodies = [{"anonymousId": _visitor(n), "placements": [SHELF]} for n in range(len(questions))]

    def is_served() -> bool:
        answer = _post(connection, key, "/v1/decide", bodies[0])
        return len(answer["placements"][SHELF]["items"]) == COUNT and not answer["degraded"]

    _wait(is_served, "no whole shelf came")
    found = Answers([], [])
    for body in bodies:
        began = time.perf_counter()
        answer = _post(connection, key, "/v1/decide", body)
        found.ms.append((time.perf_counter() - began) * 1000)
        found.shelves.append([item["id"] for item in answer["placements"][SHELF]["items"]])
    connection.close()
    return found


def events_of(event: str, questions: Sequence[Question], now: datetime) -> list[dict[str, Any]]:
    """Return the visitors' events, each a second after the one before, the last one `now`."""
    return [
        {
            "type": "track",
            "event": event,
            "anonymousId": _visitor(n),
            "timestamp": (now - timedelta(seconds=back)).isoformat(),
            "properties": {"product_id": product},
        }
        for n, question in enumerate(questions)
        for back, product in zip(
            range(len(question.products) - 1, -1, -1), question.products, strict=True
        )
    ]


def _visitor(n: int) -> str:
    return f"asked-{n}"


def _post(connection: HTTPConnection, key: str, path: str, body: object) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, orjson.dumps(body), headers)
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        sys.exit(f"{path} was answered {response.status} {text[:500]!r}")
    answer: dict[str, Any] = orjson.loads(text)
    return answer


def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + _GIVE_UP_S
    while not is_so():
        if time.monotonic() > until:
            sys.exit(f"{otherwise} within {_GIVE_UP_S:g} s")
        time.sleep(0.2)


def _is_folded() -> bool:
    from personalization.customers.models import ProfileDirty

    return harness.is_drained() and not ProfileDirty.objects.exists()


def asked_figures(questions: Sequence[Question], answers: Answers) -> dict[str, Figure]:
    """Return how many found the next product on the shelf, and how long an answer took."""
    found = np.array(
        [one.next in shelf for one, shelf in zip(questions, answers.shelves, strict=True)]
    )
    new = np.array([one.is_new for one in questions])
    shares = {"questions": found, "questions_for_new": found[new]}
    figures = {}
    for name, asked in shares.items():
        figures[name] = Figure(len(asked), "")
        if len(asked):
            figures[f"{name}, on_the_shelf"] = Figure(float(asked.mean()), "")
    for name, part in (("decision_p50", 0.5), ("decision_p99", 0.99)):
        figures[name] = Figure(float(np.quantile(answers.ms, part)), "ms")
    return figures


def _versions() -> "dict[str, ModelVersion]":
    """Return what `train` registered, the models before the blends that are made of them."""
    from recommender.engine.training import BLENDS
    from recommender.models import ModelVersion

    rows = ModelVersion.objects.order_by("pk")
    return {row.algorithm: row for row in sorted(rows, key=lambda row: row.algorithm in BLENDS)}


def model_figures(version: "ModelVersion") -> dict[str, Figure]:
    """Return the row of one model; undefined metrics have no cell."""
    metrics = version.metrics
    row = version.algorithm + ("" if version.status == "live" else " (rejected)")
    cells = {"asked": Figure(metrics["users"], "")}
    for name in ("Recall@20", "NDCG@20"):
        if metrics[name] is not None:
            low, high = metrics["intervals"][name]
            cells[name] = Figure(metrics[name], f"({low:.3f}-{high:.3f})")
    others = {
        "popularity's NDCG@20": metrics["popularity"].get("NDCG@20"),
        "coverage@20": metrics["coverage@20"],
    }
    cells |= {name: Figure(value, "") for name, value in others.items() if value is not None}
    return {f"{row}.{name}": figure for name, figure in cells.items()}


def _words(title: str, prepared: Prepared, found: "dict[str, ModelVersion]") -> str:
    """Return what is special to a set: what was kept back, and what its models were asked."""
    asked, splits = defaultdict(list), set()
    for name, version in found.items():
        if (split := split_of(version)) is not None:
            splits.add(split)
            asked[version.metrics["protocol"]].append(name)
    told = "; ".join(f"{', '.join(names)}: {words}" for words, names in asked.items())
    days = " or ".join(sorted(splits))
    return (
        f"{title}: {prepared.words}. The models were fitted on all but {days} of what was imported"
        f" and asked about these days; {told}."
    )


def split_of(version: "ModelVersion") -> str | None:
    """Return which days a model was asked about; None where there was nothing to ask."""
    metrics, facts = version.metrics, version.manifest["facts"]
    if metrics["cut_s"] is None:
        return None
    whole, late = (
        (facts["newest_s"] - since_s) / 86_400 for since_s in (facts["from_s"], metrics["cut_s"])
    )
    return f"the last {late:.1f} of {whole:.0f} days"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
