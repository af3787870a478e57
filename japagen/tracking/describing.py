"""What an experiment is called in W&B: name, tags and configuration, without anything of this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from japagen.config.fields import select, settings
from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.experiments.experiment import Experiment
from japagen.store.files import expand_home

MAX_TAG = 64
"""Characters that W&B takes."""


def tags_of(experiment: Experiment) -> list[str]:
    """Task, method, LLM, encoder, and whether it is a demo."""
    config = experiment.config
    tags = [config.task.name, config.method.name]
    tags += [config.llm.name] if experiment.needs_llm else []
    tags += [config.model.name] if experiment.has_student else []
    tags += ["demo"] if experiment.is_demo else []
    return [tag[:MAX_TAG] for tag in dict.fromkeys(tags) if tag]


def tracked_config(experiment: Experiment) -> dict[str, Any]:
    """The configuration without what belongs to this machine, and all keys."""
    described = select(asdict(experiment.config), Config, lambda facts: not facts.is_local)
    described |= {"keys": experiment.keys, "protocol": experiment.protocol}
    return {name: _rename_paths(value, experiment) for name, value in described.items()}


def without_paths(text: str, experiment: Experiment) -> str:
    """The text with local paths from settings replaced by the names of their folders and files."""
    for path in _local_paths(experiment):
        text = text.replace(path, Path(path).name)
    return text


def _rename_paths(value: Any, experiment: Experiment) -> Any:
    """`without_paths` for all strings of a JSON value."""
    if isinstance(value, str):
        return without_paths(value, experiment)
    if isinstance(value, dict):
        return {name: _rename_paths(entry, experiment) for name, entry in value.items()}
    return [_rename_paths(entry, experiment) for entry in value] if isinstance(value, list | tuple) else value


def _local_paths(experiment: Experiment) -> list[str]:
    """Values of settings that are paths: models in the user's folders, and the files that an experiment reads; the longest first."""
    config = experiment.config
    models = [config.llm.id, config.model.id, *([config.judge.id] if config.judge else [])]
    files = [setting.value for section in (config.prompt, config.data) for setting in settings(section) if setting.facts.is_local]
    files += [llm.chat_template for llm in (config.llm, config.judge) if llm is not None]
    named = {given: _in_home(given) for given in (*models, *files) if given}
    local = {given: path for given, path in named.items() if path.is_absolute() or path.exists()}
    return sorted({*local, *(str(path.absolute()) for path in local.values())}, key=len, reverse=True)


def _in_home(path: str) -> Path:
    """The path with the home folder for `~`; as it is where there is none: then nothing is read from it."""
    try:
        return expand_home(path)
    except ConfigError:
        return Path(path)
