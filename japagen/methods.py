"""One experiment: which stages its method needs, their keys, and how each is made.

`plan_experiment` reads the gold data, checks what only they can tell, and fixes every key before anything expensive
starts. `fill_stream` does the LLM's part, `training_rows` gives what the student learns from; both do nothing when the store has their
work. The student and its score are `japagen.results`'.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from japagen import gold, keys
from japagen.config import Config
from japagen.curation.contamination import EvaluationTexts
from japagen.curation.dataset import Dataset, dataset_card, make_dataset, read_examples, write_dataset
from japagen.curation.select import Selector
from japagen.errors import ConfigError, DataError, JapagenError, MissingTextsError
from japagen.evaluation import METRICS_VERSION
from japagen.hub import is_on_hub, locate, resolve_revision
from japagen.keys import canonical_json
from japagen.llm.client import Client
from japagen.llm.context import check_context
from japagen.prompts import Message, Prompting
from japagen.store import Store, explain_os_errors
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import Generator, Progress
from japagen.synthesis.stream import Stream, StreamRows, open_rows
from japagen.tasks import Example, Task
from japagen.training.words import check_splitter

UNRESOLVED = "unresolved"
"""Stands for a commit that can't be found, in plans that are only looked at."""
SERVED = "as served"
"""Revision of an LLM behind `llm.base_url` whose YAML names none."""
HELD_OUT = 0.1
"""Share of gold train that a gold arm selects on; the scored split is never seen before the score."""
SESSIONS = "sessions.jsonl"
"""In a stream's folder: one line for each run over it, with its seconds, rows and tokens."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Experiment:
    """A checked configuration with its gold data and the keys of all its stages."""

    config: Config
    evaluation: gold.Split | None
    also_scored: dict[str, gold.Split]
    """Further splits that the student is scored on (Published.also_scored)."""
    train_gold: gold.Split | None
    exemplars: dict[str, tuple[Example, ...]]
    encoder_revision: str
    identities: dict[str, dict[str, Any]] = field(repr=False)
    keys: dict[str, str]
    """stage -> key; 'stream' and 'dataset' only where an LLM writes the rows."""

    @property
    def task(self) -> Task:
        return self.config.task

    @cached_property
    def stream(self) -> Stream:
        """The stream that this experiment's data set is cut from."""
        prompting = Prompting(self.config.llm.system_role, self.config.prompt.name == "kadg")
        n = self.config.synthesis.texts_per_request
        return Stream(self.keys["stream"], self.task, prompting, self.exemplars, n, self.identities["stream"])

    @property
    def needs_llm(self) -> bool:
        return "stream" in self.keys

    @property
    def is_demo(self) -> bool:
        """Whether a demo model or smoke data take part, so that the result means nothing."""
        llm = self.needs_llm and self.config.llm.demo
        return llm or self.config.model.demo or (self.config.data.source == "sample" and self.evaluation is not None)

    @property
    def protocol(self) -> str:
        """What the student may have seen of the task's gold train data, in words for tables."""
        config = self.config
        if config.method.name == "gold":
            return "gold, all rows" if config.gold_per_label == "all" else f"gold, {config.gold_per_label} rows a label"
        llm, encoder = (_seen_of(self.task, seen) for seen in (config.llm.seen, config.model.seen))
        if llm:
            return f"{config.shots} shots, LLM tuned on {llm}{', encoder too' if encoder else ''}"
        if encoder:
            return f"{config.shots} shots, encoder tuned on {encoder}"
        shots = f"{config.shots} shots" if config.shots else "zero-shot"
        return f"{shots}, LLM's tuning data unknown" if "unknown" in config.llm.seen else shots


def _seen_of(task: Task, seen: Sequence[str]) -> str:
    """What `seen` says of the task, in words; '' where it says nothing."""
    splits = [entry.partition("/")[2] for entry in seen if entry.partition("/")[0] == task.name]
    if not splits:
        return ""
    return "texts made for this task" if splits[0] == "made" else f"this task's {splits[0] or 'data'} split"


class Planner:
    """Plans experiments, doing once what they share: reading gold rows, drawing from them, checking prompts against the context."""

    def __init__(self, tentative: bool = False) -> None:
        """`tentative`: for a look ahead only; what can't be had now (a model's commit, a publisher's file) gets a placeholder, and
        `unknown` says why."""
        self._known: dict[str, Any] = {}
        self._tentative = tentative
        self.unknown: list[str] = []

    def plan(self, config: Config) -> Experiment:
        """Reads gold data, draws exemplars, resolves revisions and fixes all keys; raises before anything is made."""
        task, method = config.task, config.method.name
        where = canonical_json([asdict(task), asdict(config.data)])
        evaluation = self._gold(f"eval {where}", lambda: gold.read_eval(task, config.data))
        also_scored = self._gold(f"also {where}", lambda: gold.read_also_scored(task, config.data)) or {}
        needs_train = method == "gold" or config.shots > 0
        train_gold = self._gold(f"train {where}", lambda: gold.read_train(task, config.data)) if needs_train else None
        if needs_train and train_gold is None and not self.unknown:
            why = "method=gold" if method == "gold" else f"shots={config.shots}"
            raise DataError(f"task {task.name!r}: {why} needs labelled train rows, and there are none; set data=files data.train_file=FILE")
        exemplars: dict[str, tuple[Example, ...]] = {}
        if method == "japagen" and needs_train and train_gold is None:
            texts = (f"{UNRESOLVED} {config.shots} {config.shots_seed}",) * (2 if task.is_pair else 1)
            exemplars = {task.labels[0].name: (Example(texts, task.labels[0].name),)}
        elif method == "japagen" and train_gold is not None:
            drawn = f"shots {config.shots} {config.shots_seed} {where}"
            exemplars = self._once(drawn, lambda: gold.draw_exemplars(task, train_gold, config.shots, config.shots_seed))
        check_splitter(config.model)
        locate(config.model.id, "model.id")
        encoder_revision = self._revision(partial(resolve_revision, config.model.id, config.model.revision, "model.id"), config.model.id)
        rows = ""
        if method == "gold":
            rows = UNRESOLVED
        if method == "gold" and train_gold is not None:
            drawn = f"gold {config.gold_per_label} {config.shots_seed} {where}"
            rows = self._once(drawn, partial(_gold_rows_key, config, train_gold))
        generator_revision = self._revision(partial(llm_revision, config), config.llm.id) if method == "japagen" else ""
        scored = [evaluation, *also_scored.values()]
        identities = _identities(config, scored, rows, exemplars, generator_revision, encoder_revision)
        stage_keys = {stage: keys.stage_key(stage, identity) for stage, identity in identities.items()}
        experiment = Experiment(config, evaluation, also_scored, train_gold, exemplars, encoder_revision, identities, stage_keys)
        if experiment.needs_llm and not (self._tentative and is_on_hub(config.llm.id)):  # it would fetch the LLM's tokenizer
            self._once(f"fits {stage_keys['stream']} {config.llm.max_model_len}", lambda: _check_prompts(experiment))
        return experiment

    def _revision(self, resolve: Callable[[], str], model_id: str) -> str:
        try:
            return resolve()
        except ConfigError as error:
            if not is_on_hub(model_id):
                raise
            return self._placeholder(error, UNRESOLVED)

    def _gold(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return self._once(what, read)
        except DataError as error:
            return self._placeholder(error, None)

    def _placeholder(self, error: JapagenError, value: Any) -> Any:
        if not self._tentative:
            raise error
        self.unknown += [] if str(error) in self.unknown else [str(error)]
        return value

    def _once(self, what: str, make: Callable[[], Any]) -> Any:
        if what not in self._known:
            self._known[what] = make()
        return self._known[what]


def plan_experiment(config: Config) -> Experiment:
    """One experiment, checked; see `Planner.plan`."""
    return Planner().plan(config)


def _check_prompts(experiment: Experiment) -> None:
    revision = experiment.identities["stream"]["llm"]["revision"]
    check_context(experiment.config.llm, revision, _longest_prompts(experiment.stream), experiment.task.name)


def _longest_prompts(stream: Stream) -> list[list[Message]]:
    """Each label's last request for every value that may be drawn, with a first sentence as long as one may be."""
    names, n = stream.task.label_names, stream.texts_per_request
    num_values = max([1, *(len(attribute.values) for attribute in stream.task.attributes if stream.prompting.knowledge)])
    places = [(name, n * request) for name in names for request in range(num_values)]
    if not stream.task.is_pair:
        return [list(stream.ask(name, index).messages) for name, index in places]
    return [list(stream.second_ask(name, index, "あ" * stream.task.max_chars).messages) for name, index in places]


def _identities(
    config: Config, scored: Sequence[gold.Split | None], rows: str, exemplars: dict[str, tuple[Example, ...]],
    generator_revision: str, encoder_revision: str,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """`rows`: the key of gold training rows; '' where an LLM writes them."""
    identities: dict[str, dict[str, Any]] = {}
    checksum = "+".join(split.checksum for split in scored if split is not None) or None
    if not rows:
        identities["stream"] = keys.stream_identity(config, generator_revision, exemplars)
        stream = keys.stage_key("stream", identities["stream"])
        identities["dataset"] = keys.dataset_identity(config, stream, checksum)
        rows = keys.stage_key("dataset", identities["dataset"])
    identities["model"] = keys.model_identity(config, rows, encoder_revision)
    model = keys.stage_key("model", identities["model"])
    identities["result"] = keys.result_identity(config.task, model, checksum, METRICS_VERSION)
    return identities


def _gold_rows_key(config: Config, train_gold: gold.Split) -> str:
    train, valid = gold_rows(config, train_gold)
    return f"gold:{keys.examples_checksum(train)}:{keys.examples_checksum(valid)}"


def llm_revision(config: Config) -> str:
    """The LLM's commit or checksum; of a server that runs already only what the YAML says."""
    if config.llm.base_url is not None:
        return config.llm.revision or SERVED
    return resolve_revision(config.llm.id, config.llm.revision, "llm.id")


def gold_rows(config: Config, train_gold: gold.Split) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Rows to train on and to select on: all but a held-out tenth, or k a label and none."""
    if config.gold_per_label == "all":
        return gold.hold_out(train_gold.examples, HELD_OUT, config.shots_seed)
    return gold.draw_per_label(config.task, train_gold, int(config.gold_per_label), config.shots_seed), ()


def make_selector(experiment: Experiment) -> Selector:
    """A fresh judge of the experiment's rows."""
    config = experiment.config
    shown = [example for examples in experiment.exemplars.values() for example in examples]
    return Selector(config.task, config.curate, config.num_per_label, shown)


def stream_is_complete(experiment: Experiment, store: Store) -> bool:
    """Whether the stored rows give num_per_label texts a label, so that no LLM is needed."""
    if store.find("dataset", experiment.keys["dataset"]):
        return True
    if not store.find("stream", experiment.keys["stream"]):
        return False
    selector = make_selector(experiment)
    selector.advance(StreamRows(store.path("stream", experiment.keys["stream"])))
    return selector.is_complete


async def fill_stream(experiment: Experiment, store: Store, client: Client, show: Callable[[Progress], None]) -> None:
    """Asks the LLM for what the experiment's data set misses, together with whoever else fills the stream now."""
    config, stream = experiment.config, experiment.stream
    with Claims(store, stream) as claims:
        is_settled = False
        while not is_settled:
            rows, selector = open_rows(store, stream), make_selector(experiment)
            factor = config.synthesis.max_rows_factor
            generator = Generator(stream, rows, selector, config.llm.sampling, config.num_per_label, factor, show, claims)
            try:
                await generator.run(client)
            finally:
                with store.lock("sessions", stream.key):  # appending from two hosts isn't atomic on a shared file system
                    note_session(rows.folder, generator.progress())
            is_settled = not rows.is_disputed  # else, judged as a reader of the files judges, something may be missing


def note_session(folder: Path, progress: Progress) -> None:
    """Appends what one run over the stream made; costs are summed from these lines."""
    line = {"seconds": round(progress.seconds, 3), "rows": progress.new_rows, "completion_tokens": progress.new_tokens}
    with explain_os_errors(folder), (folder / SESSIONS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def generation_seconds(store: Store, stream_key: str) -> float:
    """Seconds spent on the stream in all runs, server starts left out; runs that were killed are not in it."""
    path = store.path("stream", stream_key) / SESSIONS
    if not path.is_file():
        return 0.0
    return sum(json.loads(line)["seconds"] for line in path.read_text(encoding="utf-8").splitlines())


def build_dataset(experiment: Experiment, store: Store, say: Say = print) -> Path:
    """The published data set's folder, made from the stream's rows when it isn't there."""
    key = experiment.keys["dataset"]
    with store.lock("dataset", key, say) as lock:
        if (folder := store.find("dataset", key)) is not None:
            return folder
        store.remove_leftovers("dataset", key)
        return store.publish("dataset", key, lambda out: _write_dataset(experiment, store, out), experiment.identities["dataset"], lock)


def _write_dataset(experiment: Experiment, store: Store, out: Path) -> dict[str, Any]:
    started = time.monotonic()
    config, task = experiment.config, experiment.task
    rows = StreamRows(store.path("stream", experiment.keys["stream"]))
    selector = make_selector(experiment)
    selector.advance(rows)
    if not selector.is_complete:
        raise MissingTextsError(f"{experiment.task.name}: the texts that the student learns from are not all written")
    evaluation = None
    if config.curate.contamination != "off" and experiment.evaluation is not None:
        scored = [experiment.evaluation, *experiment.also_scored.values()]
        texts = (text for split in scored for example in split.examples for text in example.texts)
        evaluation = EvaluationTexts(texts, ngrams=config.curate.contamination == "ngram")
    dataset = make_dataset(task, selector, evaluation)
    write_dataset(task, dataset, out, dataset_card(task, dataset, _made_by(experiment)))
    return {
        "rejects": dataset.rejects,
        "num_train": len(dataset.train),
        "num_valid": len(dataset.valid),
        "tokens": {"prompt": sum(row.prompt_tokens for row in rows), "completion": sum(row.completion_tokens for row in rows)},
        "replies": len(rows),
        "seconds": time.monotonic() - started,
    }


def _made_by(experiment: Experiment) -> dict[str, str]:
    config = experiment.config
    llm = config.llm
    made_by = {"method": f"{config.method.name}, prompt {config.prompt.name}", "protocol": experiment.protocol}
    made_by |= {"language model": f"{llm.id} at {experiment.identities['stream']['llm']['revision']}", "its licence": llm.license}
    if llm.license_note:
        made_by["what that asks"] = llm.license_note
    if experiment.is_demo:
        made_by["demo"] = "made with demo models or smoke data; good for trying the pipeline only"
    return made_by | {"stream": experiment.keys["stream"], "texts per label asked for": str(config.num_per_label)}


def training_rows(experiment: Experiment, store: Store, say: Say = print) -> Dataset:
    """What the student learns from and selects on."""
    if experiment.needs_llm:
        folder = build_dataset(experiment, store, say)
        parts = [read_examples(experiment.task, folder / f"{name}.parquet") for name in ("train", "valid")]
        return Dataset(parts[0], parts[1], store.meta("dataset", experiment.keys["dataset"])["rejects"], ())
    assert experiment.train_gold is not None
    train, valid = gold_rows(experiment.config, experiment.train_gold)
    return Dataset(train, valid, {}, ())


def encoder_location(experiment: Experiment) -> tuple[str, str | None]:
    """Folder or hub id of the encoder, and the commit to load of the latter."""
    model_id = experiment.config.model.id
    return locate(model_id, "model.id"), experiment.encoder_revision if is_on_hub(model_id) else None


def llm_location(experiment: Experiment) -> tuple[str, str | None]:
    """The same for the LLM; of a server that runs already its id as it is."""
    llm = experiment.config.llm
    if llm.base_url is not None:
        return llm.id, None
    return locate(llm.id, "llm.id"), experiment.identities["stream"]["llm"]["revision"] if is_on_hub(llm.id) else None
