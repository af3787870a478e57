"""Search for a student's settings by Optuna: what may be searched, what a trial is worth, and what was found.

A batch of trials is a sweep, launched like any other (launch/sweep.py). A trial's value is the student's score on its own validation
rows, which training chose its weights by; the split that is scored decides nothing. Values can be compared only where those rows are
the same, so all that decides them is fixed for a search.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from japagen.config.schema import Config
from japagen.errors import ConfigError, JapagenError
from japagen.experiments.result import Failure, Outcome
from launch.console import say

SWEEPER = "hydra_plugins.japagen_search.Search"
PLUGIN = "hydra_plugins.hydra_optuna_sweeper"
SEARCHED = ("train", "model")
"""Settings, and groups of settings, that leave the validation rows as they are."""


@dataclass(frozen=True)
class Space:
    """What a search varies and what it holds fixed, as command lines write it."""

    fixed: Mapping[str, str]
    dimensions: Mapping[str, Sequence[str]]
    """Setting -> all its choices, or both ends of its range."""

    def corners(self) -> list[list[str]]:
        """Overrides in which each value of each dimension occurs once, the others at their first."""
        first = {name: values[0] for name, values in self.dimensions.items()}
        changes = [{name: value} for name, values in self.dimensions.items() for value in values[1:]]
        return [[f"{name}={value}" for name, value in {**self.fixed, **first, **change}.items()] for change in ({}, *changes)]


def is_search(master: DictConfig) -> bool:
    """Whether the sweep's jobs are trials of a search."""
    return OmegaConf.select(master, "hydra.sweeper._target_") == SWEEPER


def read_space(master: DictConfig) -> Space:
    """The search's space from the command line and `hydra.sweeper.params`; ConfigError for what can't be searched."""
    written = [f"{name}={value}" for name, value in (master.hydra.sweeper.params or {}).items()]
    fixed: dict[str, str] = {}
    dimensions: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides([*written, *master.hydra.overrides.task]):
        name = override.get_key_element()
        if not override.is_sweep_override():
            fixed[name] = override.get_value_element_as_str()
            continue
        if override.key_or_group.partition(".")[0] not in SEARCHED:
            raise ConfigError(
                f"{override.input_line} can't be searched: it changes the rows that trials are judged by, or isn't the student's;"
                " allowed: train.* and model. Start a search for each value"
            )
        dimensions[name] = _values(override)
    dimensions = {name: values for name, values in dimensions.items() if name not in fixed}  # as the plugin has it
    if not dimensions:
        raise ConfigError("hydra/sweeper=optuna has nothing to search; give e.g. 'train.learning_rate=tag(log,interval(1e-5,5e-4))'")
    return Space(fixed, dimensions)


def _values(override: Override) -> list[str]:
    """All choices, or both ends of a range."""
    value = override.value()
    if isinstance(value, IntervalSweep):
        return [str(value.start), str(value.end)]
    if isinstance(value, RangeSweep):
        return [str(value.start), str(value.stop)]
    if override.is_choice_sweep() and "glob(" not in str(override.input_line):
        return list(override.sweep_string_iterator())
    raise ConfigError(f"{override.input_line} can't be searched; name its values: {override.key_or_group}=choice(…)")


def check_searchable(config: Config) -> None:
    """Raises ConfigError where an experiment gives a search nothing to judge by."""
    kind = config.method.kind
    if not kind.has_student:
        raise ConfigError("hydra/sweeper=optuna searches a student's settings, and method=prompting has no student")
    if not kind.has_llm and config.gold_per_label != "all":
        raise ConfigError(
            f"hydra/sweeper=optuna judges trials by their validation rows, and method=gold with gold_per_label={config.gold_per_label}"
            " has none; set gold_per_label=all"
        )
    if config.plan or not config.wait:
        given = "plan=true" if config.plan else "wait=false"
        raise ConfigError(f"{given} gives no scores, and hydra/sweeper=optuna chooses trials by those of earlier ones; leave it out")


def judge_trials(job_overrides: Sequence[Sequence[str]], outcomes: Sequence[Outcome], first_job: int, space: Space) -> list[JobReturn]:
    """A batch's report to Optuna: each trial's value, or why it has none; prints them.

    Raises JapagenError where no trial of the first batch has one: then there is nothing to search by.
    """
    values = [_value(outcome) for outcome in outcomes]
    say("search: scores on validation rows:")
    for number, (overrides, value) in enumerate(zip(job_overrides, values, strict=True), first_job):
        shown = " ".join(override for override in overrides if override.partition("=")[0] in space.dimensions)
        say(f"  trial {number}: {shown}: {value if isinstance(value, str) else f'{value:.4f}'}")
    if first_job == 0 and all(isinstance(value, str) for value in values):
        raise JapagenError(f"no trial of the search's first batch has a score on validation rows: {values[0]}")
    returns = []
    for overrides, value in zip(job_overrides, values, strict=True):
        failed = isinstance(value, str)
        job = JobReturn(overrides=overrides, status=JobStatus.FAILED if failed else JobStatus.COMPLETED)
        job.return_value = JapagenError("the trial has no value; see above") if failed else value
        returns.append(job)
    return returns


def _value(outcome: Outcome) -> float | str:
    """The score on validation rows, or why there is none."""
    if isinstance(outcome, Failure):
        return f"failed: {outcome.cause}"
    score = outcome.training.get("best_score")
    if score is None or not math.isfinite(score):
        return f"{outcome.num_valid} validation rows on which {outcome.metric} has no value; ask for more texts (num_per_label)"
    return float(score)


def make_optuna_sweeper(settings: Mapping[str, Any]) -> Sweeper:
    """The plugin's sweeper; a sampler without a seed gets 0, so that the same command draws the same trials and finds them done."""
    if find_spec(PLUGIN) is None:
        raise ConfigError("hydra/sweeper=optuna needs hydra-optuna-sweeper; pip install -c constraints.txt -e '.[search]'")
    sampler = OmegaConf.to_container(settings["sampler"])
    assert isinstance(sampler, dict)
    if sampler["_target_"].endswith(".GridSampler"):  # the plugin's ends in a traceback where its last trial has no value
        raise ConfigError("hydra/sweeper/sampler=grid isn't supported; a sweep tries every choice: python run.py -m train.epochs=2,4")
    if "seed" in sampler and sampler["seed"] is None:
        sampler["seed"] = 0
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fixed = {
        "direction": "maximize",
        "max_failure_rate": 1.0,  # a failed trial is one without a value
        "storage": None,
        "study_name": None,
        "search_space": None,
        "custom_search_space": None,
    }
    sweeper: Sweeper = instantiate({**settings, **fixed, "sampler": sampler, "_target_": f"{PLUGIN}.optuna_sweeper.OptunaSweeper"})
    return sweeper


def run_search(sweeper: Sweeper, arguments: list[str], folder: str) -> None:
    """All batches; prints the best trial's settings, which the plugin writes to `folder`/optimization_results.yaml."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    sweeper.sweep(arguments)
    path = Path(folder) / "optimization_results.yaml"
    found = OmegaConf.load(path)
    settings = " ".join(f"{name}={value}" for name, value in found.best_params.items())
    say(f"search: best on validation rows, {found.best_value:.4f}: {settings}")
    say(f"search: {path}")
