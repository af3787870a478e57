"""`logger.upload`: the data set and the student as W&B's artifacts, so that its lineage reads data set -> run -> model.

Only files whose content may go are taken. Of a data set: its rows, which an LLM wrote, the card, and which replies were rejected and why,
without their words (a reply may repeat an exemplar or an evaluation text). Of a student: all but meta.json. Never task.json, which names
files of this machine.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.experiments.experiment import Experiment
from japagen.store.store import Store
from japagen.tracking.describing import without_paths

if TYPE_CHECKING:
    import wandb

CARD, REJECTS = "README.md", "rejects.jsonl"


def why_kept_here(experiment: Experiment) -> str | None:
    """Why the experiment's data set may not be sent; None: it may."""
    config = experiment.config
    if config.logger.upload_texts:
        return None
    if experiment.annotates:
        return "it holds texts that an LLM only labelled"
    if config.curate.contamination != "drop" and experiment.evaluation is not None:
        return f"with curate.contamination={config.curate.contamination} its rows may repeat gold texts"
    return None


def dataset_artifact(experiment: Experiment, store: Store, policy: str) -> "wandb.Artifact":
    """`dataset-<key>`. `policy`: immutable where the store's files will be uploaded in a moment, mutable: they are copied."""
    key = experiment.keys["dataset"]
    folder, meta = store.path("dataset", key), store.meta("dataset", key)
    facts = {name: meta[name] for name in ("num_train", "num_valid", "rejects", "tokens")}
    artifact = _artifact(experiment, "dataset", facts)
    for name in ("train.parquet", "valid.parquet"):
        _add(artifact, folder / name, policy)
    _add_card(artifact, folder, experiment)
    with artifact.new_file(REJECTS, encoding="utf-8") as file:
        for line in (folder / REJECTS).read_text(encoding="utf-8").splitlines():
            rejected = json.loads(line)
            if not experiment.config.logger.upload_texts:
                rejected = {name: rejected[name] for name in ("label", "index", "reason")}
            file.write(json.dumps(rejected, ensure_ascii=False) + "\n")
    return artifact


def model_artifact(experiment: Experiment, store: Store, policy: str) -> "wandb.Artifact":
    """`model-<key>`: the student's folder, as transformers loads it."""
    key = experiment.keys["model"]
    folder, meta = store.path("model", key), store.meta("model", key)
    artifact = _artifact(experiment, "model", {name: meta[name] for name in ("num_train", "num_valid", "seconds")})
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name not in (CARD, "meta.json"):
            _add(artifact, path, policy)
    _add_card(artifact, folder, experiment)
    return artifact


def _artifact(experiment: Experiment, stage: str, facts: dict[str, Any]) -> "wandb.Artifact":
    import wandb

    config, key = experiment.config, experiment.keys[stage]
    described = {"key": key, "task": config.task.name, "method": config.method.name, "protocol": experiment.protocol}
    return wandb.Artifact(f"{stage}-{key}", type=stage, metadata=described | facts)


def _add(artifact: "wandb.Artifact", path: Path, policy: str) -> None:
    artifact.add_file(str(path), name=path.name, policy=policy, skip_cache=True)  # type: ignore[arg-type]


def _add_card(artifact: "wandb.Artifact", folder: Path, experiment: Experiment) -> None:
    with artifact.new_file(CARD, encoding="utf-8") as file:
        file.write(without_paths((folder / CARD).read_text(encoding="utf-8"), experiment))
