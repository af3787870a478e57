"""Which students' weights stay once their results are there (`train.keep`): hundreds of encoders would fill a quota.

Results stay always, with predictions, keys and training curves; only the model's folder goes. Asked for again under the same key (a split
that wasn't scored yet, a result that was removed) a student is trained again, on the CPU bitwise the same.
"""

import math
from collections.abc import Sequence

from japagen.errors import StoreError
from japagen.experiments.experiment import Experiment
from japagen.experiments.scoring import settings_key
from japagen.store.locks import HeldError
from japagen.store.store import Store


def prune_models(experiments: Sequence[Experiment], store: Store, keep: str) -> list[str]:
    """Removes the weights that `keep` has no use for; returns the keys of the models removed.

    all: none is removed. none: every model whose result is stored. best_seed: of the experiments that differ in their seeds only, those of
    their data too, the models whose result is stored, except the one with the best score on its validation rows (never on the scored split;
    ties: the lowest seed; without a score last). A model stays while an experiment of the list needs it for a result that is missing, and
    while a process holds its lock.

    May be called after each student and by several processes at once: a model is removed only where one that stood was better, and that
    order is total, so the best that was there in the end is never removed. It sees `experiments` only: the best seed of another
    sweep, which has a worse score than one of these, goes.
    """
    if keep == "all":
        return []
    removed = []
    for group in _groups(experiments, by_seed=keep == "best_seed"):
        finished = [
            (_rank(experiment, store), experiment.keys["model"]) for experiment in group if _is_finished(experiment, experiments, store)
        ]
        there = sorted((rank, key) for rank, key in finished if rank is not None)
        removed += [key for _, key in there[1 if keep == "best_seed" else 0 :] if _remove(key, store)]
    return removed


def family(experiment: Experiment) -> str:
    """A key shared by experiments whose models differ only in their seeds and draws of the data."""
    return settings_key(experiment, but="result")


def _groups(experiments: Sequence[Experiment], by_seed: bool) -> list[list[Experiment]]:
    """One experiment a model; those that differ in their seeds only are one group, or all are one where that doesn't matter."""
    groups: dict[str, dict[str, Experiment]] = {}
    for experiment in (candidate for candidate in experiments if candidate.has_student):
        groups.setdefault(family(experiment) if by_seed else "", {}).setdefault(experiment.keys["model"], experiment)
    return [list(group.values()) for group in groups.values()]


def _is_finished(experiment: Experiment, experiments: Sequence[Experiment], store: Store) -> bool:
    """Whether every result that these experiments need from the model is stored."""
    wanted = {other.keys["result"] for other in experiments if other.keys.get("model") == experiment.keys["model"]}
    return all(store.find("result", key) is not None for key in wanted)


def _rank(experiment: Experiment, store: Store) -> tuple[float, int] | None:
    """Sorts the best model first: by the task's metric on validation rows (more is better, whatever the task), then by seed.

    None where there is no model, also when it goes this very moment.
    """
    try:
        score = store.meta("model", experiment.keys["model"])["training"]["best_score"]
    except StoreError:
        return None
    return -score if score is not None and math.isfinite(score) else math.inf, experiment.config.seed


def _remove(key: str, store: Store) -> bool:
    """Whether the model was there and is gone now; one that is being trained or scored stays."""
    try:
        return store.find("model", key) is not None and store.remove("model", key)
    except HeldError:
        return False
