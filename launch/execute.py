"""A list of experiments, one or hundreds, from planning to the table: in this process, over a queue of workers, or on SLURM.

A failure stays with the experiments that need what failed; all others are finished, and the table lists every one.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from japagen.config.llm import LLM as LLMSettings
from japagen.config.schema import Config, Encoder
from japagen.errors import ConfigError
from japagen.experiments.budget import budget_warnings
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.experiments.result import Result
from japagen.experiments.scoring import find_result, settings_key
from japagen.reporting.comparisons import Comparison, compare_settings, write_comparisons
from japagen.reporting.failedrows import all_failed, failed_lines
from japagen.reporting.report import Report, Run
from japagen.reporting.result_files import write_sweep_results
from japagen.reporting.run_table import Failure, print_results
from japagen.store.files import explain_os_errors
from japagen.store.store import Store
from japagen.sweeps.folder import FAILED, LLM, STUDENT, State, SweepFolder, Unit, folder_name
from japagen.sweeps.overview import why_missing
from japagen.tracking import log_found, run_name
from japagen.tracking.login import is_agents_run
from launch.console import say, without_said
from launch.exitcode import ROWS_FAILED, note_failed_rows
from launch.local import find_slots, run_queue
from launch.naming import own_name, unused_name
from launch.planning import Group, check_devices, pinned, plan_experiments, plan_units, planned
from launch.printed_plan import print_plan
from launch.pruning import Pruner
from launch.slurm.run import check_jobs, run_on_slurm
from launch.work import run_unit

Outcome = Result | Failure


def execute(configs: Sequence[Config], output_dir: str, executor: str = "local", part: str = "") -> list[Outcome]:
    """Results or failures in the configurations' order; prints the table.

    The last two parts of Hydra's `output_dir` and `part` (of a search: its batch) name the sweep, in the store and in W&B.

    Nothing comes back where nothing was waited for (plan=true, wait=false). Raises ConfigError or DataError, before anything
    starts, when any of the experiments can't be run.
    """
    configs = [replace(config, store=str(Store(config.store).root)) for config in configs]
    _check_common(configs)
    first = configs[0]
    planner = Planner(tentative=first.plan, asks_servers=True)
    experiments = plan_experiments(configs, planner)
    store = Store(first.store)
    for note in planner.notes:
        say(note)
    for line in dict.fromkeys(line for experiment in experiments for line in (*_gold_lines(experiment), *code_lines(experiment))):
        say(line)
    for line in budget_warnings(experiments):
        say(line)
    units = plan_units(experiments, store, first.shards)
    if first.plan:
        print_plan(experiments, units, store, planner.unknown)
        return []
    name, output_dir = folder_name("-".join(Path(output_dir).parts[-2:]) + part), str(Path(output_dir).absolute())
    if executor == "slurm":
        return _on_slurm(experiments, units, store, name, output_dir)
    check_devices([Group(tuple(experiments[number] for number in unit.experiments), unit.role) for unit in units if unit.kind == LLM])
    slots = find_slots(first, units)
    folder = _local_folder(experiments, units, store, name, output_dir)
    _log_all_found(experiments, store, folder.name)
    pruner = Pruner(experiments, store)
    if len(slots) > 1:
        run_queue(folder, units, slots, pruner.after)
    else:
        _run_here(folder, units, experiments, store, pruner)
    pruner.after_all()
    return finish(folder, units, experiments, store)


def _local_folder(experiments: Sequence[Experiment], units: Sequence[Unit], store: Store, name: str, output_dir: str) -> SweepFolder:
    """The sweep's folder with its plan written; says so where the name is another sweep's."""
    own = own_name(store, name, output_dir, planned(experiments))
    if own != name:
        say(f"this sweep is called {own}: {name} has another hydra.sweep.dir (hydra.run.dir), or experiments that this one lacks")
    return SweepFolder.create(store, own, [pinned(experiment) for experiment in experiments], planned(experiments), units, output_dir)


def _log_all_found(experiments: Sequence[Experiment], store: Store, group: str) -> None:
    """Tells a W&B agent of results that were there already: it waits for the score of each run that it starts."""
    for experiment in experiments if is_agents_run() else ():
        if (found := find_result(experiment, store)) is not None:
            log_found(experiment, found, group, store.wandb)


def _check_common(configs: Sequence[Config]) -> None:
    """Raises ConfigError where experiments differ in what can only be settled for the sweep as a whole."""
    for name in ("store", "plan", "workers", "shards", "pack", "wait"):
        values = list(dict.fromkeys(getattr(config, name) for config in configs))
        if len(values) > 1:
            raise ConfigError(f"{name}={','.join(map(str, values))}: one value holds for a whole sweep; start a sweep for each")


def _run_here(folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store, pruner: Pruner) -> None:
    """Unit by unit in this process: LLM units come first, and each stops its server before the next begins."""
    meanwhile = load_training if any(experiment.has_student for experiment in experiments) else None
    for unit in units:
        state = run_unit(folder, unit, [experiments[number] for number in unit.experiments], store, meanwhile)
        if state.state == FAILED and unit.kind == STUDENT:  # an LLM's faults were said as they happened
            say(without_said(f"{unit.name}: failed: {state.cause}"))
        pruner.after(unit)


def load_training() -> None:
    """Imports what students need, which takes seconds: while a server starts they cost nothing.

    What it sets for OpenMP it has read by then; a server that starts later gets the environment as it was.
    """
    before = os.environ.get("OMP_WAIT_POLICY")
    import_module("japagen.training.student")
    if before is None:
        os.environ.pop("OMP_WAIT_POLICY", None)


def _on_slurm(experiments: Sequence[Experiment], units: Sequence[Unit], store: Store, name: str, output_dir: str) -> list[Outcome]:
    check_jobs(experiments)
    name, pruner = unused_name(store, name), Pruner(experiments, store)
    folder = SweepFolder.create(store, name, [pinned(experiment) for experiment in experiments], planned(experiments), units, output_dir)
    _log_all_found(experiments, store, folder.name)
    if not run_on_slurm(folder, units, experiments, store, pruner.after):
        return []
    pruner.after_all()
    return finish(folder, units, experiments, store)


def finish(folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store) -> list[Outcome]:
    """What every experiment came to, printed and written into the sweep's folder."""
    students = {experiments[unit.experiments[0]].keys["result"]: unit for unit in units if unit.kind == STUDENT}
    outcomes = [outcome_of(folder, students.get(experiment.keys["result"]), experiment, store) for experiment in experiments]
    comparisons = compare_settings(outcomes, [experiment.config for experiment in experiments], store)
    shown = [replace(one, cause=without_said(one.cause)) if isinstance(one, Failure) else one for one in outcomes]
    print_results(shown, comparisons=comparisons)
    files = []
    if len(outcomes) > 1:
        files = [*write_sweep_results(outcomes, folder.root), *write_comparisons(comparisons, folder.root)]
        files.append(_write_page(folder, experiments, outcomes, comparisons, store))
    for line in [*_locations(outcomes, store), *(f"results: {path}" for path in files)]:
        say(line)
    tell_failed_rows(experiments, store, is_done=not failures(outcomes))
    return outcomes


def tell_failed_rows(experiments: Sequence[Experiment], store: Store, is_done: bool) -> None:
    """Lists what servers refused for good. `is_done`: the exit code says so too, but not to a W&B agent, whom a few that aren't 0 stop."""
    if not (found := all_failed(experiments, store)):
        return
    for line in failed_lines(found, store):
        say(line)
    if is_done and not is_agents_run():
        note_failed_rows()
        say(f"exit code {ROWS_FAILED}: all is done but for these rows")


def _write_page(
    folder: SweepFolder, experiments: Sequence[Experiment], outcomes: Sequence[Outcome], comparisons: Sequence[Comparison], store: Store
) -> Path:
    """The sweep's report; experiments with the same result are in it once."""
    from japagen.reporting.html.page import write_page

    runs = {
        experiment.keys["result"]: Run(folder.name, experiment.config, outcome)
        for experiment, outcome in zip(experiments, outcomes, strict=True)
    }
    with explain_os_errors(folder.page):
        write_page(Report((folder.sweep(),), tuple(runs.values()), tuple(comparisons)), store, folder.page)
    return folder.page


def outcome_of(folder: SweepFolder, unit: Unit | None, experiment: Experiment, store: Store) -> Outcome:
    """The store's result, or why there is none; `unit`: the student that should have made it."""
    if (done := find_result(experiment, store)) is not None:
        return done
    if unit is None:
        cause = "its result was there when the sweep began and is gone now; the same command makes it again"
        return Failure(run_name(experiment), experiment.task.name, cause, settings_key(experiment))
    return Failure(unit.name, experiment.task.name, _cause(folder, unit, experiment, folder.state(unit.id)), settings_key(experiment))


def _cause(folder: SweepFolder, unit: Unit, experiment: Experiment, state: State) -> str:
    if experiment.rows_key in state.faults:
        return f"{state.faults[experiment.rows_key]}: {why_missing(folder, unit, experiment.rows_key)}"
    return state.cause or f"{state.state}; the same command goes on"


def failures(outcomes: Sequence[Outcome]) -> list[Failure]:
    """The outcomes without a result."""
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def _locations(outcomes: Sequence[Outcome], store: Store) -> list[str]:
    """Where to find what was made: each artifact of a single experiment, the store of several."""
    if len(outcomes) == 1 and isinstance(outcomes[0], Result):
        return [f"{stage}: {store.path(stage, key)}" for stage, key in outcomes[0].keys.items()]
    return [f"store: {store.root}"]


def _gold_lines(experiment: Experiment) -> list[str]:
    """What gold data take part, under which licence, and how their files were read."""
    lines = []
    for use, split in (("scored on", experiment.evaluation), ("gold rows seen in training or prompts from", experiment.train_gold)):
        if split is not None:
            lines.append(f"{experiment.task.name}: {use} {split.source}, {len(split.examples)} rows, licence {split.license}")
            lines += [f"{experiment.task.name}: {note}" for note in split.notes]
    return lines


def code_lines(experiment: Experiment) -> list[str]:
    """A warning for each model whose repository's own code runs here."""
    llms = [(experiment.llm_of(stage), experiment.revision_of(stage)) for stage in experiment.llm_stages]
    models: list[tuple[LLMSettings | Encoder, str]] = [(llm, revision) for llm, revision in llms if llm.base_url is None]
    if experiment.has_student:
        models.append((experiment.config.model, experiment.encoder_revision))
    return [
        f"warning: trust_remote_code=true: code from the repository of {model.id} at {revision} runs on this machine"
        for model, revision in models
        if model.trust_remote_code
    ]
