"""Numbers far outside what an event type usually carries, by a robust running picture of it.

Per (event name, property) the last `WINDOW` values are kept. A value is an outlier when it lies
outside Tukey's far fences, [Q1 - 3 IQR, Q3 + 3 IQR], and its robust z-score, 0.6745 (x - median) /
MAD, passes 3.5 in absolute value (Iglewicz & Hoaglin 1993, p. 11). Both work on log(1 + x) for
values of 0 and more, since prices and revenues are skewed to the right. A mark for people: nothing
is dropped for it.
"""

import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

WINDOW = 512
# Fewer values say nothing about what is usual.
ENOUGH = 50
# Sorting the window costs about 100 us; once in so many values it does not show.
_REFRESH = 64
_FENCE = 3.0
_Z = 3.5
# MAD of a normal distribution is 0.6745 standard deviations.
_MAD_TO_SIGMA = 0.6745
PROPERTIES = ("price", "quantity", "value", "revenue", "total")
# Callers ask for described event types alone; a shop that describes very many forgets the oldest.
_MAX_PICTURES = 2_000


class Picture:
    """The last values of one property of one event type, and the range that is usual."""

    __slots__ = ("_since", "_values", "high", "low")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._values: deque[float] = deque(map(_scale, values), maxlen=WINDOW)
        self._since = 0
        self.low, self.high = usual_range(self._values)

    def sees(self, value: float) -> bool:
        """Whether `value` is an outlier by what came before; remember it."""
        scaled = _scale(value)
        outlier = not self.low <= scaled <= self.high
        self._values.append(scaled)
        self._since += 1
        if self._since >= _REFRESH:
            self._since = 0
            self.low, self.high = usual_range(self._values)
        return outlier


class Pictures:
    """One picture per (event name, property), made when first needed."""

    __slots__ = ("_known", "_making")

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Picture] = {}
        # threads ask for pictures freely, and add or drop them in turns
        self._making = threading.Lock()

    def seed(self, values: Mapping[tuple[str, str], Iterable[float]]) -> None:
        """Replace pictures by ones made of stored values."""
        made = {key: Picture(numbers) for key, numbers in values.items()}
        with self._making:
            self._known.update(made)

    def outlying(self, name: str, properties: Mapping[str, Any]) -> bool:
        """Whether any number of the event is an outlier; remember them all."""
        found = False
        for key in PROPERTIES:
            value = properties.get(key)
            if type(value) is float or type(value) is int:
                picture = self._known.get((name, key))
                if picture is None:
                    picture = self._made(name, key)
                if picture.sees(value):
                    found = True
        return found

    def _made(self, name: str, key: str) -> Picture:
        with self._making:
            made = self._known.setdefault((name, key), Picture())
            while len(self._known) > _MAX_PICTURES:
                del self._known[next(iter(self._known))]
            return made


def usual_range(values: Iterable[float]) -> tuple[float, float]:
    """Return (low, high), outside of which both rules see an outlier; infinite when too few."""
    ordered = sorted(values)
    if len(ordered) < ENOUGH:
        return -math.inf, math.inf
    median = _quantile(ordered, 0.5)
    spread = _quantile(ordered, 0.75) - _quantile(ordered, 0.25)
    mad = _quantile(sorted(abs(value - median) for value in ordered), 0.5)
    reach = _Z * mad / _MAD_TO_SIGMA
    low = min(_quantile(ordered, 0.25) - _FENCE * spread, median - reach)
    high = max(_quantile(ordered, 0.75) + _FENCE * spread, median + reach)
    return low, high


def _quantile(ordered: list[float], share: float) -> float:
    """Quantile by linear interpolation between order statistics (Hyndman & Fan 1996, type 7)."""
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _scale(value: float) -> float:
    """log(1 + x), odd in x, so that refunds (negative) are told from orders."""
    return math.copysign(math.log1p(abs(value)), value)
