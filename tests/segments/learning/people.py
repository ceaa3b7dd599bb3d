"""Made-up customers for tests of learning: events as arrays, and features with groups in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segments.learning.engine.catalogue import BY_NAME, NAMES
from segments.learning.engine.features import DAY_US, DEVICES, KIND, Events, Floats, Ints

DAY0 = 20_000
AS_OF_US = (DAY0 + 200) * DAY_US
# Level of each feature in the three groups of `grouped`; the others are noise.
LEVELS = {
    "orders": (1, 12, 3),
    "revenue_minor": (2_000, 90_000, 9_000),
    "days_since_order": (5, 9, 150),
    "days_since_event": (4, 3, 140),
    "sessions": (3, 30, 8),
    "views_30d": (40, 30, 1),
    "tenure_days": (20, 300, 310),
}
TELLING = tuple(LEVELS)


def events(rows: Sequence[tuple[int, float, str]], **columns: object) -> Events:
    """Events of (customer, day, kind); `columns` override the rest, one value or one a row."""
    n = len(rows)
    at = np.array([int((DAY0 + day) * DAY_US) for _, day, _ in rows], np.int64)
    given: dict[str, object] = {
        "item": 0,
        "category": 0,
        "brand": 0,
        "session": 0,
        "value_minor": np.nan,
        "discounted": False,
        "device": 0,
        "hour": (at // (DAY_US // 24)) % 24,
        "weekday": (at // DAY_US + 3) % 7,
        **columns,
    }
    dtypes: dict[str, type] = {"value_minor": np.float64, "discounted": np.bool_}
    dtypes |= {"device": np.int8, "hour": np.int8, "weekday": np.int8}
    made: dict[str, Any] = {
        name: np.broadcast_to(np.asarray(value), (n,)).astype(dtypes.get(name, np.int64))
        for name, value in given.items()
    }
    return Events(
        np.array([who for who, _, _ in rows], np.int64),
        at,
        np.array([KIND[kind] for _, _, kind in rows], np.int8),
        **made,
    )


def random_events(seed: int, size: int = 400, people: int = 12, days: float = 220.0) -> Events:
    """Events of any kind at any time of `days`, later than AS_OF_US included."""
    rng = np.random.default_rng(seed)
    return Events(
        rng.integers(1, people + 1, size),
        (DAY0 * DAY_US + rng.integers(0, int(days * DAY_US), size)).astype(np.int64),
        rng.integers(0, len(KIND), size).astype(np.int8),
        rng.integers(0, 9, size),
        rng.integers(0, 5, size),
        rng.integers(0, 4, size),
        rng.integers(0, 3, size),
        np.where(rng.random(size) < 0.2, np.nan, rng.integers(1, 9_000, size)).astype(float),
        rng.random(size) < 0.3,
        rng.integers(0, len(DEVICES), size).astype(np.int8),
        rng.integers(0, 24, size).astype(np.int8),
        rng.integers(0, 7, size).astype(np.int8),
    )


def shoppers(seed: int, *, people: int = 600, days: int = 240) -> Events:
    """A shop with habits: the eager view and buy much, the others little; each has a category."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, float, str]] = []
    category: list[int] = []
    value: list[float] = []
    for who in range(1, people + 1):
        eager = who % 3 == 0
        quits = days * (1.0 if rng.random() < 0.7 else rng.random())
        taste = 100 + who % 4
        day = float(rng.random() * 60)
        while day < quits:
            own = taste if rng.random() < 0.8 else 100 + int(rng.integers(4))
            rows.append((who, day, "view"))
            category.append(own)
            value.append(float(rng.integers(500, 5_000)))
            if rng.random() < (0.35 if eager else 0.08):
                rows += [(who, day + 0.01, "order"), (who, day + 0.01, "line")]
                category += [0, own]
                value += [value[-1]] * 2
            day += float(rng.exponential(4.0 if eager else 16.0))
    return events(rows, category=np.array(category), value_minor=np.array(value))


def grouped(seed: int, *, each: int = 120) -> tuple[Floats, Ints]:
    """Features (3 * each, len(NAMES)) of three groups that any method finds, and the truth."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), each)
    values = rng.lognormal(0.0, 0.1, (len(truth), len(NAMES)))
    for name, levels in LEVELS.items():
        spread = rng.lognormal(0, 0.12, len(truth))
        column = np.array(levels)[truth] * spread
        whole = BY_NAME[name].unit in ("count", "minor")
        values[:, NAMES.index(name)] = np.rint(column) if whole else column
    gaps = rng.random(values.shape) < 0.02
    gaps[:, NAMES.index("orders")] = gaps[:, NAMES.index("revenue_minor")] = False
    values[gaps] = np.nan
    return values, truth
