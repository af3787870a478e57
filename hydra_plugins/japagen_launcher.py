"""Hydra finds launchers in this namespace only; the work is done by launch/. Kept thin, since Hydra imports it at every start."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class JapagenLauncher(Launcher):
    """Plans a sweep as a whole and runs it: `executor` is local (this machine) or slurm."""

    def __init__(self, executor: str = "local") -> None:
        self.executor = executor

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from launch.compositions import Compositions
        from launch.sweep import check_search

        self.compositions, self.config = Compositions(hydra_context.config_loader), config
        check_search(self.compositions, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from launch.sweep import launch_sweep

        return launch_sweep(self.compositions, self.config, job_overrides, initial_job_idx, self.executor)
