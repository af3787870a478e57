"""How `run.py --help` lists settings: those that decide what is made apart from the running ones."""

import sys
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf._utils import OmegaConfDumper

from japagen.config.fields import select


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """OmegaConf's YAML, written by libyaml where PyYAML has it: 20 ms less of --help."""


_Dumper.add_representer(str, OmegaConfDumper.str_representer)


def list_settings_of(schema: type) -> None:
    """Lets Hydra's help template name `${japagen.settings:identity}` and `${japagen.settings:running}`, two halves of `schema`."""

    def listed(half: str, *, _root_: DictConfig) -> str:
        resolve = "--resolve" in sys.argv  # Hydra passes it to its own listing only
        shown = OmegaConf.masked_copy(_root_, [str(name) for name in _root_ if name != "hydra"]) if resolve else _root_
        content: Any = OmegaConf.to_container(shown, resolve=resolve)
        content.pop("hydra", None)
        found = select(content, schema, lambda facts: facts.running == (half == "running"))
        text = yaml.dump(found, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=_Dumper)
        return str(text).replace("$", "$$")  # Hydra fills in the rest of the template by $NAME

    OmegaConf.register_new_resolver("japagen.settings", listed, replace=True)
