"""Seeded samples and their summaries: every number of a quality report comes with its number of rows."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

SEED = 0
"""Seed of every sample in a quality report."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)

Item = TypeVar("Item")


def draw(rows: Sequence[Item], num: int) -> list[Item]:
    """`num` of the rows (all where there are fewer) in a shuffled order, the same for the same rows."""
    order = np.random.default_rng(SEED).permutation(len(rows))
    return [rows[index] for index in order[:num]]


def summarise(values: Sequence[float]) -> dict[str, Any] | None:
    """n, mean, sd (of the values themselves) and quantiles {'0.05': …}; None for no values."""
    if not values:
        return None
    array = np.asarray(values, dtype=np.float64)
    quantiles = {f"{share:g}": float(value) for share, value in zip(QUANTILES, np.quantile(array, QUANTILES), strict=True)}
    return {"n": len(array), "mean": float(array.mean()), "sd": float(array.std()), "quantiles": quantiles}


def ks_distance(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Kolmogorov-Smirnov: the largest distance between two distribution functions, 0 to 1; None where one has no values."""
    if not values or not others:
        return None
    ordered, other = np.sort(values), np.sort(others)
    grid = np.concatenate([ordered, other])
    shares = [np.searchsorted(sample, grid, side="right") / len(sample) for sample in (ordered, other)]
    return float(np.abs(shares[0] - shares[1]).max())
