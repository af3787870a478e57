"""One experiment's result: the student trained, scored beside its baselines, and written down in one schema.

`make_result` is the last stage of every method. It trains the student unless the store has it, predicts the gold split,
and publishes result.json (the schema is `Result`) with predictions.parquet. Tables and reports read nothing else.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from japagen import gold
from japagen.curation.dataset import Dataset
from japagen.evaluation.baselines import baselines
from japagen.evaluation.metrics import Predictions, calibration_error, count_clusters, decide, evaluate
from japagen.evaluation.probabilities import probability_scores
from japagen.evaluation.vectors import Encode, LabelAgreement, label_agreement
from japagen.experiments.answers import Answered, answered, read_answers
from japagen.experiments.cards import model_card, model_sources
from japagen.experiments.experiment import Experiment, Say, encoder_location
from japagen.experiments.result import Result, SplitScores, read_result
from japagen.experiments.stages import llm_seconds
from japagen.experiments.training_rows import dataset_rows, reading_lines, training_rows
from japagen.store.files import write_json
from japagen.store.keys import KEY_LENGTH, canonical_json
from japagen.store.locks import Lock
from japagen.store.store import Store, commit, versions
from japagen.training.verdict import empty_labels, judge, stored_verdict, with_baselines

OnMetrics = Callable[[dict[str, float], int], None]


BY_SEEDS = (
    "seed", "exemplars", "stream", "rows", "model", "answers", "likelihoods", "judgements", "attributes_key", "texts", "order", "wording",
)  # fmt: skip
"""What seeds decide in the stages' identities."""


def settings_key(experiment: Experiment, but: str = "") -> str:
    """A key shared by experiments that differ only in their seeds (and the question's template): all else that enters keys.

    but: a stage that is left out, e.g. 'result' for what makes a student, wherever it is scored.
    """
    config, gold_rows = experiment.config, experiment.train_gold
    stages = {stage: _without(BY_SEEDS, identity) for stage, identity in experiment.identities.items() if stage != but}
    rows = [*([config.shots] if experiment.needs_llm else []), *([config.gold_per_label] if experiment.learns_gold else [])]
    options = [config.method.gold_weight, config.method.num_texts, config.data.unlabelled_file] if experiment.options else []
    content = canonical_json([config.task.name, config.method.name, rows, options, gold_rows.checksum if gold_rows else None, stages])
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]


def _without(names: Sequence[str], value: Any) -> Any:
    """The value without entries of those names, at any depth."""
    if isinstance(value, dict):
        return {name: _without(names, entry) for name, entry in value.items() if name not in names}
    return value


def find_result(experiment: Experiment, store: Store) -> Result | None:
    """The experiment's result when the store has it.

    What enters no key is taken from the present configuration: a YAML whose `seen` was corrected is not called zero-shot any more.
    Gold rows' key doesn't say either whether they were compared with the scored ones, and what was found.
    """
    folder = store.find("result", experiment.keys["result"])
    if folder is None:
        return None
    config, stored = experiment.config, read_result(folder)
    return replace(
        stored,
        task=config.task.name,
        llm=config.llm.name if experiment.needs_llm else None,
        model=config.model.name if experiment.has_student else None,
        demo=experiment.is_demo,
        protocol=experiment.protocol,
        options=experiment.options,
        **({} if "dataset" in experiment.keys else _contamination(experiment, {})),
        settings=settings_key(experiment),
    )


def make_result(experiment: Experiment, store: Store, on_metrics: OnMetrics | None = None, say: Say = print) -> Result:
    """Trains and scores the student, or scores the LLM's answers, unless the store has it done; one process at a time."""
    with store.lock("result", experiment.keys["result"], say) as lock:
        if (done := find_result(experiment, store)) is not None:
            return done
        identity = experiment.identities["result"]
        if not experiment.has_student:
            key = experiment.keys["result"]
            return read_result(store.publish("result", key, lambda out: _write_result(experiment, store, out), identity, lock))
        with store.lock(
            "model", experiment.keys["model"], say
        ) as model_lock:  # until it is scored, so that japagen.experiments.pruning leaves it alone
            _ensure_model(experiment, store, model_lock, on_metrics, say)
            return read_result(
                store.publish("result", experiment.keys["result"], lambda out: _write_result(experiment, store, out), identity, lock)
            )


def _ensure_model(experiment: Experiment, store: Store, lock: Lock, on_metrics: OnMetrics | None, say: Say) -> None:
    key = experiment.keys["model"]
    if store.find("model", key) is None:
        rows = training_rows(experiment, store, say)
        for line in reading_lines(experiment, store):
            say(f"{experiment.task.name}: {line}")
        say(f"{experiment.task.name}: training {experiment.config.model.name} on {len(rows.train)} rows, validating on {len(rows.valid)}")
        if empty := empty_labels(experiment.task, rows.train):
            say(f"{experiment.task.name}: warning: no training row of {', '.join(empty)}; the student can't learn what has none")
        store.publish("model", key, lambda out: _train(experiment, store, rows, out, on_metrics), experiment.identities["model"], lock)
    else:
        store.check("model", key)
    store.remove_work(key)


def _train(experiment: Experiment, store: Store, rows: Dataset, out: Path, on_metrics: OnMetrics | None) -> dict[str, Any]:
    from japagen.training.student import train_student

    config = experiment.config
    location, revision = encoder_location(experiment)
    fit = train_student(
        experiment.task, config.model, location, revision, config.train, rows.train, rows.valid, config.seed, out,
        store.work(experiment.keys["model"]), on_metrics, config.device,
    )  # fmt: skip
    verdict = judge(config, rows.train, rows.valid, fit.valid_predictions, fit.num_steps)
    (out / "README.md").write_text(model_card(experiment, len(rows.train), verdict), encoding="utf-8")
    training = asdict(fit)
    del training["valid_predictions"]
    num_rows = {"num_train": len(rows.train), "num_valid": len(rows.valid)}
    sources = [asdict(source) for source in model_sources(experiment)]
    return {"training": training, "seconds": training.pop("seconds"), **num_rows, "sources": sources, "verdict": asdict(verdict)}


def _write_result(experiment: Experiment, store: Store, out: Path) -> dict[str, Any]:
    started = time.monotonic()
    splits = [] if experiment.evaluation is None else list(_score_splits(experiment, experiment.evaluation, store, out))
    scoring = time.monotonic() - started
    encode = _frozen_encoder(experiment)
    splits, agreement = _with_baselines(experiment, store, splits, encode), _agreement(experiment, store, encode)
    seconds = time.monotonic() - started
    result = _describe(experiment, store, splits, agreement, {"scoring": scoring, "baselines": seconds - scoring})
    write_json(out / "result.json", asdict(result))
    return {"seconds": seconds}


def _score_splits(experiment: Experiment, primary: gold.Split, store: Store, out: Path) -> Iterator[SplitScores]:
    """The scores of every split without its baselines, the primary one first; writes each split's predictions into `out`."""
    answers, start = None if experiment.has_student else answered(experiment, store), 0
    for name, split in [(experiment.config.data.split, primary), *experiment.also_scored.items()]:
        num_cut = None
        if answers is None:
            outputs, predictions, num_cut = _predict(experiment, store, split)
        else:
            outputs, predictions = _scored_answers(experiment, answers, start, len(split.examples))
        start += len(split.examples)
        scores = replace(_score(experiment, name, split, outputs, predictions), num_cut=num_cut)
        _write_predictions(experiment, split, outputs, predictions, out / scores.predictions_file)
        yield scores


def _score(experiment: Experiment, name: str, split: gold.Split, outputs: list[list[float]], predictions: Predictions) -> SplitScores:
    """The scores of one gold split."""
    metrics = evaluate(experiment.task, split.examples, predictions)
    if not experiment.task.is_regression and all(outputs) and _is_probable(experiment):
        probabilities = np.array(outputs)
        metrics["ece"] = calibration_error(experiment.task, split.examples, probabilities)
        metrics |= probability_scores(experiment.task, split.examples, probabilities)
    num_failed = None if experiment.has_student else sum(not output for output in outputs)
    scores = SplitScores(name, split.source, len(split.examples), metrics, num_failed=num_failed)
    return replace(scores, is_primary=split is experiment.evaluation, num_clusters=count_clusters(split.examples))


def _with_baselines(experiment: Experiment, store: Store, splits: Sequence[SplitScores], encode: Encode | None) -> list[SplitScores]:
    """The scores with those of the baselines on the same rows, which learn from the student's training rows."""
    if not splits:
        return []
    dataset = training_rows(experiment, store)
    rows, scored = [*dataset.train, *dataset.valid], (experiment.evaluation, *experiment.also_scored.values())
    return [
        replace(scores, baselines=baselines(experiment.task, rows, split.examples, encode))
        for scores, split in zip(splits, scored, strict=True)
        if split is not None
    ]


def _agreement(experiment: Experiment, store: Store, encode: Encode | None) -> dict[str, dict[str, int]]:
    """Result.agreement; empty without a data set or a student."""
    if encode is None or "dataset" not in experiment.keys:
        return {}
    dataset = dataset_rows(experiment, store)
    found = label_agreement(experiment.task, [*dataset.train, *dataset.valid], encode)
    return {name: asdict(of_label) for name, of_label in found.items()}


def _frozen_encoder(experiment: Experiment) -> Encode | None:
    """The student's encoder without training; None without a student."""
    if not experiment.has_student:
        return None
    from japagen.training.frozen import frozen_encoder

    return frozen_encoder(experiment.task, experiment.config.model, *encoder_location(experiment), experiment.config.device)


def _is_probable(experiment: Experiment) -> bool:
    """Whether the outputs are probabilities: an LLM that writes its answer gives none."""
    return experiment.has_student or experiment.config.method.answer in ("label", "channel")


def _predict(experiment: Experiment, store: Store, split: gold.Split) -> tuple[list[list[float]], Predictions, int]:
    """The student's outputs and predictions, and how many rows it was shown in part only."""
    from japagen.training.prediction import load_student, tokens_digest

    texts = [example.texts for example in split.examples]
    config = experiment.config
    folder = store.path("model", experiment.keys["model"])
    student = load_student(folder, config.device, trust_remote_code=config.model.trust_remote_code)
    outputs = student.predict(texts, source=tokens_digest(folder))
    return outputs.tolist(), decide(experiment.task, outputs), student.num_truncated


def _scored_answers(experiment: Experiment, found: Answered, start: int, num: int) -> tuple[list[list[float]], Predictions]:
    """The LLM's answers for `num` of the scored rows; those without one count as no label, in regression as the middle of the scale."""
    task = experiment.task
    outputs, predictions = found.outputs[start : start + num], found.predictions[start : start + num]
    if task.is_regression:
        middle = (min(task.label_scores()) + max(task.label_scores())) / 2
        return outputs, [middle if prediction is None else float(prediction) for prediction in predictions]
    return outputs, ["" if prediction is None else str(prediction) for prediction in predictions]


def _write_predictions(experiment: Experiment, split: gold.Split, outputs: list[list[float]], predictions: Predictions, path: Path) -> None:
    """One row a gold row: its id, gold label, cluster ('' for a row by itself), prediction and outputs (empty where the LLM gave no usable
    answer); no texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    value = [example.score if experiment.task.is_regression else example.label for example in split.examples]
    own = {"id": [example.id for example in split.examples], "cluster": [example.cluster for example in split.examples]}
    found = {"gold": value, "prediction": list(predictions), "outputs": pa.array(outputs, pa.list_(pa.float64()))}
    pq.write_table(pa.table(own | found), path)


def _seconds(experiment: Experiment, store: Store, model: Mapping[str, Any], scoring: Mapping[str, float]) -> dict[str, float]:
    seconds = {"generation": llm_seconds(experiment, store)} if experiment.needs_llm else {}
    if "dataset" in experiment.keys:
        seconds["curation"] = store.meta("dataset", experiment.keys["dataset"])["seconds"]
    return seconds | ({"training": model["seconds"]} if model else {}) | dict(scoring)


def _describe(
    experiment: Experiment, store: Store, splits: Sequence[SplitScores], agreement: dict[str, dict[str, int]], seconds: Mapping[str, float]
) -> Result:
    primary, *further = splits or [SplitScores("", None)]
    config, evaluation = experiment.config, experiment.evaluation
    model = store.meta("model", experiment.keys["model"]) if experiment.has_student else {}
    dataset = store.meta("dataset", experiment.keys["dataset"]) if "dataset" in experiment.keys else {}
    asked, written = experiment.needs_llm, "stream" in experiment.keys
    tokens = dataset.get("tokens", {})
    if not experiment.has_student:
        answers = read_answers(experiment, "answers", store).values()
        tokens = {
            "prompt": sum(answer.prompt_tokens for answer in answers),
            "completion": sum(answer.completion_tokens for answer in answers),
        }
    return Result(
        task=experiment.task.name,
        split=config.data.split if evaluation else None,
        method=config.method.name,
        prompt=config.prompt.name if asked else None,
        llm=config.llm.name if asked else None,
        model=config.model.name if experiment.has_student else None,
        data=config.data.source,
        train_source=experiment.train_gold.source if experiment.train_gold else None,
        shots=config.shots if asked else 0,
        gold_per_label=config.gold_per_label if experiment.learns_gold else None,
        seeds=_seeds(experiment),
        num_per_label=config.num_per_label if written else None,
        num_train=model.get("num_train", 0),
        num_valid=model.get("num_valid", 0),
        demo=experiment.is_demo,
        protocol=experiment.protocol,
        metric=experiment.task.metric,
        also_scored={split.name: split.entry for split in further},
        **_contamination(experiment, dataset.get("contaminated", {})),
        num_steps=model.get("training", {}).get("num_steps"),
        verdict=_verdict(experiment, model, primary, agreement),
        keys=experiment.keys,
        seconds=_seconds(experiment, store, model, seconds),
        tokens=tokens,
        versions=versions(),
        commit=commit(),
        training=model.get("training", {}),
        notes=evaluation.notes if evaluation else (),
        options=experiment.options,
        settings=settings_key(experiment),
        draw=experiment.draw,
        agreement=agreement,
        **primary.entry,
    )


def _verdict(
    experiment: Experiment, model: Mapping[str, Any], primary: SplitScores, agreement: Mapping[str, Mapping[str, int]]
) -> dict[str, Any] | None:
    """The student's verdict with what gold rows and label descriptions add; None without a student."""
    verdict = stored_verdict(model)
    if verdict is None:
        return None
    found = (primary.metrics.get(experiment.task.metric) or {}).get("value")
    counts = {name: LabelAgreement(**of_label) for name, of_label in agreement.items()}
    return asdict(with_baselines(experiment.config, verdict, found, primary.baselines, counts))


def _contamination(experiment: Experiment, in_dataset: Mapping[str, int]) -> dict[str, Any]:
    """num_contaminated and contaminated of a Result: training rows and rows of the train split that match scored ones.

    `in_dataset`: label -> such rows of the data set.
    """
    config, train = experiment.config, experiment.train_gold
    if config.curate.contamination == "off" or experiment.evaluation is None or not ("dataset" in experiment.keys or train):
        return {"num_contaminated": None, "contaminated": {}}
    is_annotated_too = experiment.annotates and config.data.unlabelled_file is None  # the data set has counted the same rows
    of_train = train.matched if train and not is_annotated_too else {}
    found = Counter(in_dataset) + Counter(of_train)
    return {"num_contaminated": found.total(), "contaminated": dict(found)}


def _seeds(experiment: Experiment) -> dict[str, int]:
    """The seeds that take part, and the question's template, which a sweep over seeds varies with them."""
    config = experiment.config
    seeds = {"seed": config.seed, "shots_seed": config.shots_seed}
    seeds |= {"synthesis.seed": config.synthesis.seed} if "stream" in experiment.keys else {}
    has_template = "answers" in experiment.keys and config.method.answer != "channel"
    return seeds | ({"template": experiment.template} if has_template else {})
