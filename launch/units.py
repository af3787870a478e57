"""From checked experiments to units of work: one LLM unit a server set-up (or shard of it), one student a model not yet scored."""

from collections.abc import Sequence

from japagen.methods import Experiment
from japagen.store import Store
from japagen.tracking import run_name
from launch.folder import LLM, STUDENT, Planned, Unit
from launch.planning import missing_llm_work


def plan_units(experiments: Sequence[Experiment], store: Store, shards: int = 1) -> list[Unit]:
    """What is left to do, LLM units first. Experiments of one result share a student; what the store has needs no unit."""
    numbers = {id(experiment): number for number, experiment in enumerate(experiments)}
    units, fills = [], dict[str, tuple[str, ...]]()
    for group_number, group in enumerate(missing_llm_work(experiments, store)):
        ids = [f"llm-{group_number}" if shards == 1 else f"llm-{group_number}-{shard}" for shard in range(shards)]
        needed = tuple(numbers[id(experiment)] for experiment in group.experiments)
        name = f"{group.config.llm.name}, {len({experiment.keys['stream'] for experiment in group.experiments})} stream(s)"
        gpus = 0 if group.config.llm.base_url is not None else group.config.llm.gpus
        units += [Unit(id_, LLM, name, needed, gpus=gpus) for id_ in ids]
        fills |= {experiment.keys["dataset"]: tuple(ids) for experiment in group.experiments}
    seen = set()
    for number, experiment in enumerate(experiments):
        key = experiment.keys["result"]
        if key in seen or store.find("result", key) is not None:
            continue
        seen.add(key)
        needs = fills.get(experiment.keys.get("dataset", ""), ())
        units.append(Unit(f"student-{number:04d}", STUDENT, run_name(experiment), (number,), needs))
    return units


def planned(experiments: Sequence[Experiment]) -> list[Planned]:
    """The experiments as a sweep's plan names them."""
    return [Planned(run_name(experiment), experiment.task.name, experiment.keys) for experiment in experiments]
