"""From a few replies to what a full run takes: replies, tokens, hours and money, as far as few replies allow.

Few replies give a range: from the highest to the lowest acceptance that fits them (95%). Duplicates grow with the number
of texts and come on top. Speed was measured with few requests open, and a run keeps many open, so hours are 'at most'.
"""

import math
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.config.schema import Config
from japagen.curation.select import Selector
from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.experiment import Experiment
from japagen.experiments.stages import sessions
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.generate import LEAST_BUDGET

NUM_LOWEST = 5
"""Labels whose acceptance is shown by itself, where the task has many."""
PAPER_NUM = 25_000
"""Texts per label in JapaGen's experiments."""


@dataclass(frozen=True)
class Turn:
    """What the requests of one turn took so far."""

    num_rows: int
    prompt_tokens: int
    completion_tokens: int

    @property
    def prompt_mean(self) -> float:
        """Prompt tokens per reply; a prompt that carries n replies is counted once."""
        return self.prompt_tokens / self.num_rows if self.num_rows else 0.0

    @property
    def completion_mean(self) -> float:
        return self.completion_tokens / self.num_rows if self.num_rows else 0.0


@dataclass(frozen=True)
class Measured:
    """Measurements from the stream's rows."""

    judged: dict[str, int]
    """Label -> replies judged (pairs: counting those whose first sentence was rejected)."""
    accepted: dict[str, int]
    turns: tuple[Turn, ...]
    """One for each turn of the task."""
    firsts_passing: float
    """Pairs: share of first sentences that get second ones; 1 else."""
    rows_per_s: float
    """Over all runs of this stream so far; 0 where none was timed."""


@dataclass(frozen=True)
class Projection:
    """What num_per_label texts of every label take."""

    num_per_label: int
    replies: int
    prompt_tokens: int
    completion_tokens: int
    hours: float | None
    dearest: int
    """Replies that the label with the lowest acceptance takes."""


def measure(experiment: Experiment, store: Store, rows: StreamRows, selector: Selector) -> Measured:
    """Counts over all rows of the stream in the store."""
    names = experiment.task.label_names
    turns = []
    for turn in range(experiment.task.num_turns):
        of_turn = [row for row in rows if row.turn == turn and row.finish_reason != "error"]
        tokens = sum(row.prompt_tokens for row in of_turn), sum(row.completion_tokens for row in of_turn)
        turns.append(Turn(len(of_turn), *tokens))
    firsts = [row for row in rows if row.turn == 0] if experiment.task.is_pair else []
    passing = [row for row in firsts if isinstance(selector.first_sentence(row), str)]
    return Measured(
        {name: selector.num_judged(name) for name in names},
        {name: selector.num_accepted(name) for name in names},
        tuple(turns),
        len(passing) / len(firsts) if firsts else 1.0,
        _rows_per_s(store, experiment.keys["stream"]),
    )


def _rows_per_s(store: Store, key: str) -> float:
    found = [session for session in sessions(store.path("stream", key)) if session["rows"]]
    seconds = sum(session["seconds"] for session in found)
    return sum(session["rows"] for session in found) / seconds if seconds else 0.0


def project(measured: Measured, num_per_label: int, acceptance: dict[str, float]) -> Projection:
    """For an acceptance (label -> share) that is taken to hold for all texts."""
    indices = [math.ceil(num_per_label / acceptance[name]) for name in measured.judged]
    is_pair = len(measured.turns) == 2
    counts = [max(indices), math.ceil(sum(indices) * measured.firsts_passing)] if is_pair else [sum(indices)]
    replies = sum(counts)
    prompt = sum(turn.prompt_mean * count for turn, count in zip(measured.turns, counts, strict=True))
    completion = sum(turn.completion_mean * count for turn, count in zip(measured.turns, counts, strict=True))
    hours = replies / measured.rows_per_s / 3600 if measured.rows_per_s else None
    return Projection(num_per_label, replies, round(prompt), round(completion), hours, max(indices))


def print_projection(config: Config, measured: Measured, console: Console) -> None:
    """Acceptance and tokens as measured, then the projections, each with what it rests on."""
    console.print()
    console.rule("[bold]what a run would take[/]", align="left")
    _print_measured(measured, console)
    barren = [name for name, count in measured.accepted.items() if not count]
    if barren:
        console.print(f"No projection: not one reply was accepted for {', '.join(barren)}; see the reasons above.", markup=False)
        return
    intervals = {name: wilson(measured.accepted[name], measured.judged[name]) for name in measured.judged}
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in ("texts per label", "replies", "prompt tokens", "completion tokens", "hours"):
        table.add_column(column, justify="right")
    lines = []
    for size in dict.fromkeys([config.num_per_label, PAPER_NUM]):
        least, most = (project(measured, size, {name: pair[end] for name, pair in intervals.items()}) for end in (1, 0))
        hours = "not timed" if most.hours is None else f"≤ {_duration(most.hours)}"
        pairs = [
            (least.replies, most.replies),
            (least.prompt_tokens, most.prompt_tokens),
            (least.completion_tokens, most.completion_tokens),
        ]
        table.add_row(f"{size:,}", *(f"{_count(low)} to {_count(high)}" for low, high in pairs), hours)
        lines += [_cost(config, least, most), *_warnings(config, most)]
    console.print(table)
    for line in lines:
        console.print(line, soft_wrap=True)
    console.print(_CAVEAT, style="dim", soft_wrap=True)


_CAVEAT = (
    "From the highest to the lowest acceptance that fits these replies (95%). Duplicates grow with the number of texts and come on top."
    " ≤: at the lowest acceptance and the speed of few open requests; a run keeps more open and is usually faster. Server starts and"
    " training are not in it."
)


def _print_measured(measured: Measured, console: Console) -> None:
    lowest = sorted(measured.judged, key=lambda name: measured.accepted[name] / max(1, measured.judged[name]))
    if len(lowest) > MANY_LABELS:
        total = f"{sum(measured.accepted.values()):,} of {sum(measured.judged.values()):,} replies accepted"
        console.print(f"all {len(lowest)} labels: {total}; those with the lowest shares:", soft_wrap=True)
    shown = lowest[:NUM_LOWEST] if len(lowest) > MANY_LABELS else list(measured.judged)
    for name in shown:
        if judged := measured.judged[name]:
            low, high = wilson(measured.accepted[name], judged)
            share = f"{measured.accepted[name] / judged:.0%} ({low:.0%} to {high:.0%} fit)"
            console.print(f"label {escape(name)}: {measured.accepted[name]} of {judged} replies accepted, {share}", soft_wrap=True)
    for number, turn in enumerate(measured.turns, 1):
        which = f"turn {number}: " if len(measured.turns) > 1 else ""
        if turn.num_rows and not turn.completion_tokens:
            console.print(f"{which}the server reports no token counts, so none are projected")
        elif turn.num_rows:
            means = f"{turn.prompt_mean:.1f} prompt and {turn.completion_mean:.1f} completion tokens a reply"
            console.print(f"{which}mean {means} (a prompt counts once a request)", soft_wrap=True)
    console.print(f"speed: {measured.rows_per_s:.1f} replies/s" if measured.rows_per_s else "speed: not measured")


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The Wilson score interval of a share, 95%."""
    from scipy.stats import binomtest

    interval = binomtest(successes, trials).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def _cost(config: Config, least: Projection, most: Projection) -> str:
    llm = config.llm
    parts = []
    if llm.price_per_gpu_hour is not None and most.hours is not None:
        parts.append(f"at most {most.hours * llm.gpus * llm.price_per_gpu_hour:,.2f} by llm.price_per_gpu_hour={llm.price_per_gpu_hour:g}")
    low, high = (llm.token_cost(end.prompt_tokens, end.completion_tokens) for end in (least, most))
    if low is not None and high is not None:
        prices = [f"llm.price_per_million_tokens={llm.price_per_million_tokens:g}"]
        if llm.price_per_million_completion_tokens is not None:
            prices.append(f"llm.price_per_million_completion_tokens={llm.price_per_million_completion_tokens:g}")
        parts.append(f"{low:,.2f} to {high:,.2f} by {' and '.join(prices)}")
    words = "; ".join(parts) or "no price in the YAML (llm.price_per_gpu_hour, llm.price_per_million_tokens)"
    return f"cost of {most.num_per_label:,} a label: {words}"


def _warnings(config: Config, projection: Projection) -> list[str]:
    """What would stop the run, at the lowest acceptance."""
    budget = max(LEAST_BUDGET, math.ceil(projection.num_per_label * config.synthesis.max_rows_factor))
    if projection.dearest <= budget:
        return []
    need = f"up to {projection.dearest:,} replies for its least accepted label"
    return [f"[yellow]{projection.num_per_label:,} a label may stop early: {need}, budget {budget:,} (synthesis.max_rows_factor)[/]"]


def _count(number: float) -> str:
    return f"{number / 1e6:,.1f} M" if number >= 1e6 else f"{number:,.0f}"


def _duration(hours: float) -> str:
    """In the unit that gives at least one of it."""
    for value, unit in ((hours, "h"), (hours * 60, "min")):
        if value >= 1:
            return f"{value:,.1f} {unit}"
    return f"{hours * 3600:,.1f} s"
