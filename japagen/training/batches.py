"""The order of training rows: batches of similar length, as a pure function of (lengths, batch size, seed, epoch).

Rows are shuffled, sorted by length within chunks of some batches, and the batches shuffled: little padding, and still a new
mix in each epoch. A resumed training sees the same batches, since nothing but the step's number decides which comes next.

A *stretch* is what lies between two validations (or two checkpoints, where nothing is validated). The trainer takes it for
its epoch, so that every checkpoint lies at an epoch's end, where Lightning resumes exactly.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from japagen.config.schema import Train

_BATCHES_PER_CHUNK = 50
_STEPS_PER_STRETCH = 500
"""Steps between checkpoints where nothing is validated."""


def length_grouped(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Batches of row numbers, each row in exactly one; the last one made may be smaller, at any position."""
    rng = np.random.default_rng([seed, epoch])
    shuffled = rng.permutation(len(lengths))
    widths = np.asarray(lengths)
    chunk = batch_size * _BATCHES_PER_CHUNK
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), chunk):
        part = shuffled[start : start + chunk]
        part = part[np.argsort(widths[part], kind="stable")]
        batches += [part[first : first + batch_size].tolist() for first in range(0, len(part), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


def by_length(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Batches of row numbers, shortest rows first: for predictions, where order is free."""
    order = np.argsort(np.asarray(lengths), kind="stable")
    return [order[start : start + batch_size].tolist() for start in range(0, len(order), batch_size)]


@dataclass(frozen=True)
class Schedule:
    """Which rows each optimiser step takes, and where the stretches end."""

    lengths: Sequence[int]
    batch_size: int
    seed: int
    ends: tuple[int, ...]
    """Steps after which a stretch ends, ascending; the last one ends training."""

    @property
    def steps_per_epoch(self) -> int:
        return _steps_per_epoch(len(self.lengths), self.batch_size)

    @property
    def num_steps(self) -> int:
        return self.ends[-1]

    def following(self, step: int) -> list[list[int]]:
        """The batches from optimiser step `step` (counted from 0) to its stretch's end; none after the last step."""
        if step >= self.num_steps:
            return []
        end = self.ends[bisect_right(self.ends, step)]
        per_epoch = self.steps_per_epoch
        batches: list[list[int]] = []
        for epoch in range(step // per_epoch, (end - 1) // per_epoch + 1):
            first, last = max(step - epoch * per_epoch, 0), min(end - epoch * per_epoch, per_epoch)
            batches += length_grouped(self.lengths, self.batch_size, self.seed, epoch)[first:last]
        return batches


def num_steps(train: Train, num_rows: int) -> int:
    """Optimiser steps of a training that isn't stopped early: the same rule for every arm, with or without validation rows."""
    return train.steps or max(train.epochs * _steps_per_epoch(num_rows, train.batch_size), train.min_steps)


def validated(lengths: Sequence[int], train: Train, seed: int) -> Schedule:
    """A validation after each part of an epoch.

    Where epochs are shorter than the least number of steps, or `train.steps` says how many there are, as many validations lie evenly
    over all steps: a training on few rows isn't validated, or given up, more often than one on many.
    """
    per_epoch, steps = _steps_per_epoch(len(lengths), train.batch_size), num_steps(train, len(lengths))
    if steps == train.epochs * per_epoch:
        parts = min(train.validations_per_epoch, per_epoch)
        ends = [epoch * per_epoch + per_epoch * part // parts for epoch in range(train.epochs) for part in range(1, parts + 1)]
    else:
        parts = min(train.epochs * train.validations_per_epoch, steps)
        ends = [steps * part // parts for part in range(1, parts + 1)]
    return Schedule(lengths, train.batch_size, seed, tuple(ends))


def unvalidated(lengths: Sequence[int], train: Train, seed: int) -> Schedule:
    """The same number of steps; the stretches' ends are checkpoints only."""
    steps = num_steps(train, len(lengths))
    return Schedule(lengths, train.batch_size, seed, (*range(_STEPS_PER_STRETCH, steps, _STEPS_PER_STRETCH), steps))


def _steps_per_epoch(num_rows: int, batch_size: int) -> int:
    return -(-num_rows // batch_size)
