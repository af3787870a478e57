"""From sweeps' folders to a Report: each planned experiment's configuration, and its result or why there is none.

In: folders under `<store>/sweeps` (`japagen.sweeps.folder`) and the store's results. An experiment that several
sweeps planned appears once. No gold file and no model is read, so a report can be made on a machine that has the store only.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from omegaconf.errors import OmegaConfBaseException

from japagen.config.schema import Config
from japagen.errors import ConfigError, JapagenError, StoreError
from japagen.experiments.result import Failure, Outcome, Result, read_result
from japagen.reporting.comparisons import compare_settings
from japagen.reporting.filters import Where, choose
from japagen.reporting.report import Report, Run
from japagen.reporting.setting_names import named_settings
from japagen.squeue import queue_states
from japagen.store.files import read_json
from japagen.store.keys import KEY_LENGTH
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, RUNNING, STUDENT, UNFINISHED, WAITING, Planned, Sweep, SweepFolder, explain_unknown_plan
from japagen.sweeps.overview import UnitRow, find_sweep, job_ids, read_overview, why_missing

GONE = "its result was there and is gone now; the same command makes it again"
NEVER_RAN = "waiting; the same command goes on"


@dataclass(frozen=True)
class _Found:
    """One planned experiment."""

    sweep: Sweep
    planned: Planned
    config: Config

    @property
    def key(self) -> str:
        """The key of its result."""
        return self.planned.keys["result"]


def find_sweeps(store: Store, names: Sequence[str]) -> list[SweepFolder]:
    """The sweeps that these names, or their beginnings, mean, each once; without names the latest. StoreError where there is none."""
    found = [find_sweep(store, name) for name in names] or [find_sweep(store, None)]
    return list({folder.name: folder for folder in found}.values())


def read_report(folders: Sequence[SweepFolder], store: Store, filters: Sequence[Where] = ()) -> Report:
    """The report of all runs of the sweeps that pass the filters.

    StoreError for an unreadable folder, ConfigError for configurations that don't load any more and for filters that fit nothing.
    """
    sweeps, found = [], []
    for folder in folders:
        sweep, experiments = _read_plan(folder)
        sweeps.append(sweep)
        configs = _read_configs(folder, experiments, sweep)
        found += [_Found(sweep, planned, config) for planned, config in zip(experiments, configs, strict=True)]
    if not found:
        raise StoreError(f"sweep {', '.join(sweep.name for sweep in sweeps)}: no experiment was planned, so there is nothing to report")
    chosen = _once([found[number] for number in choose(filters, [experiment.config for experiment in found])])
    runs = _with_settings(list(_runs(chosen, folders, store)))
    comparisons = compare_settings([run.outcome for run in runs], [run.config for run in runs], store)
    return Report(tuple(sweeps), tuple(runs), tuple(comparisons), tuple(condition.text for condition in filters))


def _read_plan(folder: SweepFolder) -> tuple[Sweep, list[Planned]]:
    with explain_unknown_plan(folder):
        sweep, experiments = folder.sweep(), folder.experiments()
        if any("result" not in experiment.keys for experiment in experiments):
            raise KeyError("result")
        return sweep, experiments


def _read_configs(folder: SweepFolder, experiments: Sequence[Planned], sweep: Sweep) -> list[Config]:
    """In the plan's order. To check one takes 50 ms, so of those that differ in their seeds only one is checked."""
    configs, checked = [], dict[str, Config]()
    for number, planned in enumerate(experiments):
        try:
            content = read_json(folder.root / "configs" / f"{number:05d}.json")
            seeds = {name: content.pop(name) for name in ("seed", "draw", "shots_seed") if name in content}
            stream_seed = content["synthesis"].pop("seed")
            text = json.dumps(content, sort_keys=True)
            if text not in checked:
                checked[text] = folder.config(number)
            config = checked[text]
            configs.append(replace(config, **seeds, synthesis=replace(config.synthesis, seed=stream_seed)))
        except (JapagenError, OmegaConfBaseException, KeyError, TypeError, AttributeError) as error:
            made = f" It was made at commit {sweep.commit}." if sweep.commit else ""
            raise ConfigError(
                f"sweep {folder.name}: the configuration of {planned.name} doesn't load any more: {str(error).splitlines()[0]}.{made} Run"
                f" the report from that version, or the sweep again with this one"
            ) from error
    return configs


def _once(found: Sequence[_Found]) -> list[_Found]:
    """Each result once, at its first position, as the latest sweep has it."""
    kept: dict[str, _Found] = {}
    for experiment in found:
        if experiment.key not in kept or experiment.sweep.created > kept[experiment.key].sweep.created:
            kept[experiment.key] = experiment
    return list(kept.values())


def _runs(found: Sequence[_Found], folders: Sequence[SweepFolder], store: Store) -> Iterator[Run]:
    by_name = {folder.name: folder for folder in folders}
    students: dict[str, dict[str, UnitRow]] = {}
    for experiment in found:
        name = experiment.sweep.name
        if store.find("result", experiment.key) is not None:
            yield Run(name, experiment.config, _read_outcome(experiment, store))
            continue
        if name not in students:
            students[name] = _students(by_name[name])
        cause, is_pending = _cause(experiment.planned, students[name].get(experiment.key), by_name[name])
        yield Run(name, experiment.config, Failure(experiment.planned.name, experiment.planned.task, cause), is_pending)


def _students(folder: SweepFolder) -> dict[str, UnitRow]:
    """Result's key -> the unit that should have made it."""
    queue = queue_states(job_ids(folder))  # before the folder is read: see japagen.sweeps.overview
    experiments = folder.experiments()
    rows = [row for row in read_overview(folder, queue).rows if row.unit.kind == STUDENT]
    return {experiments[row.unit.experiments[0]].keys["result"]: row for row in rows}


def _read_outcome(experiment: _Found, store: Store) -> Outcome:
    """The result, under its configuration's names; a Failure where it can't be read."""
    try:
        result = read_result(store.path("result", experiment.key))
    except (JapagenError, TypeError, AttributeError) as error:
        return Failure(experiment.planned.name, experiment.planned.task, f"its result can't be read: {error}")
    config = experiment.config
    llm, model = (None if name is None else now for name, now in ((result.llm, config.llm.name), (result.model, config.model.name)))
    return replace(result, task=config.task.name, llm=llm, model=model)


def _cause(planned: Planned, row: UnitRow | None, folder: SweepFolder) -> tuple[str, bool]:
    """Why there is no result, worded as in the table at the sweep's end, and whether it is still to come."""
    if row is None or row.state == DONE:
        return GONE, False
    if row.state in (WAITING, RUNNING, UNFINISHED):
        return _pending_cause(row), True
    rows_key = planned.keys.get("dataset") or planned.keys.get("answers", "")  # as Experiment.rows_key
    if rows_key in row.kept.faults:
        return f"{row.kept.faults[rows_key]}: {why_missing(folder, row.unit, rows_key)}", False
    return row.cause or row.state, False


def _pending_cause(row: UnitRow) -> str:
    if row.state == RUNNING:
        return "running"
    return NEVER_RAN if row.state == WAITING else f"{row.cause or row.state}; the same command goes on"


def _with_settings(runs: Sequence[Run]) -> list[Run]:
    """Failures get the settings key of results of the same configuration, seeds apart, so that they are counted with them.

    Where there is no such result (or an old one without a key), both get what their configurations have in common.
    """
    texts = [_without_seeds(run.config) for run in runs]
    known: dict[str, str] = {}
    for run, text in zip(runs, texts, strict=True):
        if isinstance(run.outcome, Result) and run.outcome.settings:
            known.setdefault(text, run.outcome.settings)
    return [
        run if run.outcome.settings else replace(run, outcome=_with(run.outcome, settings=known.get(text, text)))
        for run, text in zip(runs, texts, strict=True)
    ]


def _with(outcome: Outcome, **fields: Any) -> Outcome:
    return replace(outcome, **fields)


def _without_seeds(config: Config) -> str:
    content = json.dumps([config.method.name, config.data.source, named_settings(config)], ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]
