"""What a student learns from: the stream's texts judged and selected, annotated texts, gold rows; and the data set that they make."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from japagen.curation.dataset import ANNOTATED, Dataset, dataset_card, make_dataset, read_examples, selected_examples, write_dataset
from japagen.curation.judging import judge_examples
from japagen.curation.likeliest import keep_likeliest
from japagen.curation.prior import counts_prior, estimate_prior, prior_weights, uniform
from japagen.curation.select import Rejected
from japagen.curation.stored_task import write_task
from japagen.errors import DataError, MissingTextsError
from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.answers import answered, read_answers
from japagen.experiments.cards import dataset_sources, making
from japagen.experiments.experiment import Experiment, Say
from japagen.experiments.planning import evaluation_texts, gold_rows
from japagen.experiments.requests import select
from japagen.store.store import Store
from japagen.synthesis.answers import Answer
from japagen.tasks import Example, nearest_level


def build_dataset(experiment: Experiment, store: Store, say: Say = print) -> Path:
    """The published data set's folder, made from the stream's rows and the LLM's answers when it isn't there."""
    key = experiment.keys["dataset"]
    with store.lock("dataset", key, say) as lock:
        if (folder := store.find("dataset", key)) is not None:
            return folder
        return store.publish("dataset", key, lambda out: _write_dataset(experiment, store, out), experiment.identities["dataset"], lock)


@dataclass
class _Rows:
    """Rows on their way to a data set."""

    examples: list[Example] = field(default_factory=list)
    rejects: dict[str, Counter[str]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    """label -> what was done to rows that stayed."""
    reading: dict[str, Counter[str]] = field(default_factory=dict)
    """rule -> label -> rows of which the rule changed a text as it read the reply."""

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
        evaluation = evaluation_texts([experiment.evaluation, *experiment.also_scored.values()])
    keeps_matches = config.curate.contamination == "report"
    dataset = make_dataset(task, rows.examples, rows.rejects, rows.rejected, evaluation, keeps_matches)
    prior = label_prior(experiment, dataset.train)
    if prior is not None:
        dataset = replace(dataset, train=prior_weights(task, dataset.train, prior))
    changes = {label: dict(counts) for label, counts in rows.changes.items()}
    made_by = making(experiment) | {f"judged otherwise and kept, {label}": _listed(found) for label, found in changes.items() if found}
    sources = dataset_sources(experiment)
    write_dataset(task, dataset, out, dataset_card(task, dataset, made_by, sources, experiment.is_demo))
    write_task(task, config.data, out)
    return {
        "sources": [asdict(source) for source in sources],
        "rejects": dataset.rejects,
        "contaminated": dataset.contaminated,
        "changes": changes,
        "reading": {rule: dict(counts) for rule, counts in sorted(rows.reading.items(), key=lambda item: (-item[1].total(), item[0]))},
        "prior": prior,
        "num_train": len(dataset.train),
        "num_valid": len(dataset.valid),
        "tokens": {"prompt": sum(row.prompt_tokens for row in replies), "completion": sum(row.completion_tokens for row in replies)},
        "replies": len(replies),
        "seconds": time.monotonic() - started,
    }


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def describe_reading(reading: Mapping[str, Mapping[str, int]]) -> list[str]:
    """One line on how often each rule changed a reply that became a text, by label; nothing where none did. `reading`: rule -> label."""
    parts = [f"{rule} {sum(counts.values())} ({_most_of(Counter(counts))})" for rule, counts in reading.items()]
    return [f"taken off replies that became texts: {'; '.join(parts)}"] if parts else []


def reading_lines(experiment: Experiment, store: Store) -> list[str]:
    """`describe_reading` of the experiment's data set; nothing where there is none."""
    return describe_reading(store.meta("dataset", experiment.keys["dataset"]).get("reading", {})) if "dataset" in experiment.keys else []


def _most_of(counts: Counter[str]) -> str:
    """'positive 12, negative 3'; of many labels the most frequent ones."""
    shown = counts.most_common(MANY_LABELS)
    rest = f", {len(counts) - len(shown)} more labels" if len(counts) > len(shown) else ""
    return _listed(dict(shown)) + rest


def _take_written(experiment: Experiment, store: Store, rows: _Rows) -> list[Any]:
    """The stream's texts, judged and selected as `curate` says; all replies that they cost."""
    curate, task = experiment.config.curate, experiment.task
    selector, replies = select(experiment, store)
    examples: Sequence[Example] = selected_examples(task, selector)
    rows.drop(selector.counts)
    rows.rejected += selector.rejected
    rows.reading = selector.changes
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
        likeliest = keep_likeliest(
            task, examples, {example.id: answers[example.id].mean_logprob for example in examples}, curate.keep_likeliest
        )
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
    for index, (texts, prediction, probs) in enumerate(zip(experiment.asked_texts, found.predictions, found.probs, strict=True)):
        id_ = f"{ANNOTATED}/{index}"
        if prediction is None:
            rows.drop({"": {"no answer": 1}})
        elif task.is_regression:
            value = float(prediction)
            rows.examples.append(Example(texts, nearest_level(task, value).name, value, id_))
        else:
            rows.examples.append(Example(texts, str(prediction), scores[str(prediction)], id_, probs))
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


def dataset_rows(experiment: Experiment, store: Store, say: Say = print) -> Dataset:
    """The experiment's data set, made when it isn't there; nothing where the method makes none."""
    if "dataset" not in experiment.keys:
        return Dataset((), (), {}, ())
    build_dataset(experiment, store, say)
    folder, meta = store.check("dataset", experiment.keys["dataset"]), store.meta("dataset", experiment.keys["dataset"])
    train, valid = (read_examples(experiment.task, folder / f"{name}.parquet") for name in ("train", "valid"))
    return Dataset(train, valid, meta["rejects"], ())


def training_rows(experiment: Experiment, store: Store, say: Say = print) -> Dataset:
    """What the student learns from and selects on; nothing where there is no student."""
    config, found = experiment.config, dataset_rows(experiment, store, say)
    if not experiment.learns_gold:
        return found
    assert experiment.train_gold is not None
    train, valid = gold_rows(config, experiment.train_gold)
    if not found.train:
        return Dataset(train, valid, {}, ())
    weight = config.method.gold_weight
    weighted = tuple(replace(row, weight=row.weight * weight) for row in train)
    return Dataset((*found.train, *weighted), valid or found.valid, found.rejects, ())
