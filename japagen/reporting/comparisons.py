"""Which differences within a sweep are more than chance: every setting against its task's reference, as a file and for the terminal.

The reference is the plain arm (method=japagen, prompt=base, fewest shots), else the first setting. Seeds are united as the table of
means does it. Settings are named by what tells them apart within the sweep; `japagen.evaluation.significance` says how they are compared.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from japagen.config.fields import settings
from japagen.config.schema import Config
from japagen.errors import JapagenError
from japagen.evaluation.significance import Difference, Resampled, compare, holm, read_run, resample
from japagen.experiments.result import Outcome, Result, SplitScores
from japagen.gold.formats import LineFeeds
from japagen.reporting.result_files import safe_cell
from japagen.reporting.seeds import Aggregate, aggregate
from japagen.reporting.setting_names import named_settings, tell_apart, value_text
from japagen.store.files import write_whole
from japagen.store.store import Store
from japagen.tasks import Task

SIGNIFICANT = 0.05

_COLUMNS = ("task", "split", "metric", "first", "second", "first_seeds", "second_seeds", "n", "difference", "low", "high", "p")
_FIRST_NAMES = (
    "shots", "prompt.name", "llm.name", "model.name", "gold_per_label", "num_per_label", "curate.name", "judge.name", "data.train_source",
)  # fmt: skip
"""Settings that name others: what they decide (an LLM's sampling, …) needn't be named beside them."""


@dataclass(frozen=True)
class Comparison:
    """One setting against its task's reference on one gold split."""

    task: str
    data: str
    split: str
    metric: str
    first: str
    """The setting, in words that no other of the sweep has on this split."""
    second: str
    """The reference."""
    first_seeds: str
    second_seeds: str
    num_rows: int
    demo: bool
    difference: Difference | None
    p_holm: float | None = None
    """Corrected for all comparisons of the sweep."""
    note: str = ""
    """Why there is no difference."""
    first_keys: tuple[str, ...] = ()
    """Keys of the setting's results."""
    second_keys: tuple[str, ...] = ()
    """Keys of the reference's results."""

    @property
    def is_significant(self) -> bool:
        """At 5%, after the correction."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT


@dataclass(frozen=True)
class _Setting:
    group: Aggregate
    config: Config
    scores: SplitScores
    """The first result's, on one split."""

    @property
    def result(self) -> Result:
        return self.group.results[0]

    @property
    def place(self) -> tuple[str, str, str, str | None]:
        """What settings must have in common to be compared: task, source of the gold data, split and its rows' source."""
        return self.result.task, self.result.data, self.scores.name, self.scores.gold_source


def compare_settings(outcomes: Sequence[Outcome], configs: Sequence[Config], store: Store) -> list[Comparison]:
    """Every setting of a task and split against the reference, in the outcomes' order; none where there is one setting only.

    configs: the outcomes' own, in the same order. Predictions are read once a result, rows drawn once a setting. A comparison that
    can't be made, as predictions are gone, gold rows differ or allow no value, says so in its note.
    """
    places: dict[tuple[str, str, str, str | None], list[_Setting]] = {}
    for setting in _settings(outcomes, configs):
        places.setdefault(setting.place, []).append(setting)
    compared = {place: settings for place, settings in places.items() if len(settings) > 1}
    names = _names(list(compared.values()))
    found = [one for settings, named in zip(compared.values(), names, strict=True) for one in _against_reference(settings, named, store)]
    tested = [number for number, one in enumerate(found) if one.difference is not None]
    corrected = dict(zip(tested, holm([one.difference.p for one in found if one.difference is not None]), strict=True))
    return [replace(one, p_holm=corrected.get(number)) for number, one in enumerate(found)]


def _settings(outcomes: Sequence[Outcome], configs: Sequence[Config]) -> Iterator[_Setting]:
    """Each setting once for each split that it is scored on."""
    for group in aggregate(outcomes):
        config = next(config for outcome, config in zip(outcomes, configs, strict=True) if outcome is group.results[0])
        yield from (_Setting(group, config, scores) for scores in group.results[0].splits)


def _against_reference(settings: Sequence[_Setting], names: Sequence[str], store: Store) -> Iterator[Comparison]:
    reference = find_reference([setting.result for setting in settings])
    read = [_resampled(setting, store) for setting in settings]
    for number, setting in enumerate(settings):
        if number == reference:
            continue
        difference, note = _difference(read[number], read[reference])
        yield Comparison(
            task=setting.result.task,
            data=setting.result.data,
            split=setting.scores.name,
            metric=setting.result.metric,
            first=names[number],
            second=names[reference],
            first_seeds=setting.group.seeds_text,
            second_seeds=settings[reference].group.seeds_text,
            num_rows=setting.scores.num_eval,
            demo=setting.result.demo or settings[reference].result.demo,
            difference=difference,
            note=note,
            first_keys=result_keys(setting.group.results),
            second_keys=result_keys(settings[reference].group.results),
        )


def result_keys(results: Sequence[Result]) -> tuple[str, ...]:
    """What tells a setting's runs from all others; '' for results without keys."""
    return tuple(result.keys.get("result", "") for result in results)


def find_reference(results: Sequence[Result]) -> int:
    """The place of the plain arm, else 0; a result a setting, in the sweep's order."""
    plain = [number for number, result in enumerate(results) if (result.method, result.prompt) == ("japagen", "base")]
    return min(plain, key=lambda number: results[number].shots, default=0)


def _resampled(setting: _Setting, store: Store) -> Resampled | str:
    """The setting's runs; or why they can't be had."""
    task: Task = setting.config.task
    folders = [store.path("result", result.keys["result"]) for result in setting.group.results]
    try:
        return resample(task, [read_run(folder / setting.scores.predictions_file) for folder in folders])
    except (JapagenError, ValueError) as error:  # the table of a long sweep isn't lost over one result
        return str(error)


def _difference(first: Resampled | str, second: Resampled | str) -> tuple[Difference | None, str]:
    """The difference, or None and why."""
    for one in (first, second):
        if isinstance(one, str):
            return None, one
    assert isinstance(first, Resampled)
    assert isinstance(second, Resampled)
    try:
        difference = compare(first, second)
    except JapagenError as error:
        return None, str(error)
    return difference, "" if difference else "the gold rows allow no comparison"


def _names(places: Sequence[Sequence[_Setting]]) -> list[list[str]]:
    """For each place its settings' names: the method, and of what else differs no more than it takes to tell them apart."""
    described = [[_described(setting) for setting in own] for own in places]
    kept = tell_apart(described, _FIRST_NAMES, kept=["method.name"])
    defaults = {one.name: value_text(one.value) for one in settings(Config()) if one.name not in _FIRST_NAMES}
    found = []
    for own in described:
        told = [[values.get(name) for name in kept] for values in own]
        names = [_name(values, kept[1:], defaults) for values in own]
        numbers = [f" ({told[:number].count(one) + 1})" if told.count(one) > 1 else "" for number, one in enumerate(told)]
        found.append([f"{name}{number}" for name, number in zip(names, numbers, strict=True)])
    return found


def _name(values: dict[str, str], kept: Sequence[str], defaults: dict[str, str]) -> str:
    """'japagen, shots=3, curate.judging=soften'; what is as by default goes without saying."""
    said = [name for name in kept if name in values and values[name] != defaults.get(name)]
    return ", ".join([values["method.name"], *(f"{name.removesuffix('.name')}={values[name]}" for name in said)])


def _described(setting: _Setting) -> dict[str, str]:
    """Setting -> value, of those settings that matter for this method."""
    result = setting.result
    unused = [
        *(["shots", "prompt."] if result.prompt is None else []),
        *(["llm.", "judge.", "curate.", "synthesis."] if result.llm is None else []),
        *(["model.", "train.", "curate.", "synthesis."] if result.model is None else []),
        *(["gold_per_label"] if result.gold_per_label is None else []),
        *(["num_per_label"] if result.num_per_label is None else []),
        *(["data.train_"] if result.train_source is None else []),
    ]
    named = {name: value for name, value in named_settings(setting.config).items() if not name.startswith(tuple(unused))}
    return {"method.name": result.method} | named


def write_comparisons(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """significance.csv, a row a comparison; nothing without any. Text that a spreadsheet would take for a formula gets a quote in front."""
    return [write_whole(folder / "significance.csv", lambda path: _write_csv(comparisons, path))] if comparisons else []


def _write_csv(comparisons: Sequence[Comparison], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(LineFeeds(file))
        writer.writerow([*_COLUMNS, "p_holm", f"significant_at_{SIGNIFICANT}", "note"])
        writer.writerows([safe_cell(value) for value in _row(comparison)] for comparison in comparisons)


def _row(one: Comparison) -> list[Any]:
    names = [one.task, one.split, one.metric, one.first, one.second, one.first_seeds, one.second_seeds, one.num_rows]
    if one.difference is None:
        return [*names, *[None] * 6, one.note]
    numbers = [one.difference.value, one.difference.low, one.difference.high, one.difference.p]
    return [*names, *numbers, one.p_holm, one.is_significant, one.note]
