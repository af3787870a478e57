"""From a report's runs to tables in the paper's layout: settings down, tasks across, one table for each source of gold data.

A row is a setting: method, prompt, shots, LLM, encoder, size, options. Where two settings of one task would be the same
row, the row also says in which other setting they differ. Failed runs are counted in the row of their configuration.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from japagen.config.schema import Config
from japagen.evaluation.baselines import BASELINES
from japagen.experiments.experiment import changed_options
from japagen.experiments.result import Failure, Result
from japagen.reporting.comparisons import Comparison, find_reference, result_keys
from japagen.reporting.report import Report, Run
from japagen.reporting.seeds import Aggregate, aggregate
from japagen.reporting.setting_names import format_size, named_settings, size_of, tell_apart


@dataclass(frozen=True)
class Column:
    """A task's split under its metric."""

    task: str
    split: str
    metric: str
    num_eval: int
    """Gold rows scored; 0 where no run came so far."""
    source: str | None = None
    """Which gold rows these are, in words."""


@dataclass(frozen=True)
class Cell:
    """One setting on one column."""

    mean: float | None
    sd: float | None
    """Sample standard deviation over seeds; None for one run."""
    seeds: str
    """'seed 0, 1, 2'."""
    num_runs: int
    """With a result."""
    num_failed: int
    demo: bool
    protocol: str
    p_holm: float | None = None
    """p of the difference from the task's reference, corrected within the task; None where it was not tested."""
    is_reference: bool = False
    num_pending: int = 0
    """Runs still to come, beside those counted in num_runs and num_failed."""
    keys: tuple[str, ...] = ()
    """Of the runs' results; none for baselines."""

    @property
    def is_significant(self) -> bool:
        """At 5%, after the correction."""
        return self.p_holm is not None and self.p_holm < 0.05


@dataclass(frozen=True)
class PivotRow:
    """One setting: a method with its prompt, shots, LLM and encoder; baselines are rows too (method 'majority', …)."""

    method: str
    prompt: str
    shots: str
    llm: str
    model: str
    size: str
    """Texts a label, gold rows: '2000', 'gold all', '2000 + gold 30'."""
    options: str
    cells: tuple[Cell | None, ...] = ()
    """In the columns' order; None where the sweep has no such experiment."""
    is_baseline: bool = False


@dataclass(frozen=True)
class Pivot:
    """The paper's table for one source of gold data."""

    data: str | None
    """published, files or sample; None for tasks without gold data."""
    columns: tuple[Column, ...]
    rows: tuple[PivotRow, ...]


NONE = "–"
ColumnKey = tuple[str, str, str, str | None]
"""A column's task, split, metric and gold rows."""


@dataclass(frozen=True)
class _Setting:
    """Runs that differ in their seeds only."""

    head: PivotRow
    """The setting's row, without cells."""
    data: str | None
    config: Config
    group: Aggregate | None
    """None where no run has a result."""
    num_failed: int
    num_pending: int
    first_run: int
    """Index of its first run in Report.runs."""

    @property
    def keys(self) -> tuple[str, ...]:
        return result_keys(self.group.results) if self.group else ()


def pivots(report: Report) -> list[Pivot]:
    """A table for each source of gold data, in the runs' order."""
    settings = sorted(_settings(report), key=lambda setting: setting.first_run)
    sources = dict.fromkeys(setting.data for setting in settings)
    return [_pivot(source, [setting for setting in settings if setting.data == source], report.comparisons) for source in sources]


def _settings(report: Report) -> list[_Setting]:
    """Every setting, with its failed runs."""
    numbers = {id(run.outcome): number for number, run in enumerate(report.runs)}
    lacking = _lacking(report)
    found = []
    for index, group in enumerate(report.groups):
        runs = lacking.pop(index, [])
        first = min(numbers[id(outcome)] for outcome in (*group.results, *(run.outcome for run in runs)))
        head = _head_of(group.results[0])
        found.append(_Setting(head, group.data, report.config_of(group.results[0]), group, *_counts(runs), first))
    without_gold = {group.results[0].task for group in report.groups if group.data is None}
    for runs in lacking.values():
        config, failure = runs[0].config, runs[0].outcome
        data = None if failure.task in without_gold else config.data.source
        found.append(_Setting(_head_of_config(config), data, config, None, *_counts(runs), numbers[id(failure)]))
    return found


def _lacking(report: Report) -> dict[object, list[Run]]:
    """Runs without a result by the number of their group; those of no group by what they have in common."""
    group_of: dict[tuple[str, str], object] = {}
    found: dict[object, list[Run]] = {}
    for run in report.runs:
        failure = run.outcome
        if isinstance(failure, Failure):
            same = (failure.settings, "" if failure.settings else failure.name.rpartition("-seed")[0])
            if same not in group_of:
                counted = [index for index, group in enumerate(aggregate([*report.results, failure])) if group.num_failed]
                group_of[same] = counted[0] if counted else same
            found.setdefault(group_of[same], []).append(run)
    return found


def _counts(runs: Sequence[Run]) -> tuple[int, int]:
    """(failed, pending)."""
    pending = sum(run.is_pending for run in runs)
    return len(runs) - pending, pending


def _head_of(result: Result) -> PivotRow:
    asked = result.llm is not None
    return PivotRow(
        method=result.method,
        prompt=(result.prompt or NONE) if asked else NONE,
        shots=str(result.shots) if asked else NONE,
        llm=result.llm or NONE,
        model=result.model or NONE,
        size=size_of(result) or NONE,
        options=result.options_text,
    )


def _head_of_config(config: Config) -> PivotRow:
    """The head of a setting that has no result."""
    kind = config.method.kind
    return PivotRow(
        method=kind.name,
        prompt=config.prompt.name if kind.has_llm else NONE,
        shots=str(config.shots) if kind.has_llm else NONE,
        llm=config.llm.name if kind.has_llm else NONE,
        model=config.model.name if kind.has_student else NONE,
        size=format_size(config.num_per_label if kind.writes else None, config.gold_per_label if kind.learns_gold else None) or NONE,
        options=", ".join(f"{name}={value}" for name, value in changed_options(config).items()),
    )


def _pivot(source: str | None, settings: Sequence[_Setting], comparisons: Sequence[Comparison]) -> Pivot:
    settings = _with_distinct_heads(settings)
    columns: dict[ColumnKey, Column] = {}
    entries: dict[ColumnKey, dict[PivotRow, _Setting]] = {}
    for setting in sorted(settings, key=lambda setting: setting.group is None):
        for key, column in _columns(setting, columns):
            columns.setdefault(key, column)
            entries.setdefault(key, {})[setting.head] = setting
    tasks = list(dict.fromkeys(setting.config.task.name for setting in settings))
    ordered = sorted(columns, key=lambda key: tasks.index(key[0]) if key[0] in tasks else len(tasks))
    compared = [comparison for comparison in comparisons if comparison.data == source]
    rows = [
        replace(head, cells=tuple(_cell(columns[key], entries[key].get(head), compared) for key in ordered))
        for head in _merge([[setting.head for setting in settings if setting.config.task.name == task] for task in tasks])
    ]
    beside = [_baseline(name, [(columns[key], list(entries[key].values())) for key in ordered], compared) for name in BASELINES]
    return Pivot(source, tuple(columns[key] for key in ordered), (*rows, *(row for row in beside if any(row.cells))))


def _columns(setting: _Setting, known: dict[ColumnKey, Column]) -> Iterable[tuple[ColumnKey, Column]]:
    """The columns of a setting with their keys; for a setting without a result all columns of its task."""
    if setting.group is None:
        config = setting.config
        here = [key for key in known if key[0] == config.task.name]
        split = config.data.split if setting.data else ""
        plain = (config.task.name, split, config.task.metric if setting.data else "", None)
        return [(key, known[key]) for key in here] or [(plain, Column(*plain[:3], 0))]
    result = setting.group.results[0]
    if result.split is None:
        return [((result.task, "", "", None), Column(result.task, "", "", 0))]
    columns = [Column(result.task, scores.name, result.metric, scores.num_eval, scores.gold_source) for scores in result.splits]
    return [((column.task, column.split, column.metric, column.source), column) for column in columns]


def _primary_key(setting: _Setting) -> ColumnKey:
    """The column key of the setting's primary split, as far as it is known."""
    if setting.group is None:
        return setting.config.task.name, setting.config.data.split, setting.config.task.metric, None
    result = setting.group.results[0]
    return result.task, result.split or "", result.metric if result.split else "", result.gold_source


def _with_distinct_heads(settings: Sequence[_Setting]) -> list[_Setting]:
    """Settings of one column get different heads: other differing settings join the options, and where none differs a number."""
    found = list(settings)
    for head in dict.fromkeys(setting.head for setting in settings):
        alike = [number for number, setting in enumerate(settings) if setting.head == head]
        by_column: dict[ColumnKey, list[int]] = {}
        for number in alike:
            by_column.setdefault(_primary_key(settings[number]), []).append(number)
        if max(len(numbers) for numbers in by_column.values()) > 1:
            named = {number: named_settings(settings[number].config) for number in alike}
            differing = tell_apart([[named[number] for number in numbers] for numbers in by_column.values()])
            for numbers in by_column.values():
                texts = [", ".join(f"{name}={named[number].get(name, NONE)}" for name in differing) for number in numbers]
                for index, number in enumerate(numbers):
                    again = texts[:index].count(texts[index])
                    parts = [head.options, texts[index], f"({again + 1})" if again else ""]
                    found[number] = replace(settings[number], head=replace(head, options=", ".join(filter(None, parts))))
    return found


def _merge(sequences: Sequence[Sequence[PivotRow]]) -> list[PivotRow]:
    """All heads once; each new head follows its predecessor in its own sequence, or precedes the next known head."""
    merged: list[PivotRow] = []
    for sequence in sequences:
        known = [merged.index(head) for head in sequence if head in merged]
        at = known[0] if known else len(merged)
        for head in sequence:
            if head in merged:
                at = merged.index(head) + 1
            else:
                merged.insert(at, head)
                at += 1
    return merged


def _cell(column: Column, setting: _Setting | None, compared: Sequence[Comparison]) -> Cell | None:
    if setting is None:
        return None
    group = setting.group
    if group is None:
        return Cell(None, None, "", 0, setting.num_failed, False, "", num_pending=setting.num_pending)
    found = [result.scores_on(column.split).metrics.get(result.metric) for result in group.results]
    scores = [score["value"] for score in found if score is not None]
    here = [
        comparison
        for comparison in compared
        if (comparison.task, comparison.split) == (column.task, column.split) and all(comparison.first_keys)
    ]
    return Cell(
        mean=statistics.fmean(scores) if scores else None,
        sd=statistics.stdev(scores) if len(scores) > 1 else None,
        seeds=group.seeds_text,
        num_runs=len(group.results),
        num_failed=setting.num_failed,
        demo=any(result.demo for result in group.results),
        protocol=", or ".join(dict.fromkeys(result.protocol for result in group.results)),
        p_holm=next((comparison.p_holm for comparison in here if comparison.first_keys == setting.keys), None),
        is_reference=any(comparison.second_keys == setting.keys for comparison in here),
        num_pending=setting.num_pending,
        keys=setting.keys,
    )


def _baseline(name: str, columns: Sequence[tuple[Column, Sequence[_Setting]]], compared: Sequence[Comparison]) -> PivotRow:
    """A baseline on each column, on the training rows of its reference; where that has none, of the first setting that has."""
    cells = tuple(_baseline_cell(name, column, settings, compared) for column, settings in columns)
    return PivotRow(name, NONE, NONE, NONE, NONE, NONE, "", cells, is_baseline=True)


def _baseline_cell(name: str, column: Column, settings: Sequence[_Setting], compared: Sequence[Comparison]) -> Cell | None:
    scored = [setting.group for setting in settings if setting.group is not None]
    if not scored or not column.num_eval:
        return None
    references = {comparison.second_keys for comparison in compared if (comparison.task, comparison.split) == (column.task, column.split)}
    marked = [number for number, group in enumerate(scored) if result_keys(group.results) in references]
    first = marked[0] if marked else find_reference([group.results[0] for group in scored])
    for group in [scored[first], *scored]:
        beside = [result.scores_on(column.split).baselines for result in group.results]
        found = [baselines[name][column.metric] for baselines in beside if name in baselines]
        scores = [score["value"] for score in found if score is not None]
        if scores:
            sd = statistics.stdev(scores) if len(set(scores)) > 1 else None
            is_demo = any(result.data == "sample" for result in group.results)
            return Cell(statistics.fmean(scores), sd, group.seeds_text, len(scores), 0, is_demo, "")
    return None
