"""Which settings change which stage's key, and the keys of a configuration."""

import copy
from typing import Any

from japagen.config.fields import settings as schema_settings
from japagen.config.schema import Config
from japagen.experiments import identities
from japagen.store import keys
from japagen.tasks import Example

ALL = {"stream", "dataset", "model", "result"}
DATASET = ALL - {"stream"}
MODEL = {"model", "result"}
NONE: set[str] = set()
CHANGES: dict[str, set[str]] = {
    # what the LLM is told and asked
    "task.kind": ALL, "task.system": ALL, "task.first_instruction": ALL, "task.labels.name": ALL, "task.labels.instruction": ALL,
    "prompt.name": ALL, "synthesis.seed": ALL, "synthesis.texts_per_request": ALL,
    # the LLM itself
    "llm.id": ALL, "llm.dtype": ALL, "llm.quantization": ALL, "llm.system_role": ALL, "llm.chat_template_args": ALL,
    "llm.sampling.temperature": ALL, "llm.sampling.top_p": ALL, "llm.sampling.top_k": ALL, "llm.sampling.repetition_penalty": ALL,
    "llm.sampling.max_tokens": ALL, "llm.reasoning_parser": ALL, "llm.stop": ALL,
    "task.language": DATASET,  # the filters
    # which texts are kept
    "num_per_label": DATASET, "task.max_chars": DATASET, "task.min_chars": DATASET, "task.fields": DATASET,
    "task.label_field": DATASET, "task.labels.word": DATASET, "task.labels.score": DATASET, "curate.max_same_first": DATASET,
    "curate.contamination": DATASET,
    "curate.near_duplicates": DATASET, "task.several_lines": DATASET, "task.genre": DATASET, "task.label_words": DATASET,
    "task.labels.synonyms": DATASET, "task.labels.described": DATASET, "task.labels.variants": DATASET,  # a reply that repeats them
    # the student
    "seed": MODEL, "task.target": MODEL, "task.metric": MODEL, "model.id": MODEL, "model.max_length": MODEL, "model.bf16": MODEL,
    "model.word_splitter": MODEL,
    "train.epochs": MODEL, "train.batch_size": MODEL, "train.learning_rate": MODEL, "train.warmup_ratio": MODEL,
    "train.weight_decay": MODEL, "train.label_smoothing": MODEL, "train.patience": MODEL, "train.validations_per_epoch": MODEL,
    "train.steps": MODEL, "train.min_steps": MODEL,
    # names for people
    **dict.fromkeys(["task.name", "task.title", "llm.name", "model.name", "method.name", "curate.name"], NONE),
    **dict.fromkeys(["llm.license", "llm.license_note", "llm.price_per_gpu_hour", "llm.price_per_million_tokens", "llm.seen"], NONE),
    "llm.price_per_million_completion_tokens": NONE, "llm.request_args": ALL,
    "llm.license_name_prefix": NONE,
    **dict.fromkeys(["llm.verified", "llm.demo", "model.license", "model.verified", "model.demo", "model.seen"], NONE),
    # enter by what they lead to: the revision found, the template's text, the exemplars drawn, the gold rows read
    "llm.chat_template": NONE,
    **dict.fromkeys(["model.learning_rate", "model.min_steps"], NONE),
    **dict.fromkeys(["llm.revision", "model.revision", "shots", "shots_seed", "gold_per_label"], NONE),
    **dict.fromkeys(["draw", "task.cluster_field", "task.cluster_until"], NONE),  # by the seeds that follow it, by the gold rows' clusters
    **dict.fromkeys(["data.source", "data.split", "data.train_source", "data.train_file", "data.eval_file", "task.label_map"], NONE),
    "data.strip_source": NONE,
    # prompt=kadg only
    "task.attributes": NONE,
    # which gold rows, and how they are cut: enters by their checksum
    "task.gold_chars": MODEL,  # and by model.max_length=null, which follows from it
    "task.published.scored": NONE, "task.published.also_scored": NONE, "task.published.unavailable": NONE,
    **dict.fromkeys([f"task.published.{name}" for name in ("name", "license", "homepage", "splits", "train_sources")], NONE),
    # how the student is trained with doubtful labels
    "train.ensemble_momentum": MODEL, "train.ensemble_threshold": NONE, "train.robust_q": MODEL,  # a threshold of what is off says nothing
    # what is drawn for a request
    "synthesis.temperatures": ALL, "synthesis.verbalized": ALL, "prompt.variants": ALL,
    "prompt.personas": NONE, "prompt.style": NONE,
    # other methods, and judging: enter by the keys of the LLM's answers, where there are any
    **dict.fromkeys([f"method.{name}" for name in ("answer", "template", "calibrate", "max_tokens", "gold_weight", "num_texts")], NONE),
    **dict.fromkeys(["judge", "curate.judging", "curate.judge_answer", "curate.judge_threshold", "curate.keep_likeliest"], NONE),
    **dict.fromkeys(["task.question", "task.labels.meaning", "data.unlabelled_file", "curate.prior_values"], NONE),
    "curate.prior": DATASET,
    # what an LLM or a run may take: a result is the same or there is none
    **dict.fromkeys(["llm.max_model_len", "llm.trust_remote_code", "model.trust_remote_code", "synthesis.max_rows_factor"], NONE),
    # where and how fast
    **{setting.name: NONE for setting in schema_settings(Config()) if setting.facts.running},
}  # fmt: skip
EXEMPLARS = {"entailment": (Example(("犬が走る。", "動物が走る。"), "entailment"),)}


def stage_keys(
    config: Config,
    llm: str = "r1",
    encoder: str = "r2",
    evaluation: str | None = "e",
    exemplars: Any = EXEMPLARS,
    clusters: str | None = None,
) -> dict[str, str]:
    stream = keys.stage_key("stream", identities.stream_identity(config, llm, exemplars))
    dataset = keys.stage_key("dataset", identities.dataset_identity(config, stream, evaluation, {}))
    model = keys.stage_key("model", identities.model_identity(config, dataset, encoder))
    result = keys.stage_key("result", identities.result_identity(config.task, model, evaluation, clusters, 1))
    return {"stream": stream, "dataset": dataset, "model": model, "result": result}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {stage for stage in before if before[stage] != after[stage]}


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list():
            return [*value, "x"]
        case dict():
            return {**value, "x": "x"}
    return "x"


def with_change(config: Config, path: str) -> Config:
    config = copy.deepcopy(config)
    *parents, name = path.split(".")
    node: Any = config
    for parent in parents:
        node = getattr(node, parent)
        node = node[0] if isinstance(node, list) else node
    numbers = {"task.labels.score": 1.0, "task.gold_chars": 600}
    value = numbers[path] if path in numbers else another(getattr(node, name))
    setattr(node, name, value)
    return config
