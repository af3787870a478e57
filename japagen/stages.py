"""How the stages before the student are made: streams filled, questions answered, data sets built. The store is asked first, always.

`llm_stages` of an experiment are what an LLM must do for it, in order; `is_complete` tells whether one is done, `fill` does it. What
the student learns from, `training_rows` gives.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from japagen.curation.contamination import EvaluationTexts
from japagen.curation.dataset import ANNOTATED, Dataset, dataset_card, make_dataset, read_examples, selected_examples, write_dataset
from japagen.curation.judging import judge_examples
from japagen.curation.likeliest import keep_likeliest
from japagen.curation.prior import counts_prior, estimate_prior, prior_weights, uniform
from japagen.curation.select import Rejected, Selector
from japagen.curation.stored_task import write_task
from japagen.errors import DataError, GenerationError, MissingTextsError
from japagen.llm.client import Client
from japagen.methods import ATTRIBUTE_TOKENS, Experiment, Say, gold_rows
from japagen.questions import (
    CONTENT_FREE,
    Question,
    attribute_questions,
    balanced_order,
    channel_question,
    label_question,
    likelihood_question,
    read_answer,
    read_attributes,
    written_question,
)
from japagen.store import Store, explain_os_errors
from japagen.synthesis.answers import Answer, answer_all
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import Generator, Progress
from japagen.synthesis.stream import Stream, StreamRows, open_folder, open_rows
from japagen.tasks import Attribute, Example, Task, nearest_level

SESSIONS = "sessions.jsonl"
"""In a stream's or answers' folder: one line for each run over it, with its seconds, rows and tokens."""
CALIBRATION = "content-free"
"""Ids of questions without content begin so."""

Show = Callable[[Progress], None]
Shard = tuple[int, int]
"""(number, of how many): which part of the questions a worker asks."""
ALONE: Shard = (0, 1)


def make_selector(experiment: Experiment) -> Selector:
    """A fresh judge of the experiment's rows."""
    config = experiment.config
    shown = [example for examples in experiment.exemplars.values() for example in examples]
    return Selector(config.task, config.curate, config.num_per_label, shown)


def has_rows(experiment: Experiment, store: Store) -> bool:
    """Whether the store has all that an LLM makes for the experiment."""
    return all(is_complete(experiment, stage, store) for stage in experiment.llm_stages)


def is_complete(experiment: Experiment, stage: str, store: Store) -> bool:
    """Whether the stored rows of one of `llm_stages` are enough, so that no LLM is needed for it."""
    if "dataset" in experiment.keys and store.find("dataset", experiment.keys["dataset"]):
        return True
    if not store.find(stage, experiment.keys[stage]):
        return False
    if stage == "stream":
        selector = make_selector(experiment)
        selector.advance(StreamRows(store.path("stream", experiment.keys["stream"])))
        return selector.is_complete
    answers = read_answers(experiment, stage, store)
    try:
        return all(id_ in answers for id_ in _asked_ids(experiment, stage, store))
    except MissingTextsError:
        return False


def _asked_ids(experiment: Experiment, stage: str, store: Store) -> list[str]:
    """The ids of `questions`; raises as they do."""
    if stage == "attributes":
        return [question.id for question in questions(experiment, stage, store)]
    if stage != "answers":
        return [example.id for example in _selected(experiment, store)]
    calibration = range(len(CONTENT_FREE)) if experiment.is_calibrated else ()
    return [*map(str, range(len(experiment.asked_texts))), *(f"{CALIBRATION}/{place}" for place in calibration)]


async def fill(experiment: Experiment, stage: str, store: Store, client: Client, show: Show, shard: Shard = ALONE) -> None:
    """Asks the LLM for what the stage misses."""
    if stage == "stream":
        await _fill_stream(experiment, store, client, show)
    elif stage == "attributes":
        with store.lock(stage, experiment.keys[stage]):  # every shard must draw from the same ones
            await _fill_answers(experiment, stage, store, client, show, ALONE)
        path = store.path(stage, experiment.keys[stage]) / "attributes.yaml"
        write_attributes(auto_attributes(experiment, store), path)
    else:
        await _fill_answers(experiment, stage, store, client, show, shard)


async def _fill_stream(experiment: Experiment, store: Store, client: Client, show: Show) -> None:
    """Together with whoever else fills the stream now."""
    config, stream = experiment.config, stream_of(experiment, store)
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


async def _fill_answers(experiment: Experiment, stage: str, store: Store, client: Client, show: Show, shard: Shard) -> None:
    key, (number, of) = experiment.keys[stage], shard
    asked = questions(experiment, stage, store)[number::of]
    rows = StreamRows(open_folder(store, stage, key, experiment.identities[stage]), Answer)
    latest: list[Progress] = []

    def note(progress: Progress) -> None:
        latest[:] = [progress]
        show(progress)

    config = experiment.config
    try:
        max_tokens = ATTRIBUTE_TOKENS if stage == "attributes" else config.method.max_tokens
        await answer_all(asked, rows, client, experiment.llm_of(stage).chat_template_args, max_tokens, note)
    finally:
        for progress in latest:
            with store.lock("sessions", key):
                note_session(rows.folder, progress)


def questions(experiment: Experiment, stage: str, store: Store) -> list[Question]:
    """What `attributes`, `judgements`, `likelihoods` and `answers` ask.

    Judgements and likelihoods are about the stream's accepted rows; MissingTextsError where those are not all there.
    """
    config, task = experiment.config, experiment.task
    if stage == "attributes":
        return attribute_questions(task, config.llm.system_role)
    prompting = replace(experiment.prompting, system_role=experiment.llm_of(stage).system_role)
    if stage == "likelihoods":
        return [likelihood_question(task, prompting, example) for example in _selected(experiment, store)]
    if stage == "judgements":
        how, wording, examples = config.curate.judge_answer, 0, _selected(experiment, store)
        texts = [(example.id, example.texts) for example in examples]
        shown: dict[str, tuple[Example, ...]] = experiment.exemplars
    else:
        how, wording = config.method.answer, experiment.wording
        texts = [(str(place), one) for place, one in enumerate(experiment.asked_texts)]
        shown = experiment.exemplars
    if how == "channel":
        return [channel_question(task, prompting, one, shown, id_) for id_, one in texts]
    ordered = balanced_order(task, shown, config.seed)
    if how in ("choice", "free"):
        return [written_question(task, prompting, one, wording, ordered, how == "choice", id_) for id_, one in texts]
    found = [label_question(task, prompting, one, wording, ordered, id_) for id_, one in texts]
    if stage == "answers" and experiment.is_calibrated:
        empty = [(text,) * task.num_turns for text in CONTENT_FREE]
        found += [label_question(task, prompting, one, wording, ordered, f"{CALIBRATION}/{place}") for place, one in enumerate(empty)]
    return found


def stream_of(experiment: Experiment, store: Store) -> Stream:
    """The stream, with the attributes that the LLM named where it did; GenerationError where it named none that can be used."""
    if "attributes" not in experiment.keys:
        return experiment.stream
    return replace(experiment.stream, attributes=[*auto_attributes(experiment, store), *experiment.stream.attributes])


def auto_attributes(experiment: Experiment, store: Store) -> list[Attribute]:
    """prompt=kadg_auto: those of the first usable reply."""
    answers = read_answers(experiment, "attributes", store)
    ids = _asked_ids(experiment, "attributes", store)
    where = f"task {experiment.task.name!r}, prompt=kadg_auto"
    if any(id_ not in answers for id_ in ids):
        raise GenerationError(f"{where}: the LLM's attributes are not there yet")
    replies = [answers[id_].text for id_ in ids]
    for reply in replies:
        if found := read_attributes(experiment.task, reply):
            return found
    raise GenerationError(
        f"{where}: {experiment.config.llm.name} named no attributes that can be used in {len(replies)} replies (the first begins"
        f" {replies[0][:60]!r}); take another LLM, or write the task's attributes yourself and set prompt=kadg"
    )


def write_attributes(attributes: Sequence[Attribute], path: Path) -> None:
    """As a block of a task's YAML, to be looked at, and to be copied there for prompt=kadg."""
    lines = ["# Named by an LLM. Copied into a task's YAML, and mended there, they serve prompt=kadg.", "attributes:"]
    for one in attributes:
        name, values, phrase = (json.dumps(value, ensure_ascii=False) for value in (one.name, one.values, one.phrase))
        lines += [f"  - name: {name}", f"    values: {values}", f"    phrase: {phrase}"]
    with explain_os_errors(path):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_answers(experiment: Experiment, stage: str, store: Store) -> dict[str, Answer]:
    """Question id -> its answer, of those that stand in the store."""
    folder = store.path(stage, experiment.keys[stage])
    rows: Iterable[Any] = StreamRows(folder, Answer)
    return {answer.id: answer for answer in rows}


@dataclass(frozen=True)
class Answered:
    """What the LLM said of the texts it was asked about, in their order."""

    outputs: list[list[float]]
    """Probabilities of the labels in their order (one-hot where it wrote its answer); regression: one number. Empty: no usable answer."""
    predictions: list[str | float | None]
    """A label's name, or a number; None: no usable answer."""
    probs: list[tuple[float, ...] | None]
    """The labels' probabilities where they were scored."""

    @property
    def num_failed(self) -> int:
        return sum(prediction is None for prediction in self.predictions)


def answered(experiment: Experiment, store: Store) -> Answered:
    """The stored answers of prompting or annotation, read; MissingTextsError where one is missing."""
    config, task = experiment.config, experiment.task
    answers = read_answers(experiment, "answers", store)
    ids = [str(place) for place in range(len(experiment.asked_texts))]
    if any(id_ not in answers for id_ in ids):
        raise MissingTextsError(f"{task.name}: the LLM's answers are not all there")
    if config.method.answer in ("choice", "free"):
        read = [None if answers[id_].finish_reason == "error" else read_answer(task, answers[id_].text) for id_ in ids]
        return Answered([_one_hot(task, one) for one in read], read, [None] * len(read))
    baseline = _baseline(answers)
    probs = [answers[id_].probabilities(baseline) for id_ in ids]
    if task.is_regression:
        levels = task.label_scores()
        values = [None if one is None else math.fsum(p * level for p, level in zip(one, levels, strict=True)) for one in probs]
        return Answered([[] if value is None else [value] for value in values], list(values), probs)
    names = [None if one is None else task.label_names[one.index(max(one))] for one in probs]
    return Answered([list(one or ()) for one in probs], list(names), probs)


def _baseline(answers: Mapping[str, Answer]) -> list[float]:
    """log of the labels' mean probabilities for texts without content; [] where nothing of the kind was asked."""
    empty = [probs for id_, answer in answers.items() if id_.startswith(CALIBRATION) and (probs := answer.probabilities()) is not None]
    return [math.log(max(1e-12, math.fsum(column) / len(empty))) for column in zip(*empty, strict=True)]


def _one_hot(task: Task, read: str | float | None) -> list[float]:
    if read is None:
        return []
    return [float(read)] if task.is_regression else [float(name == read) for name in task.label_names]


def note_session(folder: Path, progress: Progress) -> None:
    """Appends what one run over the stream made; costs are summed from these lines."""
    line = {"seconds": round(progress.seconds, 3), "rows": progress.new_rows, "completion_tokens": progress.new_tokens}
    with explain_os_errors(folder), (folder / SESSIONS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def llm_seconds(experiment: Experiment, store: Store) -> float:
    """Seconds that the LLM spent on the experiment's stages in all runs, server starts left out; runs that were killed are not in it."""
    return sum(generation_seconds(store.path(stage, experiment.keys[stage])) for stage in experiment.llm_stages)


def generation_seconds(folder: Path) -> float:
    """The same for one stage's folder."""
    path = folder / SESSIONS
    if not path.is_file():
        return 0.0
    return sum(json.loads(line)["seconds"] for line in path.read_text(encoding="utf-8").splitlines())


def build_dataset(experiment: Experiment, store: Store, say: Say = print) -> Path:
    """The published data set's folder, made from the stream's rows and the LLM's answers when it isn't there."""
    key = experiment.keys["dataset"]
    with store.lock("dataset", key, say) as lock:
        if (folder := store.find("dataset", key)) is not None:
            return folder
        store.remove_leftovers("dataset", key)
        return store.publish("dataset", key, lambda out: _write_dataset(experiment, store, out), experiment.identities["dataset"], lock)


@dataclass
class _Rows:
    """Rows on their way to a data set."""

    examples: list[Example] = field(default_factory=list)
    rejects: dict[str, Counter[str]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    """label -> what was done to rows that stayed."""

    def drop(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        for label, reasons in counts.items():
            self.rejects.setdefault(label, Counter()).update(reasons)


def _write_dataset(experiment: Experiment, store: Store, out: Path) -> dict[str, Any]:
    started = time.monotonic()
    config, task = experiment.config, experiment.task
    rows = _Rows(rejects={name: Counter() for name in task.label_names})
    replies: list[Any] = []
    if "stream" in experiment.keys:
        replies = _take_written(experiment, store, rows)
    if experiment.annotates:
        replies += _take_annotated(experiment, store, rows)
    evaluation = None
    if config.curate.contamination != "off" and experiment.evaluation is not None:
        scored = [experiment.evaluation, *experiment.also_scored.values()]
        texts = (text for split in scored for example in split.examples for text in example.texts)
        evaluation = EvaluationTexts(texts, ngrams=config.curate.contamination == "ngram")
    dataset = make_dataset(task, rows.examples, rows.rejects, rows.rejected, evaluation)
    prior = label_prior(experiment, dataset.train)
    if prior is not None:
        dataset = replace(dataset, train=prior_weights(task, dataset.train, prior))
    changes = {label: dict(counts) for label, counts in rows.changes.items()}
    made_by = _made_by(experiment) | {f"judged otherwise and kept, {label}": _listed(found) for label, found in changes.items() if found}
    write_dataset(task, dataset, out, dataset_card(task, dataset, made_by))
    write_task(task, config.data, out)
    return {
        "rejects": dataset.rejects,
        "changes": changes,
        "prior": prior,
        "num_train": len(dataset.train),
        "num_valid": len(dataset.valid),
        "tokens": {"prompt": sum(row.prompt_tokens for row in replies), "completion": sum(row.completion_tokens for row in replies)},
        "replies": len(replies),
        "seconds": time.monotonic() - started,
    }


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _selector(experiment: Experiment, store: Store) -> tuple[Selector, StreamRows]:
    """The experiment's selection of the stored rows; MissingTextsError where they don't suffice."""
    rows = StreamRows(store.path("stream", experiment.keys["stream"]))
    selector = make_selector(experiment)
    selector.advance(rows)
    if not selector.is_complete:
        raise MissingTextsError(f"{experiment.task.name}: the texts that the student learns from are not all written")
    return selector, rows


def _selected(experiment: Experiment, store: Store) -> list[Example]:
    return selected_examples(experiment.task, _selector(experiment, store)[0])


def _take_written(experiment: Experiment, store: Store, rows: _Rows) -> list[Any]:
    """The stream's texts, judged and selected as `curate` says; all replies that they cost."""
    curate, task = experiment.config.curate, experiment.task
    selector, replies = _selector(experiment, store)
    examples: Sequence[Example] = selected_examples(task, selector)
    rows.drop(selector.counts)
    rows.rejected += selector.rejected
    asked: list[Any] = list(replies)
    if "judgements" in experiment.keys:
        answers = _all_answers(experiment, "judgements", store, examples)
        probs = {example.id: answers[example.id].probabilities() for example in examples}
        judged = judge_examples(task, examples, probs, curate.judging, curate.judge_threshold)
        examples, rows.changes = judged.examples, {label: Counter(counts) for label, counts in judged.changes.items()}
        rows.drop(judged.rejects)
        asked += answers.values()
    if "likelihoods" in experiment.keys:
        answers = _all_answers(experiment, "likelihoods", store, examples)
        likeliest = keep_likeliest(task, examples, {one.id: answers[one.id].mean_logprob for one in examples}, curate.keep_likeliest)
        examples = likeliest.examples
        rows.drop(likeliest.rejects)
        asked += answers.values()
    rows.examples += examples
    return asked


def _all_answers(experiment: Experiment, stage: str, store: Store, examples: Sequence[Example]) -> dict[str, Answer]:
    answers = read_answers(experiment, stage, store)
    if any(example.id not in answers for example in examples):
        raise MissingTextsError(f"{experiment.task.name}: the {stage} of the texts are not all there")
    return answers


def _take_annotated(experiment: Experiment, store: Store, rows: _Rows) -> list[Any]:
    """The unlabelled texts with the LLM's labels; those without a usable answer are counted and left out."""
    task, found = experiment.task, answered(experiment, store)
    scores = {label.name: label.score for label in task.labels}
    for place, (texts, said, probs) in enumerate(zip(experiment.asked_texts, found.predictions, found.probs, strict=True)):
        id_ = f"{ANNOTATED}/{place}"
        if said is None:
            rows.drop({"": {"no answer": 1}})
        elif task.is_regression:
            value = float(said)
            rows.examples.append(Example(texts, nearest_level(task, value).name, value, id_))
        else:
            rows.examples.append(Example(texts, str(said), scores[str(said)], id_, probs))
    if found.num_failed == len(found.predictions):
        raise DataError(
            f"task {task.name!r}: the LLM gave no usable answer to any of {found.num_failed} texts; see"
            f" {store.path('answers', experiment.keys['answers'])}, and try another method.answer"
        )
    return list(read_answers(experiment, "answers", store).values())


def label_prior(experiment: Experiment, rows: Sequence[Example]) -> dict[str, float] | None:
    """The label frequencies that `curate.prior` asks for; None: rows stay as they were made."""
    task, curate = experiment.task, experiment.config.curate
    if curate.prior == "as_made":
        return None
    if curate.prior == "uniform":
        return uniform(task)
    if curate.prior == "given":
        return dict(curate.prior_values or {})
    if curate.prior == "oracle":
        if experiment.evaluation is None:
            raise DataError(f"task {task.name!r}: curate.prior=oracle counts the scored split's labels, and there is none")
        return counts_prior(task, experiment.evaluation.examples)
    return estimate_prior(task, rows, experiment.unlabelled)


def _made_by(experiment: Experiment) -> dict[str, str]:
    config = experiment.config
    llm, options = config.llm, experiment.options
    made_by = {"method": f"{config.method.name}, prompt {config.prompt.name}", "protocol": experiment.protocol}
    if options:
        made_by["options"] = ", ".join(f"{name}={value}" for name, value in options.items())
    made_by |= {"language model": f"{llm.id} at {experiment.llm_revision}", "its licence": llm.license}
    if llm.license_note:
        made_by["what that asks"] = llm.license_note
    if config.judge is not None and "judgements" in experiment.keys:
        made_by["judge"] = f"{config.judge.id}, licence {config.judge.license}. {config.judge.license_note}".rstrip()
    if experiment.is_demo:
        made_by["demo"] = "made with demo models or smoke data; good for trying the pipeline only"
    made_by |= {stage: experiment.keys[stage] for stage in experiment.llm_stages}
    return made_by | ({"texts per label asked for": str(config.num_per_label)} if "stream" in experiment.keys else {})


def training_rows(experiment: Experiment, store: Store, say: Say = print) -> Dataset:
    """What the student learns from and selects on; nothing where there is no student."""
    config, task = experiment.config, experiment.task
    found = Dataset((), (), {}, ())
    if "dataset" in experiment.keys:
        folder = build_dataset(experiment, store, say)
        train, valid = (read_examples(task, folder / f"{name}.parquet") for name in ("train", "valid"))
        found = Dataset(train, valid, store.meta("dataset", experiment.keys["dataset"])["rejects"], ())
    if not experiment.learns_gold:
        return found
    assert experiment.train_gold is not None
    train, valid = gold_rows(config, experiment.train_gold)
    if not found.train:
        return Dataset(train, valid, {}, ())
    weight = config.method.gold_weight
    weighted = tuple(replace(row, weight=row.weight * weight) for row in train)
    return Dataset((*found.train, *weighted), valid or found.valid, found.rejects, ())
