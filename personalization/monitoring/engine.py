"""Quantiles from histogram buckets. Pure."""

from collections.abc import Sequence


def quantile(bounds: Sequence[float], cumulative: Sequence[float], share: float) -> float | None:
    """Return the value below which `share` of the observations lie, read from cumulative buckets.

    Linear inside a bucket, as Prometheus' `histogram_quantile` does: off by a bucket at most.

    Parameters
    ----------
    bounds
        Upper bounds, ascending, the last one may be infinite; same unit as the answer.
    cumulative
        Observations at or below each bound.
    share
        In 0...1.

    Returns
    -------
    float or None
        None without observations; the largest finite bound when the quantile lies beyond it.
    """
    total = cumulative[-1] if cumulative else 0.0
    if total <= 0:
        return None
    wanted = share * total
    lower_bound, lower_count = 0.0, 0.0
    for bound, count in zip(bounds, cumulative, strict=True):
        if count >= wanted:
            if bound == float("inf"):
                return lower_bound
            inside = count - lower_count
            part = (wanted - lower_count) / inside if inside else 0.0
            return lower_bound + (bound - lower_bound) * part
        lower_bound, lower_count = bound, count
    return lower_bound
