"""From the log to arrays to models: a million interactions read, and fits beside bare implicit."""

import os
import sys
import time
import traceback
import tracemalloc
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from bench import harness
from bench.harness import Figure

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from recommender.engine.als import AlsConfig
    from recommender.engine.base import Interactions
    from recommender.engine.bpr import BprConfig
    from recommender.engine.item_knn import ItemKnnConfig

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
CUSTOMERS, PRODUCTS = max(ROWS // 20, 1), 20_000
_STATED = 1_000_000
_ROUNDS = 3
PROTOCOL = (
    f"{ROWS} events (nine views to an addition) of {CUSTOMERS} customers with {PRODUCTS} products, "
    "popular ones more often, over 90 days, in the partitioned log. Extraction: "
    "recommender.dataset.read, from COPY to int32 rows of customers and products, consent and bots "
    "checked; the best of three. extraction_cpu_s adds this process and PostgreSQL's: it says "
    "what a busy machine hides. Ceiling: COPY of four bare columns of the same rows to the same "
    "reader, nothing joined, nothing read of properties. Memory: tracemalloc's peak of a further "
    "extraction over the arrays that it returns. Fits: the algorithm's own fit from interactions "
    "over implicit's fit of the matrix that it is given, alternating, the best of three each, one "
    "thread; making the matrix counts for ours. Their peaks: by how much a process of its own "
    "grows over the same arrays, the model that it makes included, beside implicit's."
)
# Straight into the log: what is measured is reading.
_LOAD = """
INSERT INTO customers_customer (id, uuid, assignment_key, created_at, version)
SELECT n, gen_random_uuid(), 'c' || n, now(), 1 FROM generate_series(1, %(customers)s) n;
INSERT INTO customers_identity (id, kind, value, generation, customer_id, origin_id, created_at)
SELECT n, 2, 'c' || n, 1, n, n, now() FROM generate_series(1, %(customers)s) n;
INSERT INTO catalog_product (key, title, url, image_url, currency, available, brand, categories,
                             attributes, created_at, updated_at, change)
SELECT 'sku-' || n, 'Product ' || n, '', '', '', true, '', '[]', '{}', now(), now(), n
FROM generate_series(0, %(products)s) n;
INSERT INTO events_event (day, trust, message_id, epoch, shard, identity_id, type, name,
                          occurred_at, received_at, purposes, flags, properties, context)
SELECT at::date, 2, 'm' || n, 1, n %% 64, who, 'track',
       CASE WHEN n %% 10 = 0 THEN 'Product Added' ELSE 'Product Viewed' END, at, at, 7, 0,
       jsonb_build_object('product_id', 'sku-' || what, 'price', 19.99, 'currency', 'EUR'),
       '{"page": {"path": "/p"}}'
FROM (
    SELECT n, now() - random() * interval '89 days' AS at,
           1 + floor(random() * %(customers)s)::int AS who,
           floor(power(random(), 3) * %(products)s)::int AS what
    FROM generate_series(1, %(rows)s) n
) AS made
"""
_BARE = """
COPY (SELECT identity_id::int8, seq::int8, 1::int2, occurred_at, 0::int4 FROM events_event)
TO STDOUT (FORMAT binary)
"""


def main() -> None:
    """Measure and write the result."""
    local = harness.prepare()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(_LOAD, {"customers": CUSTOMERS, "products": PRODUCTS, "rows": ROWS})
        cursor.execute("ANALYZE")
    from recommender import dataset

    until = datetime.now(UTC)
    cpu = harness.cpu_seconds(local)
    read_s, data = _best(lambda: dataset.read(until=until))
    cpu_s = (harness.cpu_seconds(local) - cpu) / _ROUNDS
    bare_s, _ = _best(_bare)
    held = sum(
        array.nbytes
        for array in (
            data.data.users,
            data.data.items,
            data.data.weights,
            data.data.at_s,
            data.kinds,
        )
    )
    peak = _peak(lambda: dataset.read(until=until))
    enough = ROWS >= _STATED
    figures = {
        "extraction_s": Figure(
            read_s,
            "s",
            bare_s / read_s,
            bare_s,
            "<= 5 s for 1,000,000",
            read_s <= 5 if enough else None,
        ),
        "extraction_cpu_s": Figure(cpu_s, "s"),
        "extraction_peak": Figure(
            peak / held, "times the arrays", goal="<= 4", holds=peak / held <= 4 if enough else None
        ),
        "interactions": Figure(len(data.data), "rows"),
    }
    fits = _fits(data.data)
    # before the races: a child that is forked after OpenMP has run would hang
    grown = {name: (_grown(ours), _grown(theirs)) for name, ours, theirs in fits}
    for name, ours, theirs in fits:
        mine, bare = _race(ours, theirs)
        figures[f"fit_{name}_s"] = Figure(
            mine,
            "s",
            mine / bare,
            bare,
            "<= 1.2 times implicit",
            mine / bare <= 1.2 if enough else None,
        )
        more, usual = (size / held for size in grown[name])
        figures[f"fit_{name}_peak"] = Figure(more, "times the arrays", more / usual, usual)
    figures["load_average"] = Figure(os.getloadavg()[0], "runnable processes")
    harness.write("training", figures, PROTOCOL)


def _best(work: Callable[[], Any]) -> tuple[float, Any]:
    times, found = [], None
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        found = work()
        times.append(time.perf_counter() - started)
    return min(times), found


def _race(ours: Callable[[], Any], theirs: Callable[[], Any]) -> tuple[float, float]:
    mine: list[float] = []
    bare: list[float] = []
    for _ in range(_ROUNDS):
        for work, times in ((ours, mine), (theirs, bare)):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
    return min(mine), min(bare)


def _peak(work: Callable[[], Any]) -> int:
    """Return the most bytes that were allocated at once while `work` ran, NumPy's included."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _grown(work: Callable[[], Any]) -> int:
    """Return by how many bytes a process grows at most while it does the work."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
            before = _memory("VmRSS")
            work()
            os.write(writer, str(_memory("VmHWM") - before).encode())
            os._exit(0)
        except Exception:  # noqa: BLE001 -- told, and the child ends
            traceback.print_exc()
        finally:
            # never the parent's way out, which stops its servers
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as told:
        grown = told.read()
    _, status = os.waitpid(pid, 0)
    if not grown:
        sys.exit(f"a fit whose memory is measured ended with {os.waitstatus_to_exitcode(status)}")
    return int(grown)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def _bare() -> int:
    from personalization.events import copied, extraction

    blocks = copied.blocks(_BARE, {}, extraction._ROW, extraction._columns)
    return sum(len(block[0]) for block in blocks)


def _fits(data: "Interactions") -> list[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """Return (name, our fit, implicit's fit of the same matrix)."""
    from implicit.als import AlternatingLeastSquares
    from implicit.bpr import BayesianPersonalizedRanking
    from implicit.nearest_neighbours import BM25Recommender, CosineRecommender
    from threadpoolctl import threadpool_limits

    from recommender.engine.algorithms import RECIPES
    from recommender.engine.matrix import user_items

    as_of_s = float(data.at_s.max())

    def raced(
        name: str, config: Any, made: Callable[[], Any], kind: type
    ) -> tuple[str, Callable[[], Any], Callable[[], Any]]:
        matrix: csr_matrix = user_items(data, config, as_of_s).astype(kind)

        def bare() -> None:
            with warnings.catch_warnings(), threadpool_limits(1, "blas"):
                warnings.simplefilter("ignore")
                made().fit(matrix, show_progress=False)

        fit = RECIPES[name].algorithm.fit
        return name, lambda: fit(data, config, as_of_s=as_of_s), bare

    cosine = cast("ItemKnnConfig", RECIPES["item_knn_cosine"].config)
    bm25 = cast("ItemKnnConfig", RECIPES["item_knn"].config)
    als = replace(
        cast("AlsConfig", RECIPES["als"].config), factors=64, alpha=20.0, ridge=20.0, iterations=5
    )
    bpr = replace(cast("BprConfig", RECIPES["bpr"].config), factors=64, iterations=5)
    return [
        raced(
            "item_knn_cosine",
            cosine,
            lambda: CosineRecommender(K=cosine.neighbours, num_threads=1),
            np.float64,
        ),
        raced(
            "item_knn",
            bm25,
            lambda: BM25Recommender(K=bm25.neighbours, K1=bm25.k1, B=bm25.b, num_threads=1),
            np.float64,
        ),
        raced(
            "als",
            als,
            lambda: AlternatingLeastSquares(
                factors=als.factors,
                alpha=als.alpha,
                regularization=als.ridge,
                iterations=als.iterations,
                num_threads=1,
                random_state=als.seed,
            ),
            np.float32,
        ),
        raced(
            "bpr",
            bpr,
            lambda: BayesianPersonalizedRanking(
                factors=bpr.factors,
                learning_rate=bpr.rate,
                regularization=bpr.ridge,
                iterations=bpr.iterations,
                num_threads=1,
                random_state=bpr.seed,
            ),
            np.float32,
        ),
    ]


if __name__ == "__main__":
    main()
