"""The lines below the tables of every format: what marks mean, what was scored, what each setting saw, and what failed."""

from collections.abc import Sequence
from dataclasses import replace

from japagen.evaluation.baselines import BASELINES
from japagen.experiments.result import Failure
from japagen.reporting.comparisons import SIGNIFICANT
from japagen.reporting.formats.layout import REFERENCE
from japagen.reporting.formats.layout import SIGNIFICANT as MARK
from japagen.reporting.pivots import Pivot
from japagen.reporting.report import Report
from japagen.reporting.run_table import student_notes
from japagen.reporting.seeds import Aggregate
from japagen.reporting.setting_names import DEMO_NOTE
from japagen.reporting.worth import worths

DEMO = DEMO_NOTE.partition(" For real ones")[0]
NOT_THE_PAPERS = "japagen: our prompts and open LLMs, so these scores are not comparable with the paper's"


def notes(report: Report, pivots: Sequence[Pivot]) -> list[str]:
    """Sentences in plain text, in the order in which they are read."""
    return [
        *([DEMO] if report.is_demo else []),
        *_sweeps(report),
        *_marks(report, pivots),
        *_scored(report, pivots),
        *seeds_lines(report),
        *_seen(report),
        *_unanswered(report),
        *(note for result in report.results for note in student_notes(result)),
        *_baselines(pivots),
        *(worth.line for worth in worths(report.groups)),
        *([NOT_THE_PAPERS] if any(result.method == "japagen" for result in report.results) else []),
        *_lacking(report),
    ]


def _sweeps(report: Report) -> list[str]:
    chosen = [f"only experiments with {' and '.join(report.filters)}"] if report.filters else []
    made = [f", commit {sweep.commit[:10]}" if sweep.commit else "" for sweep in report.sweeps]
    return [
        f"sweep {sweep.name}: {_count(sweep.num_experiments, 'experiment')}, {sweep.created}{commit}"
        for sweep, commit in zip(report.sweeps, made, strict=True)
    ] + chosen


def _marks(report: Report, pivots: Sequence[Pivot]) -> list[str]:
    cells = [cell for pivot in pivots for row in pivot.rows for cell in row.cells if cell is not None]
    if not any(cell.is_reference for cell in cells):
        return []
    meaning = f"{REFERENCE}: what the other settings of its column are compared with; {MARK}: differs from it with p < {SIGNIFICANT}"
    lines = [f"{meaning}, over gold rows and draws of the data, Holm within a task"]
    return lines + [
        f"not tested: {comparison.task} {comparison.split}, {comparison.first} with {comparison.second}: {comparison.note}"
        for comparison in report.comparisons
        if comparison.p_holm is None
    ]


def _scored(report: Report, pivots: Sequence[Pivot]) -> list[str]:
    columns = dict.fromkeys(column for pivot in pivots for column in pivot.columns)
    lines = [
        f"{column.task} {column.split}: {column.metric}, n = {column.num_eval} gold rows of {column.source}"
        for column in columns
        if column.num_eval
    ]
    without = dict.fromkeys(result.task for result in report.results if not result.split)
    return lines + [f"{task}: the task has no gold data, so there is a student and no score" for task in without]


def seeds_lines(report: Report) -> list[str]:
    """'runs of japagen: seed 0, 1, 2; 3 draws': the seeds that a method was run with, and the draws of the data that its settings have; a
    cell with fewer runs names its own."""
    by_method: dict[str, list[Aggregate]] = {}
    for group in report.groups:
        by_method.setdefault(group.results[0].method, []).append(group)
    by_seeds: dict[str, list[str]] = {}
    for method, groups in by_method.items():
        seeds = Aggregate(tuple(replace(result, draw={}) for group in groups for result in group.results), 0).seeds_text
        draws = " or ".join(dict.fromkeys(group.draws_text for group in groups if group.draws_text))
        by_seeds.setdefault("; ".join(filter(None, [seeds, draws])), []).append(method)
    return [f"runs of {', '.join(methods)}: {seeds}" for seeds, methods in by_seeds.items()]


def _seen(report: Report) -> list[str]:
    """What the predictions may owe to the task's gold data."""
    protocols: dict[str, dict[str, dict[str, None]]] = {}
    for result in report.results:
        protocols.setdefault(result.protocol, {}).setdefault(result.task, {})[result.method] = None
    lines = []
    for protocol, tasks in protocols.items():
        by_methods: dict[str, list[str]] = {}
        for task, methods in tasks.items():
            by_methods.setdefault(", ".join(methods), []).append(task)
        lines += [f"protocol of {methods} on {', '.join(names)}: {protocol}" for methods, names in by_methods.items()]
    lines += [
        f"{result.task}: gold rows seen in training or prompts come from {result.train_source}"
        for result in report.results
        if result.train_source
    ]
    return list(dict.fromkeys(lines))


def _unanswered(report: Report) -> list[str]:
    counts: dict[tuple[str, int], list[str]] = {}
    for result in report.results:
        if result.num_failed:
            counts.setdefault((result.name.rpartition("-seed")[0], result.num_eval), []).append(str(result.num_failed))
    return [
        f"{name}: no usable answer to {', '.join(found)} of {rows} rows, which count as wrong" for (name, rows), found in counts.items()
    ]


def _baselines(pivots: Sequence[Pivot]) -> list[str]:
    present = dict.fromkeys(row.method for pivot in pivots for row in pivot.rows if row.is_baseline)
    if not present:
        return []
    listed = ", ".join(f"{name} is {BASELINES[name]}" for name in present)
    rows = f"the training rows of the setting marked {REFERENCE}, or of the first one that has any"
    return [f"baselines, on {rows}: {listed}"]


def _lacking(report: Report) -> list[str]:
    """Failures one by one; what is still to come by its cause."""
    failed, pending = list[str](), dict[str, int]()
    for run in report.runs:
        if isinstance(run.outcome, Failure) and run.is_pending:
            pending[run.outcome.cause] = pending.get(run.outcome.cause, 0) + 1
        elif isinstance(run.outcome, Failure):
            failed.append(f"failed: {run.outcome.name}: {run.outcome.cause}")
    return failed + [f"to come: {_count(number, 'experiment')}: {cause}" for cause, number in pending.items()]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
