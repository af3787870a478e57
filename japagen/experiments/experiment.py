"""One experiment: a checked configuration, its gold rows, and the keys of all its stages. `japagen.experiments.planning` makes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from japagen import gold
from japagen.config.fields import settings
from japagen.config.llm import LLM
from japagen.config.schema import NUM_TEMPLATES, Config
from japagen.experiments.result import short_name
from japagen.hub.models import is_on_hub, locate
from japagen.prompts.user_lines import KINDS as LINE_FILES
from japagen.prompts.writing import Prompting
from japagen.store.stages import LLM_STAGES
from japagen.synthesis.stream import Stream
from japagen.tasks import Attribute, Example, Task

Say = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """A checked configuration with its gold data and the keys of all its stages."""

    config: Config
    evaluation: gold.Split | None
    also_scored: dict[str, gold.Split]
    """Further splits that the student is scored on (Published.also_scored)."""
    train_gold: gold.Split | None
    unlabelled: tuple[tuple[str, ...], ...]
    """Texts without labels, for annotation and for estimating the label prior; none where nothing asks for them."""
    exemplars: dict[str, tuple[Example, ...]]
    encoder_revision: str
    identities: dict[str, dict[str, Any]] = field(repr=False)
    keys: dict[str, str]
    """stage -> key, of the stages that the method needs."""

    @property
    def task(self) -> Task:
        return self.config.task

    @cached_property
    def stream(self) -> Stream:
        """The stream that this experiment's data set is cut from."""
        prompt, synthesis, identity = self.config.prompt, self.config.synthesis, self.identities["stream"]
        lines = [Attribute(**identity["prompt"][name]) for name in LINE_FILES if getattr(prompt, name)]
        return Stream(
            self.keys["stream"], self.task, self.prompting, self.exemplars, synthesis.texts_per_request, identity,
            [*(self.task.attributes if prompt.name == "kadg" else []), *lines],
            prompt.variants, synthesis.temperatures, synthesis.verbalized, self.config.llm.stop_strings,
        )  # fmt: skip

    @property
    def needs_llm(self) -> bool:
        return bool(self.llm_stages)

    @property
    def llm_stages(self) -> tuple[str, ...]:
        """What an LLM makes for it, in this order."""
        return tuple(stage for stage in LLM_STAGES if stage in self.keys)

    @property
    def learns_gold(self) -> bool:
        return self.config.method.kind.learns_gold

    @property
    def draw(self) -> dict[str, int]:
        """The seeds that decide the data which the student learns from or the LLM reads; empty where every seed has the same data.

        A held-out tenth (gold_per_label=all) is no draw of the data: the student learns from all that there is.
        """
        config = self.config
        draws_gold = self.learns_gold and config.gold_per_label != "all"
        draws_texts = self.annotates and config.method.num_texts is not None
        draws_rows = draws_gold or draws_texts or (self.needs_llm and config.shots > 0)
        written = {"synthesis.seed": config.synthesis.seed} if "stream" in self.keys else {}
        return written | ({"shots_seed": config.shots_seed} if draws_rows else {})

    @property
    def annotates(self) -> bool:
        return self.config.method.kind.annotates

    @property
    def has_student(self) -> bool:
        return "model" in self.keys

    @property
    def rows_key(self) -> str:
        """Key of the LLM's final output: the data set, or where there is none the answers; '' without an LLM."""
        return self.keys.get("dataset") or self.keys.get("answers", "")

    def llm_of(self, stage: str) -> LLM:
        """The LLM that makes one of `llm_stages`."""
        return self.config.judge if stage == "judgements" and self.config.judge is not None else self.config.llm

    def revision_of(self, stage: str) -> str:
        """Its commit or checksum."""
        return str(self.identities[stage]["llm"]["revision"])

    @property
    def llm_revision(self) -> str:
        """The revision of `config.llm`."""
        return self.revision_of(next(stage for stage in self.llm_stages if self.llm_of(stage) is self.config.llm))

    @property
    def prompting(self) -> Prompting:
        """How prompts of `config.llm` are written."""
        llm = self.config.llm
        return Prompting(llm.system_role, self.config.prompt.name == "kadg", llm.continues)

    @property
    def template(self) -> int:
        """The template of the question that the LLM answers."""
        return template_of(self.config)

    @property
    def is_calibrated(self) -> bool:
        return self.config.method.calibrate and self.config.method.answer == "label"

    @property
    def asked_texts(self) -> tuple[tuple[str, ...], ...]:
        """What the LLM is asked about: the unlabelled texts, or for method=prompting the scored ones."""
        if self.annotates:
            return self.unlabelled
        scored = [split for split in (self.evaluation, *self.also_scored.values()) if split is not None]
        return tuple(example.texts for split in scored for example in split.examples)

    @property
    def options(self) -> dict[str, Any]:
        """Settings of the method and its options that aren't at their defaults, by dotted name."""
        return changed_options(self.config)

    @property
    def is_demo(self) -> bool:
        """Whether a demo model or smoke data take part, so that the result means nothing."""
        llms = any(self.llm_of(stage).demo for stage in self.llm_stages)
        encoder = self.has_student and self.config.model.demo
        return llms or encoder or (self.config.data.source == "sample" and self.evaluation is not None)

    @property
    def protocol(self) -> str:
        """What the predictions may owe to the task's gold train data, in words for tables."""
        config = self.config
        rows = "all rows" if config.gold_per_label == "all" else f"{config.gold_per_label} rows a label"
        if not config.method.kind.has_llm:
            return f"gold, {rows}"
        parts = [self._llm_protocol()]
        if self.annotates:
            source = "the user's" if config.data.unlabelled_file else "train"
            parts.append(f"{len(self.unlabelled)} {source} texts without labels")
        if config.curate.prior == "oracle":
            parts.append("ORACLE label prior from the scored rows")
        elif config.curate.prior == "estimated" and not self.annotates:
            parts.append("label prior from texts without labels")
        if self.learns_gold:
            parts.append(f"gold, {rows}")
        return " + ".join(parts)

    def _llm_protocol(self) -> str:
        config = self.config
        llm = _seen_of(self.task, config.llm.seen)
        encoder = _seen_of(self.task, config.model.seen) if self.has_student else ""
        if llm:
            return f"{config.shots} shots, LLM tuned on {llm}{', encoder too' if encoder else ''}"
        if encoder:
            return f"{config.shots} shots, encoder tuned on {encoder}"
        shots = f"{config.shots} shots" if config.shots else "zero-shot"
        return f"{shots}, LLM's tuning data unknown" if "unknown" in config.llm.seen else shots


def template_of(config: Config) -> int:
    """The template of the question: `method.template`, or by the seed."""
    return config.seed % NUM_TEMPLATES if config.method.template is None else config.method.template


def changed_options(config: Config) -> dict[str, Any]:
    """Dotted name -> value of the options that the method reads and that differ from their defaults."""
    kind, plain, found = config.method.kind, Config(), {}
    is_read = {
        "method": kind.answers or kind.mixes, "prompt": kind.writes, "synthesis": kind.writes,
        "curate": kind.makes_dataset, "train": kind.has_student,
        "method.gold_weight": kind.mixes, "method.num_texts": kind.annotates,
        **dict.fromkeys(("method.answer", "method.calibrate", "method.max_tokens"), kind.answers),
    }  # fmt: skip
    for group in ("method", "prompt", "curate", "train", "synthesis"):
        defaults = getattr(plain, group)
        for entry in settings(getattr(config, group)):
            name, facts = f"{group}.{entry.name}", entry.facts
            reads = is_read.get(name, is_read[group]) and facts.is_option and not facts.running and not facts.repeats
            if reads and entry.value != getattr(defaults, entry.name):
                found[name] = entry.value
    if config.judge is not None and config.curate.judging != "off":
        found["judge"] = config.judge.name
    return found


def _seen_of(task: Task, seen: Sequence[str]) -> str:
    """What `seen` says of the task, in words; '' where it says nothing."""
    splits = [entry.partition("/")[2] for entry in seen if entry.partition("/")[0] == task.name]
    if not splits:
        return ""
    return "texts made for this task" if splits[0] == "made" else f"this task's {splits[0] or 'data'} split"


def encoder_location(experiment: Experiment) -> tuple[str, str | None]:
    """Folder or hub id of the encoder, and the commit to load of the latter."""
    model_id = experiment.config.model.id
    return locate(model_id, "model.id"), experiment.encoder_revision if is_on_hub(model_id) else None


def llm_location(experiment: Experiment, stage: str) -> tuple[str, str | None]:
    """(model, revision) of a stage's LLM as the server loads it; a server that runs already gets the id as it is."""
    llm = experiment.llm_of(stage)
    if llm.base_url is not None:
        return llm.id, None
    return locate(llm.id, "llm.id"), experiment.revision_of(stage) if is_on_hub(llm.id) else None


def run_name(experiment: Experiment) -> str:
    """Short and readable, as `short_name` has it."""
    config = experiment.config
    written_by = (config.llm.name, config.shots, config.prompt.name) if experiment.needs_llm else None
    gold_per_label = config.gold_per_label if experiment.learns_gold else None
    model = config.model.name if experiment.has_student else None
    return short_name(config.task.name, config.method.name, written_by, gold_per_label, model, config.seed, experiment.options)
