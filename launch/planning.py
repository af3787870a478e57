"""What a list of experiments needs: each checked first, each stream once, LLM work grouped by server.

Everything that can be refused is refused here, before a server starts or a student trains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from japagen.config import Config
from japagen.errors import ConfigError, JapagenError
from japagen.hub import is_on_hub
from japagen.keys import canonical_json
from japagen.llm.build import choose_device
from japagen.methods import Experiment, Planner, stream_is_complete
from japagen.store import Store


@dataclass(frozen=True)
class Group:
    """LLM work that one server start serves."""

    experiments: tuple[Experiment, ...]
    """One for each data set to be cut, largest first, those of one stream together."""

    @property
    def config(self) -> Config:
        """The configuration whose `llm` starts the server; all of the group agree in it."""
        return self.experiments[0].config


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
            told = f"job {number} (task={config.task.name}, method={config.method.name}, shots={config.shots})"
            faults.setdefault(str(error), []).append(told)
    if faults:
        raise ConfigError(list_faults(faults, len(configs)))
    return experiments


def list_faults(faults: Mapping[str, Sequence[str]], num_experiments: int) -> str:
    """Each fault once, with the jobs that have it."""
    lines = [f"  {jobs[0]}{f' and {len(jobs) - 1} more' if len(jobs) > 1 else ''}: {fault}" for fault, jobs in faults.items()]
    return f"{sum(map(len, faults.values()))} of {num_experiments} experiments can't be run, so none was started:\n" + "\n".join(lines)


def pinned(experiment: Experiment) -> Config:
    """The configuration with commits in place of moving revisions, so that a node loads what the keys name, without the hub."""
    config = experiment.config
    if is_on_hub(config.model.id):
        config = replace(config, model=replace(config.model, revision=experiment.encoder_revision))
    if experiment.needs_llm and config.llm.base_url is None and is_on_hub(config.llm.id):
        revision = experiment.identities["stream"]["llm"]["revision"]
        config = replace(config, llm=replace(config.llm, revision=revision))
    return config


def missing_llm_work(experiments: Sequence[Experiment], store: Store) -> list[Group]:
    """Streams that the store doesn't have far enough, grouped by server set-up."""
    wanted: dict[str, Experiment] = {}
    for experiment in experiments:
        if experiment.needs_llm and store.find("result", experiment.keys["result"]) is None:
            wanted.setdefault(experiment.keys["dataset"], experiment)
    groups: dict[str, list[Experiment]] = {}
    for experiment in wanted.values():
        if not stream_is_complete(experiment, store):
            groups.setdefault(_server_setup(experiment), []).append(experiment)
    return [Group(tuple(sorted(group, key=_largest_first))) for group in groups.values()]


def check_devices(groups: Sequence[Group]) -> None:
    """Raises ConfigError where a server can't run on this machine, naming the cure."""
    for group in groups:
        if group.config.llm.base_url is None:
            choose_device(group.config.llm, group.config.device)


def _largest_first(experiment: Experiment) -> tuple[str, int]:
    return experiment.keys["stream"], -experiment.config.num_per_label


def _server_setup(experiment: Experiment) -> str:
    """Experiments with the same text here can be served by one server."""
    config = experiment.config
    llm = asdict(config.llm)
    for per_request in ("name", "sampling", "chat_template_args", "system_role", "seen", "verified", "license", "license_note"):
        del llm[per_request]
    return canonical_json([llm, experiment.identities["stream"]["llm"]["revision"], config.device])
