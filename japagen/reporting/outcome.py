"""What an experiment of a sweep came to: its Result, or why there is none."""

from dataclasses import dataclass

from japagen.experiments.scoring import Result


@dataclass(frozen=True)
class Failure:
    """An experiment without a result, and why."""

    name: str
    task: str
    cause: str
    settings: str = ""
    """`results.settings_key` of the experiment: counts it with the other seeds of the same settings. Without it the name must do."""


Outcome = Result | Failure
