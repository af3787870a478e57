"""How often people give a row another label than its data set does, and how well people agree: rates and Cohen's kappa, with intervals.

In: the labels of rows that were drawn from each label of a data set without replacement, and how many rows each label has there. Out:
estimates for all of its rows, so that a rare label counts as it does in the data set, however many of its rows were drawn.

Each interval is Wilson's (1927) at an effective sample size: the size at which a simple random sample has the variance that this stratified
one has (Korn and Graubard 1998; Franco, Little, Louis and Slud 2019 compare such intervals). It keeps its width where no row, or every row,
was given another label. Kappa's variance is that of Fleiss, Cohen and Everitt (1969), by linearisation, so that it holds for strata too.
Sampling is all that the intervals count: a person's own mistakes are part of the rate.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Z = 1.959964
"""Of a 95% interval."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Estimate:
    """A value with its 95% interval."""

    value: float
    low: float
    high: float
    num: int
    """Rows behind it."""


@dataclass(frozen=True)
class _Stratum:
    """The sampled rows of one label of the data set."""

    rows: Array
    """(n,) positions in the sample."""
    weight: float
    """The label's share of the data set's rows, among the labels with sampled rows."""
    unseen: float
    """Share of the label's rows that were not sampled (the finite population correction; Cochran 1977, section 5.3)."""


def noise_by_label(given: Sequence[str], found: Sequence[str], population: Mapping[str, int]) -> dict[str, Estimate]:
    """Label of the data set -> share of its rows to which a person gives another label; labels without sampled rows are left out.

    given: the data set's labels of the sampled rows. found: the person's. population: rows of each label in the data set.
    """
    sampled, wrong = Counter(given), Counter(label for label, other in zip(given, found, strict=True) if label != other)
    found_rates = {}
    for label in (label for label in population if sampled[label]):
        num, num_all = sampled[label], population[label]
        size = math.inf if num >= num_all else num * (num_all - 1) / (num_all - num)
        found_rates[label] = _wilson(wrong[label] / num, size, num)
    return found_rates


def disagreement(given: Sequence[str], first: Sequence[str], second: Sequence[str], population: Mapping[str, int]) -> Estimate | None:
    """Share of all the data set's rows to which two annotators (one may be the data set itself) give different labels; None without rows.

    given: the data set's labels of the sampled rows. population: rows of each label in the data set. Of labels without sampled rows
    nothing is known: the estimate is for the rows of all others, see `covered_share`.
    """
    if not given:
        return None
    strata = _strata(given, population)
    values = (np.array(first) != np.array(second)).astype(float)
    share = sum(stratum.weight * float(values[stratum.rows].mean()) for stratum in strata)
    return _wilson(share, _effective_size(share, values, strata), len(values))


def covered_share(given: Sequence[str], population: Mapping[str, int]) -> float:
    """Share of the data set's rows whose label has sampled rows."""
    return sum(population[label] for label in set(given)) / max(1, sum(population.values()))


def kappa(given: Sequence[str], first: Sequence[str], second: Sequence[str], population: Mapping[str, int]) -> Estimate | None:
    """Cohen's (1960) kappa of two annotators over the data set's rows, with arguments as `disagreement` has them.

    None without rows, and where both give all rows the same label: chance alone explains that.
    """
    if not given:
        return None
    strata = _strata(given, population)
    names = sorted({*first, *second})
    row, column = (np.array([names.index(label) for label in labels]) for labels in (first, second))
    weights = np.zeros(len(given))
    for stratum in strata:
        weights[stratum.rows] = stratum.weight / len(stratum.rows)
    first_shares, second_shares = (np.bincount(codes, weights, len(names)) for codes in (row, column))
    agrees = (row == column).astype(float)
    agreement, chance = float(weights @ agrees), float(first_shares @ second_shares)
    if 1 - chance < 1e-12:
        return None
    linear = agrees - (1 - agreement) / (1 - chance) * (second_shares[row] + first_shares[column])
    of_agreement = _wilson(agreement, _effective_size(agreement, linear, strata), len(given))
    value, low, high = ((part - chance) / (1 - chance) for part in (of_agreement.value, of_agreement.low, of_agreement.high))
    return Estimate(value, low, high, len(given))


def _strata(given: Sequence[str], population: Mapping[str, int]) -> list[_Stratum]:
    labels, covered = np.array(given), sum(population[label] for label in set(given))
    found = []
    for label in sorted(set(given)):
        rows = np.flatnonzero(labels == label)
        found.append(_Stratum(rows, population[label] / covered, 1 - len(rows) / population[label]))
    return found


def _effective_size(share: float, values: Array, strata: Sequence[_Stratum]) -> float:
    """Size of the simple random sample whose share has the variance of the stratified mean of `values`; inf where all rows are sampled.

    Where the sample shows no variance the size is that of strata with one common share.
    """
    common = float(np.var(values, ddof=1)) if len(values) > 1 else 0.0
    variance = sum(
        stratum.weight**2 * stratum.unseen * (float(np.var(values[stratum.rows], ddof=1)) if len(stratum.rows) > 1 else common)
        / len(stratum.rows)
        for stratum in strata
    )  # fmt: skip
    spread = share * (1 - share)
    if variance > 1e-15 and spread > 1e-15:
        return spread / variance
    by_design = sum(stratum.weight**2 * stratum.unseen / len(stratum.rows) for stratum in strata)
    return 1 / by_design if by_design else math.inf


def _wilson(share: float, size: float, num: int) -> Estimate:
    """Wilson's score interval; `size` need not be whole."""
    square = Z**2 / size
    centre, half = share + square / 2, Z * math.sqrt(share * (1 - share) / size + square / (4 * size))
    low, high = (max(0.0, min(1.0, end / (1 + square))) for end in (centre - half, centre + half))
    return Estimate(share, min(low, share), max(high, share), num)
