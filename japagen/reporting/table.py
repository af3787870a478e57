"""The table at the end of a run: one row an experiment, failures included, with the baselines beside each score."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from japagen.results import Result

DEMO_NOTE = (
    "Demo models or smoke data take part in rows marked *: their numbers mean nothing. For real ones, on a GPU:\n"
    "  python run.py task=jnli llm=qwen3-swallow-8b model=bert-base-japanese-v3 data=published num_per_label=2000"
)


@dataclass(frozen=True)
class Failure:
    """An experiment without a result, and why."""

    name: str
    task: str
    cause: str


def results_table(outcomes: Sequence[Result | Failure]) -> Table:
    """Rows in the given order; scores with their 95% intervals."""
    table = Table(title="Scores with 95% bootstrap intervals over the gold rows", title_justify="left", title_style="")
    for name in ("task", "split", "method", "protocol", "llm", "model", "n/label", "seed"):
        table.add_column(name, overflow="fold")
    for name in ("metric", "score", "majority", "overlap", "tfidf", "n"):
        table.add_column(name, justify="right", overflow="fold")
    for outcome in outcomes:
        table.add_row(*(_failed_row(outcome) if isinstance(outcome, Failure) else _result_row(outcome)))
    return table


def print_results(outcomes: Sequence[Result | Failure], console: Console | None = None) -> None:
    """The table, what is wrong with each failure, and the notes that the numbers need."""
    if console is None:
        console = Console()
        if not console.is_terminal:
            console = Console(width=180)
    console.print(results_table(outcomes))
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            console.print(f"failed: {outcome.name}: {outcome.cause}", markup=False, highlight=False, soft_wrap=True)
    if any(isinstance(outcome, Result) and outcome.demo for outcome in outcomes):
        console.print(DEMO_NOTE, markup=False, highlight=False, soft_wrap=True)
    if any(isinstance(outcome, Result) and outcome.primary is None for outcome in outcomes):
        console.print("'no gold': the task has no gold data, so there is a data set and a student, but no score.", soft_wrap=True)


def format_score(score: dict[str, float] | None) -> str:
    """'0.712 [0.690, 0.731]'."""
    return "–" if score is None else f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def _result_row(result: Result) -> list[str]:
    size = result.num_per_label if result.method != "gold" else result.gold_per_label
    beside = [result.baselines.get(name, {}).get(result.metric) for name in ("majority", "overlap", "tfidf")]
    return [
        result.task + ("*" if result.demo else ""),
        result.split or "–",
        result.method,
        result.protocol,
        result.llm or "–",
        result.model,
        str(size),
        str(result.seeds["seed"]),
        result.metric,
        format_score(result.primary) if result.split else "no gold",
        *("–" if score is None else f"{score['value']:.3f}" for score in beside),
        str(result.num_eval or "–"),
    ]


def _failed_row(failure: Failure) -> list[str]:
    return [failure.task, *["–"] * 7, "–", "failed", *["–"] * 4]
