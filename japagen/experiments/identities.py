"""What enters which key: the identity of every stage, in one module."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from japagen import gold
from japagen.config.llm import LLM
from japagen.config.schema import WRITTEN_ANSWERS, Config, Train
from japagen.evaluation.metrics import METRICS_VERSION
from japagen.evaluation.vectors import can_describe, label_descriptions
from japagen.experiments.experiment import template_of
from japagen.prompts import readings, replies
from japagen.prompts.questions import VERSION as QUESTIONS_VERSION
from japagen.prompts.scaffold import scaffold_identity
from japagen.store import keys
from japagen.tasks import Attribute, Example, Task
from japagen.training.limits import max_length_of

Exemplars = Mapping[str, Sequence[Example]]


def stream_identity(
    config: Config, llm_revision: str, exemplars: Exemplars, lines: Mapping[str, Attribute] | None = None, attributes_key: str = "",
    template: Any = None,
) -> dict[str, Any]:  # fmt: skip
    """Prompts, attributes, labels, LLM, texts per request, exemplars and seed: all that decides a reply.

    `lines`: as read from prompt.personas and prompt.style. `attributes_key`: of the answers in which an LLM names the attributes itself.
    `template`: see `japagen.llm.template.template_identity`.
    """
    task, llm, synthesis = config.task, config.llm, config.synthesis
    prompt = _prompt_identity(task, config.prompt.name)
    options: dict[str, Any] = {}  # absent: older keys stay
    prompt |= {name: asdict(attribute) for name, attribute in (lines or {}).items()}
    if attributes_key:
        prompt["attributes_key"] = attributes_key
    if config.prompt.variants:
        prompt["variants"] = [label.variants for label in task.labels]
    if synthesis.temperatures:
        options["temperatures"] = synthesis.temperatures
    if synthesis.verbalized:
        options["verbalized"] = True
    if synthesis.verbalized:  # what else is sent is the task's own
        options |= scaffold_identity(task)
    options |= _exemplar_form(llm, exemplars)
    if llm.continues:
        options["several_lines"] = task.several_lines  # how texts are shown, and where a reply ends
    parser = {"reasoning_parser": llm.reasoning_parser} if llm.reasoning_parser else {}  # absent where none: older keys stay as they were
    return {
        "prompt": prompt,
        "llm": {**_llm_identity(llm, llm_revision, template), "sampling": asdict(llm.sampling), **parser, **_stop_identity(llm)},
        "exemplars": _exemplars_identity(exemplars),
        "texts_per_request": synthesis.texts_per_request,
        "seed": synthesis.seed,
        **options,
    }


def _llm_identity(llm: LLM, revision: str, template: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"request_args": llm.request_args} if llm.request_args else {}  # absent: older keys stay
    if template is not None:
        options["chat_template"] = template
    return options | {
        "id": llm.id,
        "revision": revision,
        "dtype": llm.dtype,
        "quantization": llm.quantization,
        "system_role": llm.system_role,
        "chat_template_args": llm.chat_template_args,
    }


def _stop_identity(llm: LLM) -> dict[str, Any]:
    """What ends written replies; absent where nothing is set: older keys stay as they were."""
    return {"stop": list(llm.stop_strings)} if llm.stop else {}


def _prompt_identity(task: Task, name: str) -> dict[str, Any]:
    identity: dict[str, Any] = {
        "name": name,
        "kind": task.kind,
        "system": task.system,
        "first_instruction": task.first_instruction if task.is_pair else "",
        "labels": [[label.name, label.instruction] for label in task.labels],
    }
    if name == "kadg":
        identity["labels"] = [[label.name, label.described or label.instruction] for label in task.labels]
        identity["attributes"] = [asdict(attribute) for attribute in task.attributes]
    return identity


def answers_identity(
    config: Config, llm: LLM, llm_revision: str, how: dict[str, Any], texts: str, exemplars: Exemplars | None = None, template: Any = None
) -> dict[str, Any]:
    """An LLM's answers about texts: the LLM, how it is asked, and the texts: their checksum, or the key of the stream that has them."""
    task = config.task
    is_request = how["answer"] in ("channel", "likelihood")  # the synthesis prompt's
    form = {"several_lines": task.several_lines} if llm.continues else {}  # how texts are shown
    form |= _exemplar_form(llm, exemplars or {}) if is_request else {}
    return {
        "llm": _llm_identity(llm, llm_revision, template),
        "prompt": _prompt_identity(task, config.prompt.name),
        "question": [task.question or task.title or task.name, QUESTIONS_VERSION, [[label.word, label.meaning] for label in task.labels]],
        "how": how,
        "exemplars": _exemplars_identity(exemplars or {}),
        "texts": texts,
        **({} if is_request and not llm.continues else scaffold_identity(task)),
        **form,
    }


def _exemplar_form(llm: LLM, exemplars: Exemplars) -> dict[str, Any]:
    """How a request for texts shows exemplars; absent where it shows none. Continued prompts have a version of their own."""
    return {"exemplars_as": "turns"} if any(exemplars.values()) and not llm.continues else {}


def _exemplars_identity(exemplars: Exemplars) -> dict[str, list[list[str]]]:
    return {name: [list(example.texts) for example in examples] for name, examples in exemplars.items() if examples}


def dataset_identity(
    config: Config, stream: str | None, evaluation_checksum: str | None, answers: Mapping[str, str], unlabelled: str = ""
) -> dict[str, Any]:
    """The stream, how many texts, what the filters read, and the texts that contamination is checked against.

    `answers`: stage -> key of an LLM's answers about texts. `unlabelled`: checksum of the texts that a label prior is estimated from.
    """
    task, curate = config.task, config.curate
    checks = config.curate.contamination != "off" and evaluation_checksum is not None
    options: dict[str, Any] = dict(answers)  # absent: older keys stay
    if "answers" in answers:
        options |= _reading_identity(task, config.method.answer)
    if "judgements" in answers:
        options["judging"] = [curate.judging, curate.judge_threshold]
    if "likelihoods" in answers:
        options["keep_likeliest"] = curate.keep_likeliest
    if curate.prior != "as_made":
        by = {"given": dict(curate.prior_values or {}), "estimated": unlabelled, "oracle": evaluation_checksum}
        options["prior"] = [curate.prior, by.get(curate.prior)]
    if stream is None:
        return options | {
            "labels": [[label.name, label.word, label.score] for label in task.labels],
            "fields": [*task.fields, task.label_field],
            "contamination": [curate.contamination, evaluation_checksum] if checks else None,
        }
    return options | {
        "stream": stream,
        "replies_version": replies.VERSION,
        "num_per_label": config.num_per_label,
        "filters": {
            "language": task.language,
            "min_chars": task.min_chars,
            "max_chars": task.max_chars,
            "several_lines": task.several_lines,
            "genre": task.genre,
            "label_words": task.label_words,
            "synonyms": [label.synonyms for label in task.labels],
            "prompts": _echoed(task),
            "max_same_first": config.curate.max_same_first if task.is_pair else None,
            "near_duplicates": config.curate.near_duplicates,
            **replies.language_identity(task),
        },
        "labels": [[label.name, label.word, label.score] for label in task.labels],
        "fields": [*task.fields, task.label_field],
        "contamination": [config.curate.contamination, evaluation_checksum] if checks else None,
    }


def model_identity(config: Config, rows_key: str, encoder_revision: str) -> dict[str, Any]:
    """Training rows (a data set's key, or gold rows' checksum), encoder, training settings and seed."""
    task, model = config.task, config.model
    words = {"word_splitter": model.word_splitter} if model.word_splitter else {}  # absent where empty: older keys stay as they were
    return {
        "rows": rows_key,
        "task": [task.target, task.metric, [[label.name, label.score] for label in task.labels]],
        "encoder": {"id": model.id, "revision": encoder_revision, "max_length": max_length_of(model, task), "bf16": model.bf16, **words},
        "train": train_identity(config.train),
        "seed": config.seed,
    }


def train_identity(train: Train) -> dict[str, Any]:
    """What shapes a training; options that are off are absent, so that older keys stay as they were."""
    identity = asdict(train)
    del identity["keep"]
    if train.ensemble_momentum == 0:
        del identity["ensemble_momentum"], identity["ensemble_threshold"]
    if train.robust_q == 0:
        del identity["robust_q"]
    return identity


def answered_identity(
    config: Config, answers: str, evaluation_checksum: str | None, clusters: str | None, metrics_version: int
) -> dict[str, Any]:
    """A result without a student: the LLM's answers, how they are read, the gold rows that score them, and the metrics' version."""
    scored = {"answers": answers} | _scored_identity(config.task, evaluation_checksum, clusters, metrics_version)
    return scored | _reading_identity(config.task, config.method.answer)


def _reading_identity(task: Task, answer: str) -> dict[str, Any]:
    """How written answers are read: the version of the rules, English ones too where they serve, and synonyms; nothing where labels are
    scored."""
    if answer not in WRITTEN_ANSWERS:
        return {}
    synonyms = [label.synonyms for label in task.labels]
    return {"readings_version": readings.VERSION, "synonyms": synonyms, **readings.language_identity(task.language)}


def _echoed(task: Task) -> list[str]:
    """Texts of the task whose repetition rejects a reply, also those that the stream's prompt does not show."""
    own = [text for label in task.labels for text in (label.instruction, label.described, *label.variants)]
    return [*own, task.system, task.first_instruction]


def result_identity(task: Task, model: str, evaluation_checksum: str | None, clusters: str | None, metrics_version: int) -> dict[str, Any]:
    """The model, the gold rows that score it, the metrics' version, and the words that the baselines beside it read."""
    words: dict[str, Any] = {"language": task.language} if task.is_pair else {}
    words |= {"descriptions": label_descriptions(task)} if can_describe(task) else {}
    return {"model": model, **words} | _scored_identity(task, evaluation_checksum, clusters, metrics_version)


def _scored_identity(task: Task, evaluation_checksum: str | None, clusters: str | None, metrics_version: int) -> dict[str, Any]:
    """`clusters`: `gold.clusters_checksum` of the scored splits."""
    return {"gold": evaluation_checksum, "clusters": clusters, "metric": task.metric, "metrics_version": metrics_version}


def quality_identity(dataset: str, evaluation_checksum: str | None, student: str | None, described: str | None) -> dict[str, Any]:
    """The data set, the gold rows it is compared with, and what its labels are held against: the key of a gold-trained student, and
    that of a result whose encoder compared texts with the labels' descriptions."""
    return {"dataset": dataset, "gold": evaluation_checksum, "student": student, "described": described}


def _identities(
    config: Config, scored: Sequence[gold.Split], gold_rows_key: str, unlabelled: Sequence[tuple[str, ...]],
    exemplars: dict[str, tuple[Example, ...]], lines: Mapping[str, Attribute], llm_revisions: tuple[str, str], templates: tuple[Any, Any],
    encoder_revision: str,
) -> dict[str, dict[str, Any]]:  # fmt: skip
    """`gold_rows_key`: of gold training rows; '' where none are learned from. `llm_revisions`, `templates`: the LLM's and the judge's."""
    kind, curate, task = config.method.kind, config.curate, config.task
    (revision, judge_revision), (template, judge_template) = llm_revisions, templates
    identities: dict[str, dict[str, Any]] = {}

    def key(stage: str) -> str | None:
        return keys.stage_key(stage, identities[stage]) if stage in identities else None

    checksum, clusters = "+".join(split.checksum for split in scored) or None, gold.clusters_checksum(scored)
    if kind.writes:
        if config.prompt.name == "kadg_auto":
            how: dict[str, Any] = {"answer": "attributes"} | _stop_identity(config.llm)
            identities["attributes"] = answers_identity(config, config.llm, revision, how, "", template=template)
        identities["stream"] = stream_identity(config, revision, exemplars, lines, key("attributes") or "", template)
        if curate.keep_likeliest < 1:
            how = {"answer": "likelihood"}
            identities["likelihoods"] = answers_identity(config, config.llm, revision, how, str(key("stream")), template=template)
        if curate.judging != "off":
            how = {"answer": curate.judge_answer}
            how |= {"wording": 0} | ({"order": config.seed} if exemplars else {}) if curate.judge_answer == "label" else {}
            judge = config.judge or config.llm
            identities["judgements"] = answers_identity(config, judge, judge_revision, how, str(key("stream")), exemplars, judge_template)
    if kind.answers:
        answer = config.method.answer
        how = {"answer": answer, "calibrate": config.method.calibrate}
        how |= {"max_tokens": config.method.max_tokens} | _stop_identity(config.llm) if answer in WRITTEN_ANSWERS else {}
        how |= {"wording": template_of(config)} | ({"order": config.seed} if exemplars else {}) if answer != "channel" else {}
        texts = keys.texts_checksum(unlabelled) if kind.annotates else str(checksum)
        identities["answers"] = answers_identity(config, config.llm, revision, how, texts, exemplars, template)
    if not kind.has_student:
        identities["result"] = answered_identity(config, str(key("answers")), checksum, clusters, METRICS_VERSION)
        return identities
    rows = gold_rows_key
    if kind.makes_dataset:
        answers = {stage: found for stage in ("likelihoods", "judgements", "answers") if (found := key(stage)) is not None}
        texts = keys.texts_checksum(unlabelled) if curate.prior == "estimated" else ""
        identities["dataset"] = dataset_identity(config, key("stream"), checksum, answers, texts)
        rows = str(key("dataset"))
    if kind.mixes:
        rows = f"{rows}+{gold_rows_key}*{config.method.gold_weight:g}"
    identities["model"] = model_identity(config, rows, encoder_revision)
    identities["result"] = result_identity(task, str(key("model")), checksum, clusters, METRICS_VERSION)
    return identities
