"""Applies `train.keep` while a sweep runs: after each student, to those that differ from it in their seed only."""

from collections.abc import Sequence

from japagen.errors import StoreError
from japagen.experiments.experiment import Experiment
from japagen.experiments.pruning import family, prune_models
from japagen.store.store import Store
from japagen.sweeps.folder import STUDENT, Unit
from launch.console import say


class Pruner:
    """Knows a sweep's families of seeds. Without a setting, one experiment keeps its weights and a sweep keeps each best seed's."""

    def __init__(self, experiments: Sequence[Experiment], store: Store) -> None:
        self._experiments, self._store = experiments, store
        self._configured = experiments[0].config.train.keep
        self._keep = self._configured or ("best_seed" if len(experiments) > 1 else "all")
        self._families: dict[str, list[Experiment]] = {}
        for experiment in (candidate for candidate in experiments if candidate.has_student):
            self._families.setdefault(family(experiment), []).append(experiment)

    def after(self, unit: Unit) -> None:
        """Removes the weights that nothing needs now that the unit has ended; a refusal of the disk's stops no sweep."""
        if unit.kind == STUDENT and self._experiments[unit.experiments[0]].has_student:
            self._prune(self._families[family(self._experiments[unit.experiments[0]])])

    def after_all(self) -> None:
        """Prunes every student of the sweep, also those that were done before it or while no client watched.

        Only where `train.keep` was given: a default does not remove what an earlier run was configured to keep.
        """
        for experiments in self._families.values() if self._configured else ():
            self._prune(experiments)

    def _prune(self, experiments: Sequence[Experiment]) -> None:
        try:
            prune_models(experiments, self._store, self._keep)
        except StoreError as error:
            say(f"weights that nothing needs are left: {error}")
