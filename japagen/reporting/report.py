"""What sweeps found out, united: the one thing that every format of `japagen report` is drawn from.

A Report holds runs (an experiment of a sweep: its configuration, and its Result or Failure) and what they come to: tables in the
paper's layout (rows: settings; columns: tasks), one for each source of gold data, so that smoke data never stand beside published ones.
Reading sweeps' folders is `japagen.reporting.reading`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from japagen.config.schema import Config
from japagen.experiments.scoring import Result
from japagen.reporting.comparisons import Comparison
from japagen.reporting.outcome import Failure, Outcome
from japagen.reporting.result_files import Aggregate, aggregate


@dataclass(frozen=True)
class Sweep:
    """One sweep as its plan.json tells it."""

    name: str
    created: str
    """ISO 8601, UTC."""
    command: tuple[str, ...]
    """What was typed."""
    commit: str | None
    num_experiments: int


@dataclass(frozen=True)
class Run:
    """One experiment of a sweep."""

    sweep: str
    config: Config
    outcome: Outcome
    is_pending: bool = False
    """Without a result because it hasn't run to its end yet: no failure."""


@dataclass(frozen=True)
class Report:
    """Runs of one or more sweeps, in their order; an experiment that several sweeps have stands once."""

    sweeps: tuple[Sweep, ...]
    runs: tuple[Run, ...]
    comparisons: tuple[Comparison, ...] = ()
    filters: tuple[str, ...] = ()
    """'task=jnli,jsts': what the runs were chosen by, of all that the sweeps have."""

    @cached_property
    def results(self) -> tuple[Result, ...]:
        return tuple(run.outcome for run in self.runs if isinstance(run.outcome, Result))

    @cached_property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(run.outcome for run in self.runs if isinstance(run.outcome, Failure))

    @cached_property
    def groups(self) -> tuple[Aggregate, ...]:
        """Results united over seeds."""
        return tuple(aggregate([run.outcome for run in self.runs]))

    @cached_property
    def num_compared(self) -> int:
        """How many comparisons `p_holm` is corrected for."""
        return sum(one.p_holm is not None for one in self.comparisons)

    def config_of(self, result: Result) -> Config:
        """The configuration of one of `results`."""
        return next(run.config for run in self.runs if run.outcome is result)

    @property
    def is_demo(self) -> bool:
        """Whether demo models or smoke data take part anywhere."""
        return any(result.demo for result in self.results)


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
    """Of its difference from the task's reference, corrected over the report; None where it was not compared."""
    is_reference: bool = False
    num_pending: int = 0
    """Runs still to come, beside those counted in num_runs and num_failed."""

    @property
    def is_significant(self) -> bool:
        """At 5%, after the correction."""
        return self.p_holm is not None and self.p_holm < 0.05


@dataclass(frozen=True)
class Row:
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
    rows: tuple[Row, ...]


def pivots(report: Report) -> Sequence[Pivot]:
    """A table for each source of gold data, in the runs' order."""
    from japagen.reporting.pivots import make_pivots

    return make_pivots(report)
