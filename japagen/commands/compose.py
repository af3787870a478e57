"""The configuration for a command, composed from the same conf/ and the same overrides as `python run.py` takes."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from japagen.config import Config, register_schema, to_config
from japagen.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""
CONF = ROOT / "conf"


def compose_config(overrides: Sequence[str], config_dir: Path | None = None) -> Config:
    """The checked configuration; `config_dir` as `run.py --config-dir`. Errors are those of run.py, for `cli.explain`."""
    if not CONF.is_dir():
        raise ConfigError(f"there is no folder {CONF}: japagen is run from its checkout (make install), where conf/ lies")
    sweep = [one for one in overrides if one in ("-m", "--multirun")]
    if sweep:
        raise ConfigError(f"{sweep[0]}: this command takes one configuration, not a sweep; give one value to each setting")
    register_schema()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return to_config(compose("config", overrides=[*overrides, *_searched(config_dir)]))


def _searched(config_dir: Path | None) -> list[str]:
    if config_dir is None:
        return []
    if not config_dir.expanduser().is_dir():
        raise ConfigError(f"--config-dir {config_dir}: there is no such folder; it must hold task/NAME.yaml (or another group's)")
    path = str(config_dir.expanduser().resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{path}']"]
