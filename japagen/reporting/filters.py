"""`--where KEY=VALUE[,VALUE]`: which experiments of sweeps take part, by their configuration.

KEY is a group's name (task, method, prompt, llm, model, judge), split, data, or any setting by its dotted name. Values of one key are
alternatives, keys hold together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

from japagen.config.fields import settings
from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.errors import ConfigError, nearest
from japagen.output import shorten
from japagen.reporting.setting_names import value_text

SHORT = {name: f"{name}.name" for name in ("task", "method", "prompt", "llm", "model", "judge")} | {
    "split": "data.split",
    "data": "data.source",
}
USUAL = ("task", "method", "prompt", "shots", "llm", "model", "seed", "split", "num_per_label", "gold_per_label", "data")
MOST_SHOWN = 12
"""Values that a message lists."""


@dataclass(frozen=True)
class Where:
    """One key and its alternatives."""

    given: str
    """The key as typed."""
    name: str
    """Dotted."""
    values: tuple[str, ...]

    @property
    def text(self) -> str:
        """'task=jnli,jsts'."""
        return f"{self.given}={','.join(self.values)}"

    def holds(self, config: Config) -> bool:
        """Whether the configuration has one of the values."""
        found = read_setting(config, self.name)
        return any(_is_same(found, value) for value in self.values)


def parse_where(texts: Sequence[str]) -> list[Where]:
    """The filters typed; ConfigError for a key that no configuration has."""
    names = [*(setting.name for setting in settings(Config())), *(f"judge.{setting.name}" for setting in fields(LLM))]
    found: dict[str, Where] = {}
    for text in texts:
        given, equals, value = text.partition("=")
        name = SHORT.get(given, given)
        if not equals or not value:
            raise ConfigError(f"--where {text}: expected KEY=VALUE or KEY=VALUE,VALUE, e.g. --where task=jnli,jsts")
        if name not in names:
            hint = nearest(given, [*USUAL, *SHORT, *names])
            raise ConfigError(f"--where {text}: there is no setting {given!r}{hint}; the usual ones: {', '.join(USUAL)}")
        values = (value,) if value.startswith(("[", "{")) else tuple(filter(None, value.split(",")))
        found[name] = Where(given, name, (*(found[name].values if name in found else ()), *values))
    return list(found.values())


def choose(filters: Sequence[Where], configs: Sequence[Config]) -> list[int]:
    """Numbers of the configurations that all filters hold for; ConfigError, with what there is, where a value or all together fit none."""
    chosen = list(range(len(configs)))
    for condition in filters:
        present = _values(configs, condition.name)
        for value in condition.values:
            if not any(_is_same(found, value) for found in present):
                raise ConfigError(
                    f"--where {condition.given}={value} fits no experiment{nearest(value, present)};"
                    f" {condition.given}: {shorten(present, MOST_SHOWN)}"
                )
        left = [number for number in chosen if condition.holds(configs[number])]
        if not left:
            there = _values([configs[number] for number in chosen], condition.name)
            typed = " ".join(f"--where {other.text}" for other in filters)
            raise ConfigError(
                f"{typed} leave no experiment; with the ones before it, {condition.given} is only: {shorten(there, MOST_SHOWN)}"
            )
        chosen = left
    return chosen


def read_setting(config: Config, name: str) -> str:
    """A setting by its dotted name, in words; 'null' where it is unset."""
    return {setting.name: value_text(setting.value) for setting in settings(config)}.get(name, "null")


def _values(configs: Sequence[Config], name: str) -> list[str]:
    return list(dict.fromkeys(read_setting(config, name) for config in configs))


def _is_same(found: str, asked: str) -> bool:
    """Whether both are the same text or the same JSON value: 2e-5 is 0.00002."""
    if found == asked:
        return True
    try:
        return bool(json.loads(found) == json.loads(asked))
    except ValueError:
        return False
