"""The configurations for a command, composed from the same conf/ and the same overrides as `python run.py` takes."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from japagen.config.schema import Config, register_schema
from japagen.config.validation import to_config
from japagen.errors import ConfigError
from japagen.store.files import expand_home

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
CONF = ROOT / "conf"
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)


def compose_config(overrides: Sequence[str], config_dir: Path | None = None) -> Config:
    """The checked configuration; `config_dir` as `run.py --config-dir`. Errors are those of run.py, for `cli.explain`."""
    _check_checkout()
    sweep = [override for override in overrides if override in ("-m", "--multirun")]
    if sweep:
        raise ConfigError(f"{sweep[0]}: this command takes one configuration, not a sweep; give one value to each setting")
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_config(compose("config", overrides=[*overrides, *_searched(config_dir)]))


def compose_sweep(overrides: Sequence[str], config_dir: Path | None = None, one_of: Sequence[str] = ()) -> list[Config]:
    """The checked configurations of every job that `run.py -m` would run: comma and range sweeps, and an experiment's own.

    Takes `-m` or does without; one configuration where nothing is swept. `one_of`: settings of which one value will do, since a
    composition takes 50 ms. ConfigError names the job at fault.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    _check_checkout()
    register_schema()
    given = [*(override for override in overrides if override not in ("-m", "--multirun")), *_searched(config_dir)]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        loader = hydra.config_loader
        master = loader.load_configuration("config", given, RunMode.MULTIRUN, from_shell=False)
        swept = [f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()]  # as BasicSweeper.sweep does
        parsed = OverridesParser.create(config_loader=loader).parse_overrides([*swept, *master.hydra.overrides.task])
        (jobs,) = BasicSweeper.split_arguments(parsed, None)
        chosen = {tuple(override for override in job if override.partition("=")[0] not in one_of): job for job in jobs}
        return [_job_config(loader, master, job) for job in chosen.values()]


def hydra_value(path: str) -> str:
    """A path as an override's value: quoted where Hydra's grammar asks for it, as for Japanese names."""
    if _PLAIN.fullmatch(path):
        return path
    escaped = path.replace('"', '\\"')
    return f'"{escaped}"'


def _job_config(loader: ConfigLoader, master: DictConfig, job: Sequence[str]) -> Config:
    composed = loader.load_sweep_config(master, list(job))
    with open_dict(composed):
        del composed["hydra"]
    try:
        return to_config(composed)
    except ConfigError as error:
        raise ConfigError(f"{' '.join(job)}: {error}") from error


def _check_checkout() -> None:
    if not CONF.is_dir():
        raise ConfigError(f"there is no folder {CONF}: this command is for the checkout, where conf/ lies (make install there)")


def _searched(config_dir: Path | None) -> list[str]:
    if config_dir is None:
        return []
    if not expand_home(config_dir).is_dir():
        raise ConfigError(f"--config-dir {config_dir}: there is no such folder; it must hold task/NAME.yaml (or another group's)")
    path = str(expand_home(config_dir).resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{path}']"]
