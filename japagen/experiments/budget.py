"""How many replies and steps a task's number of labels asks for, and warnings where a setting leaves labels behind.

With 77 labels a small `num_per_label` is still thousands of texts, and a tenth of them may hold no row of some label. Pure
functions of experiments: nothing here reads the store.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from japagen.config.schema import Config
from japagen.curation.dataset import VALID_SHARE
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import gold_rows
from japagen.synthesis.generate import LEAST_BUDGET
from japagen.training.batches import num_steps

CHANCE_OF_VALID = math.ceil(256 / VALID_SHARE) / 256
"""Share of first texts that curation.dataset.is_valid puts into `valid`."""


def budget_line(config: Config) -> str:
    """'banking77: 77 labels x 50 texts; replies: 3,850 at least, 19,250 at most (…)'; a pair's first sentences count too."""
    task, num, factor = config.task, config.num_per_label, config.synthesis.max_rows_factor
    most = max(LEAST_BUDGET, math.ceil(num * factor))
    texts = f"{len(task.labels)} labels x {num:,} texts" + (f" and {num:,} first sentences" if task.is_pair else "")
    each = f"{most:,} a label (synthesis.max_rows_factor={factor:g}, never fewer than {LEAST_BUDGET})"
    per_request = config.synthesis.texts_per_request
    whole = math.ceil(num / per_request) * per_request  # requests are whole; a pair's second sentences are asked for one by one
    least = whole + len(task.labels) * num if task.is_pair else len(task.labels) * whole
    times = len(task.labels) + task.is_pair
    return f"{task.name}: {texts}; replies: {least:,} at least, {times * max(most, whole):,} at most: {each}"


def budget_warnings(experiments: Sequence[Experiment]) -> list[str]:
    """What students can't learn or be selected on for want of rows or steps, each once, with the setting to change."""
    different: dict[Any, Experiment] = {}
    for experiment in experiments:
        config, gold = experiment.config, experiment.train_gold
        rows = (config.num_per_label, config.gold_per_label, config.shots_seed, gold.checksum if gold else "")
        train = config.train
        steps = (train.epochs, train.batch_size, train.min_steps, train.steps)
        different.setdefault((config.task.name, config.method.name, *rows, *steps), experiment)
    found = [
        f"{experiment.task.name}: warning: {text}"
        for experiment in different.values()
        for text in (*_labels_without_valid(experiment), *_too_few_steps(experiment))
    ]
    return list(dict.fromkeys(found))


def _labels_without_valid(experiment: Experiment) -> list[str]:
    config, num_labels = experiment.config, len(experiment.task.labels)
    if not experiment.has_student or experiment.task.is_regression:
        return []
    if "stream" in experiment.keys:
        without = num_labels * (1 - CHANCE_OF_VALID) ** config.num_per_label
        if without < 1:
            return []
        enough = math.ceil(math.log(1 / num_labels) / math.log(1 - CHANCE_OF_VALID))
        return [
            f"num_per_label={config.num_per_label} leaves about {without:.0f} of {num_labels} labels without a validation row (one text in"
            f" {VALID_SHARE} is one), so the best weights are chosen without them; with num_per_label={enough} or more it is less than one"
        ]
    return _labels_without_held_out(experiment)


def _labels_without_held_out(experiment: Experiment) -> list[str]:
    """Of gold rows, whose split is known: the labels that have none among those held out."""
    if experiment.train_gold is None or not experiment.learns_gold or experiment.config.gold_per_label != "all":
        return []
    there = Counter(row.label for row in gold_rows(experiment.config, experiment.train_gold)[1])
    missing = [name for name in experiment.task.label_names if not there[name]]
    if not missing:
        return []
    shown = ", ".join(missing[:3]) + (", …" if len(missing) > 3 else "")
    return [f"{len(missing)} of {len(experiment.task.labels)} labels have no row among the gold rows held out for selection: {shown}"]


def _too_few_steps(experiment: Experiment) -> list[str]:
    """Where a student takes fewer optimiser steps than there are labels, or sees a part of its rows only."""
    config, num_labels = experiment.config, len(experiment.task.labels)
    if not experiment.has_student or experiment.task.is_regression:
        return []
    train = config.train
    if experiment.learns_gold and config.gold_per_label != "all" and "stream" not in experiment.keys:
        num_rows = num_labels * int(config.gold_per_label)
    elif "stream" in experiment.keys and not experiment.learns_gold:
        num_rows = round(num_labels * config.num_per_label * (1 - CHANCE_OF_VALID))
    else:
        return []
    steps, setting = num_steps(train, num_rows), f"train.steps={train.steps}" if train.steps else f"train.epochs={train.epochs}"
    if steps * train.batch_size < num_rows:
        return [
            f"{setting} with train.batch_size={train.batch_size} shows the student {steps * train.batch_size:,} of {num_rows:,} rows;"
            f" {math.ceil(num_rows / train.batch_size)} steps show each once"
        ]
    if steps >= num_labels:
        return []
    return [
        f"{setting} gives about {steps} optimiser steps on {num_rows:,} rows, fewer than the {num_labels} labels, so many of them may stay"
        " unlearned; raise the rows or the steps, or lower train.batch_size"
    ]
