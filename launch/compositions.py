"""Composes each job of a sweep once: Hydra's sweeper composes all of them to check them, and here the results are kept.

A composition takes a tenth of a second, so a sweep of a thousand jobs would otherwise take minutes more before it begins.
"""

from collections.abc import Sequence

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, open_dict

from japagen.config import Config
from japagen.errors import ConfigError
from japagen.validation import to_config


class Compositions:
    """Stands in for the loader's `load_sweep_config` from the launcher's set-up on."""

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self._load = loader.load_sweep_config
        self._made: dict[tuple[str, ...], Config | ConfigError] = {}
        loader.load_sweep_config = self._compose  # type: ignore[method-assign]

    def config(self, master: DictConfig, overrides: Sequence[str]) -> Config:
        """A job's checked configuration; raises ConfigError as `to_config` does."""
        if tuple(overrides) not in self._made:
            self._compose(master, list(overrides))
        found = self._made.pop(tuple(overrides))
        if isinstance(found, ConfigError):
            raise found
        return found

    def _compose(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        composed = self._load(master_config, sweep_overrides)
        own = composed.copy()
        with open_dict(own):
            del own["hydra"]
        try:
            self._made[tuple(sweep_overrides)] = to_config(own)
        except ConfigError as error:
            self._made[tuple(sweep_overrides)] = error
        return composed
