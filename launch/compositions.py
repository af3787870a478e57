"""Turns each job of a sweep into a checked configuration, once, and has Hydra compose only those that differ in more than values.

A composition takes more than a tenth of a second, and Hydra makes two of each job: one in its sweeper, one for its launcher. A thousand
jobs (3 tasks, 2 numbers of shots, 2 sizes, 2 numbers of epochs, 42 seeds) take 265 CPU seconds that way and 1.2 here, conversion and
checks included. Jobs that choose the same groups and set the same settings differ in those settings' values: Hydra composes the first of
them, and the others take what it composed with their own values put in, as Hydra itself puts them in at the end. Of those only the parts
that changed are converted anew. Each is checked by itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from japagen.config.schema import Config
from japagen.config.validation import check_config, to_config
from japagen.errors import ConfigError


@dataclass(frozen=True)
class _Override:
    """One override of a job."""

    line: str
    name: str
    """Name of the setting or group."""
    is_group: bool
    is_value: bool
    """Whether all it does is to give a setting a single value."""
    value: Any

    @property
    def part(self) -> str:
        """The part of the configuration that it changes: train of train.epochs."""
        return self.name.partition(".")[0]


@dataclass
class _Alike:
    """What jobs have in common that differ in values only."""

    composed: DictConfig
    """Hydra's composition for the first of them."""
    own: DictConfig
    """A copy of our part of it, which takes each job's values."""
    changing: frozenset[str]
    """Parts in which a value changes, or may because they refer to others."""
    first: Config | None = None

    def config(self) -> Config:
        """The configuration with the present values; raises ConfigError as `to_config` does."""
        if self.first is None:
            self.first = to_config(self.own)
            return self.first
        values = {part: self.own[part] for part in self.changing}
        changes: dict[str, Any] = {
            part: OmegaConf.to_object(value) if OmegaConf.is_config(value) else value for part, value in values.items()
        }
        config = replace(self.first, **changes)
        check_config(config)
        return config


class Compositions:
    """Replaces the loader's `load_sweep_config` from the launcher's set-up on."""

    def __init__(self, loader: ConfigLoaderImpl) -> None:
        self._load = loader.load_sweep_config
        self._made: dict[tuple[str, ...], Config | ConfigError] = {}
        self._alike: dict[tuple[str, ...], _Alike] = {}
        """Keyed by the overrides that jobs have in common, see `_split`."""
        self._parser = OverridesParser.create()
        self._parse = cache(self._read)
        self._is_group = cache(lambda name: bool(loader.repository.group_exists(name)))
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
        """Makes the job's configuration. Returns what Hydra composed for it or one like it: its sweeper only looks whether that works."""
        common, values = _split([self._parse(line) for line in sweep_overrides])
        if common not in self._alike or not _put(values, self._alike[common].own):
            self._alike[common] = _alike(self._load(master_config, sweep_overrides), values)
        try:
            self._made[tuple(sweep_overrides)] = self._alike[common].config()
        except ConfigError as error:
            self._made[tuple(sweep_overrides)] = error
        return self._alike[common].composed

    def _read(self, line: str) -> _Override:
        parsed = self._parser.parse_override(line)
        value = parsed.value()
        is_group = self._is_group(parsed.key_or_group) and not isinstance(value, dict)
        is_text = isinstance(value, str) and "$" not in value and value != MISSING
        is_single = value is None or isinstance(value, bool | int | float) or is_text
        is_value = is_single and not is_group and parsed.type == OverrideType.CHANGE and parsed.package is None
        return _Override(line, parsed.key_or_group, is_group, is_value, value)


def _alike(composed: DictConfig, values: Iterable[str]) -> _Alike:
    """The common part of jobs that give these settings values."""
    own = composed.copy()
    with open_dict(own):
        del own["hydra"]
    unresolved = OmegaConf.to_container(own, resolve=False)
    assert isinstance(unresolved, dict)
    referring = {str(part) for part, value in unresolved.items() if "${" in str(value)}
    return _Alike(composed, own, frozenset({name.partition(".")[0] for name in values} | referring))


def _split(overrides: Sequence[_Override]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The overrides with single values left open, and those values by setting.

    Groups come before settings, wherever they are written. Where a setting of the same part is changed in another way (a list, a mapping,
    an addition), the order may matter, so the values stay in.
    """
    others = {override.part for override in overrides if not override.is_value and not override.is_group}
    values = {override.name: override.value for override in overrides if override.is_value and override.part not in others}
    return tuple(f"{override.name}=" if override.name in values else override.line for override in overrides), values


def _put(values: dict[str, Any], own: DictConfig) -> bool:
    """Whether the configuration takes all the values; Hydra then says what is wrong with one that it doesn't."""
    try:
        for name, value in values.items():
            OmegaConf.update(own, name, value, merge=True)
    except OmegaConfBaseException:
        return False
    return True
