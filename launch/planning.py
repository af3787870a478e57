"""What a list of experiments needs: each checked first, each stream once, LLM work grouped by server.

Everything that can be refused is refused here, before a server starts or a student trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from japagen.config.fields import select
from japagen.config.llm import LLM as LLMSettings
from japagen.config.schema import Config
from japagen.errors import ConfigError, JapagenError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.experiments.stages import is_complete
from japagen.hub.models import is_on_hub
from japagen.llm.build import choose_device
from japagen.store.keys import canonical_json
from japagen.store.store import Store
from japagen.sweeps.folder import JUDGE, LLM, STUDENT, WRITER, Planned, Unit
from japagen.tracking import run_name


@dataclass(frozen=True)
class Group:
    """LLM work that one server start serves."""

    experiments: tuple[Experiment, ...]
    """One for each data set to be cut (or set of answers), largest first, those of one stream together."""
    role: str = WRITER
    """folder.WRITER or JUDGE."""

    @property
    def llm(self) -> LLMSettings:
        """The one that starts the server; all of the group agree in it."""
        return self.experiments[0].llm_of(stages_of(self.experiments[0], self.role)[0])

    @property
    def device(self) -> str:
        return self.experiments[0].config.device


def stages_of(experiment: Experiment, role: str) -> list[str]:
    """The LLM's stages that a unit of the role makes, in order; a judge that is the writer too is no role of its own."""
    judging = [stage for stage in experiment.llm_stages if _is_other_llm(experiment, stage)]
    return judging if role == JUDGE else [stage for stage in experiment.llm_stages if stage not in judging]


def _is_other_llm(experiment: Experiment, stage: str) -> bool:
    writer = next(stage for stage in experiment.llm_stages if experiment.llm_of(stage) is experiment.config.llm)
    return experiment.llm_of(stage) is not experiment.config.llm and _server_setup(experiment, stage) != _server_setup(experiment, writer)


def plan_experiments(configs: Sequence[Config], planner: Planner | None = None) -> list[Experiment]:
    """All experiments, checked; ConfigError lists every one that can't be run."""
    planner = planner or Planner()
    experiments: list[Experiment] = []
    faults: dict[str, list[str]] = {}
    for number, config in enumerate(configs):
        try:
            experiments.append(planner.plan(config))
        except JapagenError as error:
            if len(configs) == 1:
                raise
            described = f"job {number} (task={config.task.name}, method={config.method.name}, shots={config.shots})"
            faults.setdefault(str(error), []).append(described)
    if faults:
        raise ConfigError(list_faults(faults, len(configs)))
    return experiments


def list_faults(faults: Mapping[str, Sequence[str]], num_experiments: int) -> str:
    """Each fault once, with the jobs that have it."""
    lines = [f"  {jobs[0]}{f' and {len(jobs) - 1} more' if len(jobs) > 1 else ''}: {fault}" for fault, jobs in faults.items()]
    return f"{sum(map(len, faults.values()))} of {num_experiments} experiments can't be run, so none was started:\n" + "\n".join(lines)


def pinned(experiment: Experiment) -> Config:
    """The configuration with commits in place of moving revisions, and with what running servers told, so that a node loads what the keys
    name and asks nobody."""
    config = experiment.config
    if experiment.has_student and is_on_hub(config.model.id):
        config = replace(config, model=replace(config.model, revision=experiment.encoder_revision))
    for stage in experiment.llm_stages:
        llm = experiment.llm_of(stage)
        if llm.base_url is not None or is_on_hub(llm.id):
            pinned_llm = replace(llm, revision=experiment.revision_of(stage))
            config = replace(config, llm=pinned_llm) if llm is experiment.config.llm else replace(config, judge=pinned_llm)
    return config


def missing_llm_work(experiments: Sequence[Experiment], store: Store) -> list[Group]:
    """Streams and answers that the store doesn't have far enough, grouped by server set-up, judges after those who write."""
    wanted: dict[str, Experiment] = {}
    for experiment in experiments:
        if experiment.needs_llm and store.find("result", experiment.keys["result"]) is None:
            wanted.setdefault(experiment.rows_key, experiment)
    groups: dict[tuple[str, str], list[Experiment]] = {}
    for experiment in wanted.values():
        missing = [stage for stage in experiment.llm_stages if not is_complete(experiment, stage, store)]
        for role in (WRITER, JUDGE):
            stages = [stage for stage in stages_of(experiment, role) if stage in missing]
            if stages:
                groups.setdefault((role, _server_setup(experiment, stages[0])), []).append(experiment)
    ordered = sorted(groups.items(), key=lambda group: group[0][0] == JUDGE)
    return [Group(tuple(sorted(group, key=_largest_first)), role) for (role, _), group in ordered]


def check_devices(groups: Sequence[Group]) -> None:
    """Raises ConfigError where a server can't run on this machine, naming the cure."""
    for group in groups:
        if group.llm.base_url is None:
            choose_device(group.llm, group.device, num_requested(group))


def num_requested(group: Group) -> int:
    """Replies that the group's stages take at least, whatever the store has of them."""
    wanted: dict[str, int] = {}
    for experiment in group.experiments:
        for stage in stages_of(experiment, group.role):
            num = num_rows(experiment) if stage == "stream" else num_questions(experiment, stage)
            wanted[experiment.keys[stage]] = max(wanted.get(experiment.keys[stage], 0), num)
    return sum(wanted.values())


def num_questions(experiment: Experiment, stage: str) -> int:
    """Texts that the LLM is asked about in a stage."""
    if stage == "answers":
        return len(experiment.asked_texts)
    return experiment.config.num_per_label * len(experiment.task.labels)


def num_rows(experiment: Experiment) -> int:
    """Replies that a data set takes when each is accepted: a pair's first sentence serves every label."""
    num = experiment.config.num_per_label
    return num * len(experiment.task.labels) + (num if experiment.task.is_pair else 0)


def _largest_first(experiment: Experiment) -> tuple[str, int]:
    return experiment.keys.get("stream", ""), -experiment.config.num_per_label


def _server_setup(experiment: Experiment, stage: str) -> str:
    """Stages with the same text here can be served by one server."""
    of_server = select(asdict(experiment.llm_of(stage)), LLMSettings, lambda facts: facts.of_server)
    return canonical_json([of_server, experiment.revision_of(stage), experiment.config.device])


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
