"""An artifact of the store, copied whole into a self-contained folder: checked files, card, provenance.

Left out is what is the store's own (meta.json, task.json: provenance.json keeps how the artifact was made, without
this machine's paths) and what quotes gold data: the texts of rows that were rejected because they match some.
"""

import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from japagen.commands.artifacts.artifacts import Artifact, artifacts
from japagen.curation.licenses import LicensedSource, cell
from japagen.curation.stored_task import TASK_FILE
from japagen.errors import StoreError
from japagen.experiments.result import Result, read_result
from japagen.prompts.replies import QUOTES_GOLD
from japagen.reporting.setting_names import format_score
from japagen.store.files import explain_os_errors, file_checksum, from_json, read_json, write_json
from japagen.store.stages import STAGES
from japagen.store.store import Store

CARD, REJECTS, PROVENANCE = "README.md", "rejects.jsonl", "provenance.json"
NOT_KEPT = ("checksums",)
"""Fields of meta.json that describe the store's files; the exported card differs."""


def sources_of(artifact: Artifact) -> tuple[LicensedSource, ...] | None:
    """What it was made of; None for what was made before that was kept."""
    kept = artifact.meta().get("sources")
    return None if kept is None else tuple(from_json(LicensedSource, source) for source in kept)


def results_of(store: Store, stage: str, key: str) -> dict[Path, Result]:
    """Folder -> result, of those that an artifact had a part in."""
    found = {result.folder: read_result(result.folder) for result in artifacts(store, STAGES["result"].folder)}
    return {folder: result for folder, result in found.items() if result.keys.get(stage) == key}


def copy_artifact(artifact: Artifact, target: Path) -> None:
    """Writes all of it into `target`, which is new or empty, or nothing. StoreError for a file that isn't what was published."""
    temporary = target.parent / f".{target.name}.{uuid.uuid4().hex[:8]}.tmp"
    with explain_os_errors(target, "choose another folder"):
        temporary.mkdir(parents=True)
        try:
            _write(artifact, temporary)
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _write(artifact: Artifact, out: Path) -> None:
    meta = artifact.meta()
    for name, checksum in meta["checksums"].items():
        _copy(artifact, name, checksum, out)
    provenance = {name: value for name, value in meta.items() if name not in NOT_KEPT}
    if artifact.stage == "dataset":
        _withhold_gold(out / REJECTS)
        task = out / TASK_FILE
        provenance |= {"task": read_json(task)["task"]} if task.is_file() else {}
        provenance |= _writer(artifact.store, meta["identity"].get("stream"))
        task.unlink(missing_ok=True)
    else:
        results = list(results_of(artifact.store, "model", artifact.key).values())
        with (out / CARD).open("a", encoding="utf-8") as card:
            card.write(score_section(results))
    write_json(out / PROVENANCE, without_paths(provenance))


def _copy(artifact: Artifact, name: str, checksum: str, out: Path) -> None:
    source = artifact.folder / name
    try:
        shutil.copyfile(source, out / name)
        found = file_checksum(out / name)
    except FileNotFoundError as error:
        raise StoreError(f"{source} is missing; {_remake(artifact)}") from error
    if found != checksum:
        raise StoreError(f"{source} isn't what was published (its sha256 is {found}, and meta.json has {checksum}); {_remake(artifact)}")


def _remake(artifact: Artifact) -> str:
    results = results_of(artifact.store, artifact.stage, artifact.key)
    return f"to have it made again remove {listed([artifact.folder, *results])} and run its experiment once more"


def listed(folders: Sequence[Path]) -> str:
    """'A and B', for messages."""
    return " and ".join(map(str, folders))


def _withhold_gold(path: Path) -> None:
    """Empties the text of each rejected row that quotes gold data."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    kept = [row | {"text": ""} if row["reason"] in QUOTES_GOLD else row for row in rows]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")


def _writer(store: Store, stream: str | None) -> dict[str, Any]:
    """How the LLM was asked, where the store still has the stream; its exemplars are gold data and stay out."""
    if stream is None or store.find("stream", stream) is None:
        return {}
    identity = store.meta("stream", stream)["identity"]
    return {"asked": {name: identity[name] for name in ("llm", "texts_per_request", "seed")}}


def without_paths(value: Any) -> Any:
    """The value with each absolute path in it cut to its last part."""
    if isinstance(value, dict):
        return {name: without_paths(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [without_paths(entry) for entry in value]
    return Path(value).name if isinstance(value, str) and value.startswith(("/", "~")) else value


def score_section(results: Sequence[Result]) -> str:
    """The card's part on scores: a line a metric, the primary one first, beside the baselines; '' where nothing was scored."""
    scored = [result for result in results if result.split]
    if not scored:
        return ""
    names = list(dict.fromkeys(name for result in scored for name in result.baselines))
    lines = ["", "## Scores", "", "With 95% bootstrap intervals over the gold rows; baselines beside them.", ""]
    lines += ["**Demo models or smoke data take part: these numbers mean nothing.**", ""] if any(result.demo for result in scored) else []
    lines += [f"| gold data | rows | metric | student | {' | '.join(names)} |", "|---" * (4 + len(names)) + "|"]
    for result in scored:
        for split in result.splits:
            for metric, score in split.sorted_metrics(result.metric):
                beside = [format_score(split.baselines.get(name, {}).get(metric)) for name in names]
                cells = [cell(split.gold_source or ""), str(split.num_eval), metric, format_score(score), *beside]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
