"""The table at the end of a run: one row an experiment, failures included, with the baselines beside each score."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.experiments.result import Failure, Outcome, Result
from japagen.reporting.comparisons import Comparison
from japagen.reporting.seeds import Aggregate, aggregate
from japagen.reporting.setting_names import DEMO_NOTE, TITLES, format_score
from japagen.reporting.worth import worths

__all__ = ["Failure", "print_results", "results_table"]


PLAIN_WIDTH = 210
"""Characters a line where the output is no terminal."""


COLUMNS = ("task", "split", "method", "prompt", "protocol", "llm", "model", "n/label", "rows", "steps", "contaminated", "seed")
SCORES = ("metric", "score", "majority", "best baseline", "n", "verdict")


def results_table(title: str, outcomes: Sequence[Outcome]) -> Table:
    """Rows in the given order; scores with their 95% intervals.

    rows: what the student was trained on (validation rows apart); steps: optimiser steps; contaminated: texts and gold train rows that
    match evaluation texts, dropped or kept; best baseline: the highest of the result's, by name; n: gold rows scored; verdict: whether the
    student learned anything. Splits scored beside
    `split` have a column each, of the same metric.
    """
    table = Table(title=title, title_justify="left", title_style="")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    further = list(dict.fromkeys(split.name for outcome in outcomes if isinstance(outcome, Result) for split in outcome.splits[1:]))
    for name in (*SCORES, *further):
        table.add_column(name, justify="right", overflow="fold")
    for outcome in outcomes:
        row = _failed_row(outcome) if isinstance(outcome, Failure) else _result_row(outcome)
        table.add_row(*row, *(_further_score(outcome, name) for name in further))
    return table


def print_results(outcomes: Sequence[Outcome], console: Console | None = None, comparisons: Sequence[Comparison] = ()) -> None:
    """Tables for each source of gold data, smoke data never beside published ones, then causes of failure and notes.

    comparisons: those of the sweep's settings, if any.
    """
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=PLAIN_WIDTH)
    results = [outcome for outcome in outcomes if isinstance(outcome, Result)]
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    for source in dict.fromkeys(result.data if result.split else None for result in results):
        title = f"{TITLES[source]}: scores with 95% bootstrap intervals over the gold rows" if source else "Without gold data"
        console.print(results_table(title, [result for result in results if (result.data if result.split else None) == source]))
        groups = [group for group in aggregate(outcomes) if group.data == source]
        if source is not None and any(group.varied for group in groups):
            console.print(seeds_table(source, groups))
        compared = [comparison for comparison in comparisons if comparison.data == source]
        if source is not None and compared:
            console.print(comparisons_table(source, compared))
    if failures:
        console.print(results_table("Failed", failures))
    worth = [found.line for found in worths(aggregate(outcomes))]
    for line in [*(f"failed: {failure.name}: {failure.cause}" for failure in failures), *_notes(results), *worth]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def seeds_table(source: str, groups: Sequence[Aggregate]) -> Table:
    """Rows in the given order, each over the runs that differ in seeds only; the title names the seeds that differ anywhere in it."""
    varied = dict.fromkeys(name for group in groups for name in group.varied)
    title = f"{TITLES[source]}: mean and sample standard deviation over {', '.join(varied)}"
    table = Table(title=title, title_justify="left", title_style="")
    for name in ("task", "split", "method", "prompt", "protocol", "llm", "model", "n/label", "seeds"):
        table.add_column(name, overflow="fold")
    for name in ("metric", "mean", "sd", "runs", "failed"):
        table.add_column(name, justify="right", overflow="fold")
    for group in groups:
        row = _result_row(group.results[0])
        mean, sd = ("–" if value is None else f"{value:.3f}" for value in (group.mean, group.sd))
        table.add_row(*row[:8], group.seeds_text, group.results[0].metric, mean, sd, str(len(group.scores)), str(group.num_failed))
    return table


def comparisons_table(source: str, comparisons: Sequence[Comparison]) -> Table:
    """Rows in the given order; `draws`: the setting's and the reference's."""
    title = f"{TITLES[source]}: differences from each task's reference, with 95% intervals over gold rows and draws (Holm within a task)"
    table = Table(title=title, title_justify="left", title_style="")
    for name in ("task", "split", "setting", "reference"):
        table.add_column(name, overflow="fold")
    for name in ("draws", "metric", "difference", "p", "p (Holm)", "significant"):
        table.add_column(name, justify="right", overflow="fold")
    for comparison in comparisons:
        names = [
            escape(name)
            for name in (comparison.task + ("*" if comparison.demo else ""), comparison.split, comparison.first, comparison.second)
        ]
        draws = f"{comparison.first_draws}, {comparison.second_draws}"
        table.add_row(*names, draws, comparison.metric, *_difference_cells(comparison))
    return table


def _difference_cells(comparison: Comparison) -> list[str]:
    difference, p_holm = comparison.difference, comparison.p_holm
    if difference is None or difference.p is None or p_holm is None:
        return [escape(comparison.difference_text), "–", "–", "–"]
    return [comparison.difference_text, _p_text(difference.p), _p_text(p_holm), "yes" if comparison.is_significant else "no"]


def _p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [f"{result.task}: scored on {result.gold_source}" for result in results if result.split]
    notes += [f"{result.task}, {result.protocol}: gold rows from {result.train_source}" for result in results if result.train_source]
    for result in results:
        if result.num_failed:
            notes.append(f"{result.name}: no usable answer to {result.num_failed} of {result.num_eval} rows, which count as wrong")
        notes += student_notes(result)
    if any(not result.split for result in results):
        notes.append("no gold: the task has no gold data, so there is a data set and a student, but no score")
    if any(result.demo for result in results):
        notes.append(DEMO_NOTE)
    return list(dict.fromkeys(notes))


def student_notes(result: Result) -> list[str]:
    """What a reader of the score must know of the student: that it learned nothing, that it was shown scored rows in part only."""
    notes = [f"{result.name}: {result.judged.words}"] if result.judged is not None and result.judged.is_amiss else []
    if result.num_cut:
        length = result.training.get("max_length")
        cut = f"{result.num_cut} of {result.num_eval} scored rows were cut to {length} tokens"
        notes.append(f"{result.name}: {cut}; a longer model.max_length reads more of them")
    return notes


def _result_row(result: Result) -> list[str]:
    sizes = [str(size) for size in (result.num_per_label, result.gold_per_label) if size is not None]
    beside = {name: score["value"] for name, scores in result.baselines.items() if (score := scores.get(result.metric)) is not None}
    best = max(beside, key=lambda name: beside[name], default=None)
    return [
        result.task + ("*" if result.demo else ""),
        result.split or "–",
        result.method + (escape(f": {result.options_text}") if result.options else ""),
        result.prompt or "–",
        result.protocol,
        result.llm or "–",
        result.model or "–",
        " + gold ".join(sizes) or "–",
        str(result.num_train),
        "–" if result.num_steps is None else str(result.num_steps),
        result.contaminated_text,
        str(result.seeds.get("seed", "–")),
        result.metric,
        format_score(result.primary) if result.split else "no gold",
        f"{beside['majority']:.3f}" if "majority" in beside else "–",
        "–" if best is None else f"{beside[best]:.3f} {best}",
        str(result.num_eval or "–"),
        "–" if result.judged is None else result.judged.status,
    ]


def _further_score(outcome: Outcome, name: str) -> str:
    if isinstance(outcome, Failure):
        return "–"
    found = (split for split in outcome.splits[1:] if split.name == name)
    return next((f"{format_score(split.metrics[outcome.metric])} (n={split.num_eval})" for split in found), "–")


def _failed_row(failure: Failure) -> list[str]:
    return [failure.task, *["–"] * (len(COLUMNS) - 1), "–", "failed", *["–"] * (len(SCORES) - 2)]
