"""Hydra finds sweepers in this namespace only; the work is done by launch/. Kept thin, since Hydra imports it at every start."""

from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """hydra-optuna-sweeper's sweeper, whose direction is fixed, and which says in the end what it found."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from launch.search import make_optuna_sweeper

        self.folder = config.hydra.sweep.dir
        self.sweeper = make_optuna_sweeper(self.settings)
        self.sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> None:
        from launch.search import run_search

        run_search(self.sweeper, arguments, self.folder)


class SearchName(SearchPathPlugin):
    """hydra/sweeper=optuna means conf/hydra/sweeper/japagen_optuna.yaml. A file optuna.yaml cannot exist beside the plugin's schema of
    that name; Hydra calls this when all plugins are loaded, so the name is ours."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node={"defaults": ["japagen_optuna"]}, provider="japagen")
