"""The page's tables: the paper's layout, the runs, costs and break-even, as cells that the template writes.

A cell has what is shown and what it is sorted by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from japagen.experiments.result import Result
from japagen.reporting.costs import MONEY, BreakEven, Cost, break_evens
from japagen.reporting.html.grids import NOTHING, number
from japagen.reporting.html.plots import Spent
from japagen.reporting.pivots import Cell, Pivot, pivots
from japagen.reporting.report import Report, Run
from japagen.reporting.setting_names import TITLES, format_score, setting_names, size_of
from japagen.reporting.worth import worths


@dataclass(frozen=True)
class Shown:
    """One cell."""

    text: str
    sort: float | str | None = None
    """None: the text itself."""
    note: str = ""
    """Small, behind it."""
    marks: str = ""
    title: str = ""
    link: str = ""
    """The anchor in the page that the text links to."""
    is_best: bool = False


@dataclass(frozen=True)
class Heading:
    """One column."""

    text: str
    note: str = ""
    is_number: bool = False


@dataclass(frozen=True)
class Listing:
    """One table that can be sorted and filtered."""

    id: str
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[Shown, ...], ...]
    quiet: frozenset[int] = field(default_factory=frozenset)
    """Rows that are set back: baselines."""


def pivot_listings(report: Report) -> list[Listing]:
    """One for each source of gold data."""
    return [_pivot(pivot, f"results{index}") for index, pivot in enumerate(pivots(report))]


def _pivot(pivot: Pivot, id_: str) -> Listing:
    names = ("method", "prompt", "shots", "llm", "model", "size", "options")
    used = [name for name in names if name == "method" or any(getattr(row, name) not in ("", NOTHING, None) for row in pivot.rows)]
    headings = [Heading(name) for name in used]
    headings += [Heading(f"{column.task} ({column.split})", f"{column.metric}, n={column.num_eval:,}", True) for column in pivot.columns]
    best = [_best(pivot, index) for index in range(len(pivot.columns))]
    rows = [
        (
            *(Shown(getattr(row, name) or NOTHING) for name in used),
            *(_score_cell(cell, highest) for cell, highest in zip(row.cells, best, strict=True)),
        )
        for row in pivot.rows
    ]
    quiet = frozenset(index for index, row in enumerate(pivot.rows) if row.is_baseline)
    return Listing(id_, TITLES.get(pivot.data, str(pivot.data)), tuple(headings), tuple(rows), quiet)


def _best(pivot: Pivot, index: int) -> float | None:
    means = [cell.mean for row in pivot.rows if not row.is_baseline and (cell := row.cells[index]) is not None and cell.mean is not None]
    return max(means, default=None)


def _score_cell(cell: Cell | None, best: float | None) -> Shown:
    if cell is None:
        return Shown(NOTHING, "")
    marks = ("*" if cell.demo else "") + ("†" if cell.is_significant else "") + ("‡" if cell.is_reference else "")
    spread = "" if cell.sd is None else f" ± {cell.sd:.3f}"
    runs = f"×{cell.num_runs}" if cell.num_runs > 1 else ""
    failed = f" {cell.num_failed} failed" if cell.num_failed else ""
    failed += f" {cell.num_pending} to come" if cell.num_pending else ""
    p = "" if cell.p_holm is None else f"; p (Holm) = {cell.p_holm:.3g}"
    title = "; ".join(part for part in (cell.protocol, cell.seeds) if part) + p
    sort = "" if cell.mean is None else cell.mean
    is_best = cell.mean is not None and cell.mean == best
    return Shown(number(cell.mean), sort, f"{spread} {runs}{failed}".strip(), marks, title, is_best=is_best)


def runs_listing(report: Report) -> Listing:
    """A row a run, failures too, each with a link to what made it."""
    headings = [Heading(name) for name in ("run", "task", "method", "llm", "model", "size")]
    headings += [Heading("seed", is_number=True), Heading("score", "95% interval", True)]
    headings += [*(Heading(name, is_number=True) for name in ("n", "rows", "tokens", "seconds")), Heading("key")]
    rows = tuple(_run_row(index, run) for index, run in enumerate(report.runs))
    return Listing("runs", "Runs", tuple(headings), rows)


def _run_row(index: int, run: Run) -> tuple[Shown, ...]:
    outcome, nothing = run.outcome, Shown(NOTHING, "")
    name = Shown(outcome.name, link=f"run-{index}", marks="*" if isinstance(outcome, Result) and outcome.demo else "")
    if not isinstance(outcome, Result):
        state = Shown("to come" if run.is_pending else "failed", "", title=outcome.cause)
        return name, Shown(outcome.task), *[Shown(NOTHING)] * 4, nothing, state, *[nothing] * 4, Shown(NOTHING)
    score, seed = outcome.primary, outcome.seeds.get("seed")
    further = [f"{split.name} {format_score(split.metrics.get(outcome.metric))}" for split in outcome.splits[1:]]
    score_text = format_score(score) if outcome.split else "no gold"
    counts = (outcome.num_eval, outcome.num_train, sum(outcome.tokens.values()), sum(outcome.seconds.values()))
    return (
        name,
        Shown(f"{outcome.task} ({outcome.split})" if outcome.split else outcome.task),
        *(Shown(text or NOTHING) for text in (outcome.method, outcome.llm, outcome.model, size_of(outcome))),
        nothing if seed is None else Shown(str(seed), seed),
        Shown(score_text, "" if score is None else score["value"], "; ".join(further), title=outcome.metric),
        *(Shown(f"{count:,.0f}", count) for count in counts),
        Shown(outcome.keys.get("result", NOTHING)[:8]),
    )


def cost_listing(id_: str, caption: str, metric: str, spent: Sequence[Spent]) -> Listing:
    """What the settings of one task took, means over their runs."""
    headings = [Heading("#", is_number=True), Heading("setting"), Heading(metric, is_number=True)]
    headings += [Heading("tokens", is_number=True), Heading("LLM", "GPU s", True), Heading("training", "s", True)]
    headings += [Heading("money", is_number=True), Heading("1,000 texts", "s", True)]
    return Listing(id_, caption, tuple(headings), tuple(_cost_row(setting) for setting in spent))


def _cost_row(spent: Spent) -> tuple[Shown, ...]:
    cost = spent.cost
    return (
        Shown(NOTHING if spent.number is None else str(spent.number), "" if spent.number is None else spent.number),
        Shown(spent.name),
        Shown(number(spent.score), "" if spent.score is None else spent.score),
        *_cost_cells(cost),
    )


def _cost_cells(cost: Cost) -> tuple[Shown, ...]:
    money = Shown(NOTHING, "") if cost.money is None else Shown(amount(cost.money), cost.money)
    return (
        Shown(f"{cost.tokens:,}", cost.tokens),
        Shown(amount(cost.llm_s), cost.llm_s),
        Shown(amount(cost.training_s), cost.training_s),
        money,
        Shown(amount(1000 * cost.latency_s), cost.latency_s),
    )


def break_even_listing(report: Report) -> Listing | None:
    """Students against prompting; None where no task has both."""
    found = break_evens(report)
    if not found:
        return None
    headings = [Heading("task"), Heading("LLM"), Heading("student's setting"), Heading("score", is_number=True)]
    headings += [Heading("prompting", "its best setting"), Heading("score", is_number=True), Heading("break-even", "texts", True)]
    headings += [Heading("writing and training", "once", True), Heading("student", "1,000 texts", True)]
    headings += [Heading("prompting", "1,000 texts", True)]
    headings += [Heading(f"latency, {side}", "s, 1,000 texts", True) for side in ("student", "prompting")]
    students = setting_names([break_even.student for break_even in found])
    prompting = setting_names([break_even.prompting for break_even in found])
    rows = tuple(_break_even_row(*row) for row in zip(found, students, prompting, strict=True))
    return Listing("breakeven", "Break-even", tuple(headings), rows)


def _break_even_row(break_even: BreakEven, student: str, prompting: str) -> tuple[Shown, ...]:
    result, num = break_even.student.results[0], break_even.num_texts
    unit = "" if break_even.unit == MONEY else " s"
    scores = [Shown(number(group.mean), "" if group.mean is None else group.mean) for group in (break_even.student, break_even.prompting)]
    spent = [
        Shown(f"{amount(value)}{unit}", value)
        for value in (break_even.making, 1000 * break_even.student_use, 1000 * break_even.prompting_use)
    ]
    latencies = [Shown(amount(1000 * value), value) for value in (break_even.student_latency_s, break_even.prompting_latency_s)]
    return (
        Shown(result.task, marks="*" if result.demo else ""),
        Shown(result.llm or NOTHING),
        *(Shown(student), scores[0], Shown(prompting), scores[1]),
        Shown("never", float("inf")) if num is None else Shown(f"{num:,.0f}", num),
        *spent,
        *latencies,
    )


def worth_listing(report: Report) -> Listing | None:
    """How many gold rows each setting is worth; None where no encoder has a curve of gold sizes."""
    found = worths(report.groups)
    if not found:
        return None
    headings = [Heading("task"), Heading("setting"), Heading("encoder"), Heading("metric"), Heading("score", is_number=True)]
    headings += [Heading("gold rows", "of the score's interval", True), Heading("gold curve", "rows: score")]
    rows = tuple(
        (
            Shown(f"{worth.task} ({worth.split})", marks="*" if worth.demo else ""),
            *map(Shown, (worth.setting, worth.model, worth.metric)),
            Shown(number(worth.score), worth.score),
            Shown(str(worth.rows), worth.rows.rows, f"[{worth.low}, {worth.high}]"),
            Shown(", ".join(f"{size:,.0f}: {score:.3f}" for size, score in worth.curve)),
        )
        for worth in found
    )
    return Listing("worth", "Worth in gold rows", tuple(headings), rows)


def comparisons_listing(report: Report) -> Listing | None:
    """Differences from each task's reference; None where nothing was compared."""
    if not report.comparisons:
        return None
    headings = [Heading("task"), Heading("split"), Heading("setting"), Heading("reference"), Heading("draws"), Heading("metric")]
    headings += [Heading("difference", "95% interval", True), Heading("p (Holm)", is_number=True), Heading("significant")]
    rows = []
    for comparison in report.comparisons:
        found = comparison.difference
        value, p = Shown(comparison.difference_text or NOTHING, "" if found is None else found.value), Shown(NOTHING, "")
        if comparison.p_holm is not None:
            p = Shown("< 0.001" if comparison.p_holm < 0.001 else f"{comparison.p_holm:.3f}", comparison.p_holm)
        names = [
            Shown(comparison.task, marks="*" if comparison.demo else ""),
            *map(Shown, (comparison.split, comparison.first, comparison.second)),
            Shown(f"{comparison.first_draws}, {comparison.second_draws}", title=f"{comparison.first_seeds} | {comparison.second_seeds}"),
            Shown(comparison.metric),
        ]
        verdict = NOTHING if comparison.p_holm is None else "yes" if comparison.is_significant else "no"
        rows.append((*names, value, p, Shown(verdict)))
    return Listing("differences", "Differences from each task's reference", tuple(headings), tuple(rows))


def amount(value: float) -> str:
    """Seconds or money, to three digits that count: '1,234', '12.3', '0.00123'."""
    if value >= 1000:
        return f"{value:,.0f}"
    return "0" if value == 0 else f"{value:.3g}" if value >= 0.001 else f"{value:.2e}"
