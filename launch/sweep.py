"""A Hydra sweep as one plan: every job composed and checked first, then run together.

Called by hydra_plugins/japagen_launcher.py. Hydra starts jobs one by one and stops at the first that raises; here the
jobs share their LLM work, and all that can be finished is.
"""

from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from japagen.config.schema import Config
from japagen.errors import ConfigError, JapagenError
from japagen.reporting.run_table import Failure
from launch.compositions import Compositions
from launch.execute import execute
from launch.planning import list_faults, plan_experiments
from launch.search import check_searchable, is_search, judge_trials, read_space


def launch_sweep(
    compositions: Compositions, master: DictConfig, job_overrides: Sequence[Sequence[str]], first_job: int, executor: str
) -> list[JobReturn]:
    """Runs all jobs; each JobReturn holds a Result, or the error that Hydra raises at the end; in a search: what `judge_trials` gives."""
    if not job_overrides:
        raise ConfigError("the sweep has no job: one of its settings has no value, such as an empty range")
    configs = _compose(compositions, master, job_overrides, first_job)
    if is_search(master):
        outcomes = execute(configs, master.hydra.sweep.dir, executor, f"-trials-{first_job:03d}")
        return judge_trials(job_overrides, outcomes, first_job, read_space(master))
    outcomes = execute(configs, master.hydra.sweep.dir, executor)
    if not outcomes:  # plan=true or wait=false
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]
    num_failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
    returns = []
    for overrides, outcome in zip(job_overrides, outcomes, strict=True):
        job = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
        job.return_value = outcome
        if isinstance(outcome, Failure):
            job.status = JobStatus.FAILED
            job.return_value = JapagenError(f"{num_failed} of {len(outcomes)} experiments failed; see the table")
        returns.append(job)
    return returns


def check_search(compositions: Compositions, master: DictConfig) -> None:
    """Raises ConfigError where any value that a search may try can't be run, before the first trial; does nothing for other sweeps."""
    if is_search(master):
        configs = _compose(compositions, master, read_space(master).corners(), 0)
        check_searchable(configs[0])
        plan_experiments(configs)


def _compose(compositions: Compositions, master: DictConfig, job_overrides: Sequence[Sequence[str]], first_job: int) -> list[Config]:
    """The jobs' configurations; ConfigError lists every one that can't be run."""
    configs: list[Config] = []
    faults: dict[str, list[str]] = {}
    for number, overrides in enumerate(job_overrides, first_job):
        try:
            configs.append(compositions.config(master, overrides))
        except ConfigError as error:
            faults.setdefault(str(error), []).append(f"job {number} ({' '.join(overrides)})")
    if faults:
        raise ConfigError(list_faults(faults, len(job_overrides)))
    return configs
