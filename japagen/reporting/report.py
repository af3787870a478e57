"""The united results of sweeps: every format of `japagen report` is rendered from this data.

A Report holds runs (an experiment of a sweep: its configuration, and its Result or Failure) and what they come to: tables in the
paper's layout (rows: settings; columns: tasks), one for each source of gold data, so that smoke data never appear beside published data.
Reading sweeps' folders is `japagen.reporting.reading`'s.
"""

from dataclasses import dataclass
from functools import cached_property

from japagen.config.schema import Config
from japagen.experiments.result import Failure, Outcome, Result
from japagen.reporting.comparisons import Comparison
from japagen.reporting.seeds import Aggregate, aggregate
from japagen.sweeps.folder import Sweep


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
    """Runs of one or more sweeps, in their order; an experiment that several sweeps share appears once."""

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

    def config_of(self, result: Result) -> Config:
        """The configuration of one of `results`."""
        return next(run.config for run in self.runs if run.outcome is result)

    @property
    def is_demo(self) -> bool:
        """Whether demo models or smoke data take part anywhere."""
        return any(result.demo for result in self.results)
