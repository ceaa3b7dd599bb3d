"""scikit-learn on demand: only a fit loads it.

Web workers and scoring read models as arrays; with the package they would weigh 80 MB more each,
and its OpenMP must not have run in a process that forks.
"""

import importlib
from typing import Any


class Lazy:
    """A module that is imported when something of it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)


cluster = Lazy("sklearn.cluster")
ensemble = Lazy("sklearn.ensemble")
isotonic = Lazy("sklearn.isotonic")
linear_model = Lazy("sklearn.linear_model")
metrics = Lazy("sklearn.metrics")
mixture = Lazy("sklearn.mixture")
neighbors = Lazy("sklearn.neighbors")
tree = Lazy("sklearn.tree")
