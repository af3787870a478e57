"""Which differences within a sweep are more than chance: every setting against its task's reference, as a file and for the terminal.

The reference is the plain arm (method=japagen, prompt=base, fewest shots), else the first setting. Seeds are united as the table of
means does it. Settings are named by what tells them apart within the sweep; `japagen.evaluation.significance` says how they are compared.
p-values are corrected within a task, so that which other tasks are shown beside it changes none.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
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

_COLUMNS = (
    "task", "split", "metric", "first", "second", "first_seeds", "second_seeds", "first_draws", "second_draws", "n", "clusters",
    "difference", "low", "high", "p", "error_rows", "error_draws",
)  # fmt: skip
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
    first_draws: int
    """Draws of the data, or runs where nothing is drawn: what the test takes for repeats of the setting."""
    second_draws: int
    num_rows: int
    num_clusters: int
    demo: bool
    difference: Difference | None
    p_holm: float | None = None
    """Corrected for all comparisons of the task."""
    note: str = ""
    """Why there is no difference, or no test of it."""
    first_keys: tuple[str, ...] = ()
    """Keys of the setting's results."""
    second_keys: tuple[str, ...] = ()
    """Keys of the reference's results."""

    @property
    def is_significant(self) -> bool:
        """At 5%, after the correction."""
        return self.p_holm is not None and self.p_holm < SIGNIFICANT

    @property
    def difference_text(self) -> str:
        """'+0.012 [+0.003, +0.021]'; without an interval '+0.012 (NOTE)', without a difference the note."""
        found = self.difference
        if found is None:
            return self.note
        return f"{found.value:+.3f} ({self.note})" if found.low is None else f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


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
    def benchmark(self) -> tuple[str, str, str, str | None]:
        """What compared settings share: task, source of the gold data, split, and source of the split's rows."""
        return self.result.task, self.result.data, self.scores.name, self.scores.gold_source


def compare_settings(outcomes: Sequence[Outcome], configs: Sequence[Config], store: Store) -> list[Comparison]:
    """Every setting of a task and split against the reference, in the outcomes' order; none where there is one setting only.

    configs: the outcomes' own, in the same order. Predictions are read once a result, rows drawn once a setting. A comparison that
    cannot be made has the reason in its note: predictions are gone, or gold rows differ or allow no value.
    """
    by_benchmark: dict[tuple[str, str, str, str | None], list[_Setting]] = {}
    for setting in _settings(outcomes, configs):
        by_benchmark.setdefault(setting.benchmark, []).append(setting)
    compared = {benchmark: settings for benchmark, settings in by_benchmark.items() if len(settings) > 1}
    names = _names(list(compared.values()))
    found = [
        comparison
        for settings, named in zip(compared.values(), names, strict=True)
        for comparison in _against_reference(settings, named, store)
    ]
    return _corrected(found)


def _corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's p-values, each task by itself."""
    p_values: dict[str, dict[int, float]] = {}
    for number, comparison in enumerate(comparisons):
        if comparison.difference is not None and comparison.difference.p is not None:
            p_values.setdefault(comparison.task, {})[number] = comparison.difference.p
    corrected = {number: p for found in p_values.values() for number, p in zip(found, holm([*found.values()]), strict=True)}
    return [replace(comparison, p_holm=corrected.get(number)) for number, comparison in enumerate(comparisons)]


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
            first_draws=setting.group.num_draws,
            second_draws=settings[reference].group.num_draws,
            num_rows=setting.scores.num_eval,
            num_clusters=setting.scores.num_clusters,
            demo=setting.result.demo or settings[reference].result.demo,
            difference=difference,
            note=note,
            first_keys=result_keys(setting.group.results),
            second_keys=result_keys(settings[reference].group.results),
        )


def result_keys(results: Sequence[Result]) -> tuple[str, ...]:
    """The keys that identify a setting's runs; '' for results without keys."""
    return tuple(result.keys.get("result", "") for result in results)


def find_reference(results: Sequence[Result]) -> int:
    """The index of the plain arm, else 0; results: one a setting, in the sweep's order."""
    plain = [number for number, result in enumerate(results) if (result.method, result.prompt) == ("japagen", "base")]
    return min(plain, key=lambda number: results[number].shots, default=0)


def _resampled(setting: _Setting, store: Store) -> Resampled | str:
    """The setting's runs; or why they cannot be read."""
    task: Task = setting.config.task
    folders = [store.path("result", result.keys["result"]) for result in setting.group.results]
    try:
        return resample(task, [read_run(folder / setting.scores.predictions_file) for folder in folders], setting.group.draws)
    except (JapagenError, ValueError) as error:  # the table of a long sweep isn't lost over one result
        return str(error)


def _difference(first: Resampled | str, second: Resampled | str) -> tuple[Difference | None, str]:
    """The difference, or None and why."""
    for runs in (first, second):
        if isinstance(runs, str):
            return None, runs
    assert isinstance(first, Resampled)
    assert isinstance(second, Resampled)
    try:
        difference = compare(first, second)
    except JapagenError as error:
        return None, str(error)
    if difference is None:
        return None, "the gold rows allow no comparison"
    too_few = {"the setting": first.too_few, "the reference": second.too_few}
    found = ", ".join(f"{name} has {reason}" for name, reason in too_few.items() if reason)
    return difference, f"no test: {found}; two or more are needed on either side" if found else ""


def _names(benchmarks: Sequence[Sequence[_Setting]]) -> list[list[str]]:
    """Setting names for each benchmark: the method, and the fewest other settings that distinguish them."""
    described = [[_described(setting) for setting in own] for own in benchmarks]
    kept = tell_apart(described, _FIRST_NAMES, kept=["method.name"])
    defaults = {setting.name: value_text(setting.value) for setting in settings(Config()) if setting.name not in _FIRST_NAMES}
    found = []
    for own in described:
        differing = [[values.get(name) for name in kept] for values in own]
        names = [_name(values, kept[1:], defaults) for values in own]
        numbers = [
            f" ({differing[:number].count(values) + 1})" if differing.count(values) > 1 else "" for number, values in enumerate(differing)
        ]
        found.append([f"{name}{number}" for name, number in zip(names, numbers, strict=True)])
    return found


def _name(values: dict[str, str], kept: Sequence[str], defaults: dict[str, str]) -> str:
    """'japagen, shots=3, curate.judging=soften'; settings at their defaults are omitted."""
    shown = [name for name in kept if name in values and values[name] != defaults.get(name)]
    return ", ".join([values["method.name"], *(f"{name.removesuffix('.name')}={values[name]}" for name in shown)])


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


def _row(comparison: Comparison) -> list[Any]:
    names = [
        comparison.task,
        comparison.split,
        comparison.metric,
        comparison.first,
        comparison.second,
        comparison.first_seeds,
        comparison.second_seeds,
        comparison.first_draws,
        comparison.second_draws,
        comparison.num_rows,
        comparison.num_clusters,
    ]
    numbers = [None] * 6 if comparison.difference is None else [*asdict(comparison.difference).values()]
    significant = None if comparison.p_holm is None else comparison.is_significant
    return [*names, *numbers, comparison.p_holm, significant, comparison.note]
