"""From checked experiments to units of work: one LLM unit a server set-up (or shard of it), one student a result not yet there."""

from collections.abc import Sequence

from japagen.experiments.experiment import Experiment
from japagen.store.store import Store
from japagen.sweeps.folder import JUDGE, LLM, STUDENT, Planned, Unit
from japagen.tracking import run_name
from launch.planning import missing_llm_work, stages_of


def plan_units(experiments: Sequence[Experiment], store: Store, shards: int = 1) -> list[Unit]:
    """What is left to do, LLM units first. Experiments of one result share a student; what the store has needs no unit."""
    numbers = {id(experiment): number for number, experiment in enumerate(experiments)}
    units, fills = [], dict[str, tuple[str, ...]]()
    for group_number, group in enumerate(missing_llm_work(experiments, store)):
        prefix = f"{'judge' if group.role == JUDGE else 'llm'}-{group_number}"
        ids = [prefix if shards == 1 else f"{prefix}-{shard}" for shard in range(shards)]
        made_for = tuple(numbers[id(experiment)] for experiment in group.experiments)
        made = {experiment.keys[stage] for experiment in group.experiments for stage in stages_of(experiment, group.role)}
        needs = tuple(dict.fromkeys(id_ for experiment in group.experiments for id_ in fills.get(experiment.rows_key, ())))
        gpus = 0 if group.llm.base_url is not None else group.llm.gpus
        name = f"{group.llm.name}, {len(made)} stream(s) or sets of answers"
        units += [Unit(id_, LLM, name, made_for, needs, gpus, group.role, (shard, shards)) for shard, id_ in enumerate(ids)]
        for experiment in group.experiments:
            fills[experiment.rows_key] = (*fills.get(experiment.rows_key, ()), *ids)
    seen = set()
    for number, experiment in enumerate(experiments):
        key = experiment.keys["result"]
        if key in seen or store.find("result", key) is not None:
            continue
        seen.add(key)
        needs = fills.get(experiment.rows_key, ())
        units.append(Unit(f"student-{number:04d}", STUDENT, run_name(experiment), (number,), needs))
    return units


def planned(experiments: Sequence[Experiment]) -> list[Planned]:
    """The experiments as a sweep's plan names them."""
    return [Planned(run_name(experiment), experiment.task.name, experiment.keys) for experiment in experiments]
