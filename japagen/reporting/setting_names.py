"""What a setting is called beside others, and how its score is written."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from typing import Any

from japagen.config.fields import settings
from japagen.config.schema import Config
from japagen.experiments.result import Result
from japagen.reporting.seeds import Aggregate


def named_settings(config: Config) -> dict[str, str]:
    """Dotted name -> value in words, of settings that may distinguish runs: no seeds, none that only affect where and how fast a run is."""
    return {
        name: value_text(value) for name, value, facts in settings(config) if facts.is_named and not facts.running and not facts.repeats
    }


def tell_apart(columns: Sequence[Sequence[Mapping[str, str]]], first: Sequence[str] = (), kept: Sequence[str] = ()) -> list[str]:
    """The fewest settings whose values distinguish all entries of each column: `kept` in any case, `first` before others."""

    def count(names: Sequence[str]) -> int:
        return sum(len({tuple(values.get(name) for name in names) for values in column}) for column in columns)

    names, num = list(kept), count(kept)
    for name in dict.fromkeys([*first, *(name for column in columns for values in column for name in values)]):
        if (more := count([*names, name])) > num:
            names, num = [*names, name], more
    return names


def value_text(value: Any) -> str:
    """A setting's value as the command line has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=asdict)


DEMO_NOTE = (
    "Demo models or smoke data take part in rows marked *: their numbers mean nothing. For real ones, on a GPU:\n"
    "  python run.py task=jnli llm=qwen3-swallow-8b model=bert-base-japanese-v3 data=published num_per_label=2000"
)


def format_score(score: dict[str, float] | None) -> str:
    """'0.712 [0.690, 0.731]'."""
    return "–" if score is None else f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


TITLES = {"sample": "Smoke data (mean nothing)", "published": "Published gold data", "files": "Your gold data", None: "Without gold data"}
"""Sources of gold data."""


def setting_names(groups: Sequence[Aggregate], without: Sequence[str] = ()) -> list[str]:
    """One name a group, in their order, all different; `without` names parts of `_parts` that are left out."""
    results = [group.results[0] for group in groups]
    differing = {name for result in results for name in result.options if len({repr(other.options.get(name)) for other in results}) > 1}
    described = [_parts(result, differing) for result in results]
    kept = [name for name in (described[0] if described else ()) if name not in without and _tells_apart(name, described)]
    names = [", ".join(parts[name] for name in kept if parts[name]) for parts in described]
    earlier = [names[:index].count(name) for index, name in enumerate(names)]
    return [f"{name} ({before + 1})" if before else name for name, before in zip(names, earlier, strict=True)]


def _size(result: Result) -> str:
    """`size_of` with its unit, for a list of parts."""
    if result.num_per_label is not None:
        return f"n={size_of(result)}"
    return "" if result.gold_per_label is None else f"{result.gold_per_label} rows{'' if result.gold_per_label == 'all' else ' a label'}"


def _tells_apart(name: str, described: Sequence[Mapping[str, str]]) -> bool:
    """Whether settings are named by it: where it differs among those that have it; of prompt and options also having none counts."""
    values = {parts[name] for parts in described}
    return name == "method" or len(values if name in ("prompt", "options") else values - {""}) > 1


def full_name(result: Result) -> str:
    """The task, and all that a setting is called."""
    parts = _parts(result, set(result.options))
    return ", ".join([result.task, *(part for name, part in parts.items() if part and name != "train_source")])


def size_of(result: Result) -> str:
    """'2000', 'gold all', '2000 + gold 30': texts a label and gold rows; '' for neither."""
    return format_size(result.num_per_label, result.gold_per_label)


def format_size(num_per_label: int | None, gold_per_label: str | None) -> str:
    """`size_of` without a result."""
    gold = None if gold_per_label is None else f"gold {gold_per_label}"
    return " + ".join(str(number) for number in (num_per_label, gold) if number is not None)


def _parts(result: Result, options: Set[str]) -> dict[str, str]:
    """Parts in which settings can differ, the method first, and of the options only these; '' for an absent part."""
    return {
        "method": result.method,
        "prompt": "" if result.prompt in (None, "base") else str(result.prompt),
        "shots": "" if result.llm is None else f"{result.shots} shots",
        "llm": result.llm or "",
        "model": result.model or "",
        "size": _size(result),
        "train_source": "" if result.train_source is None else f"gold rows from {result.train_source}",
        "options": ", ".join(f"{name}={value}" for name, value in result.options.items() if name in options),
    }
