"""A result made once more, and compared with the one that the store has.

LLM output is taken as stored: sampling cannot be repeated. All that follows is made again by the code that makes it otherwise, in a
store of its own whose streams and answers are links into the real one, which is left as it is.
"""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from japagen.commands.artifacts.artifacts import Artifact
from japagen.config.schema import Config
from japagen.curation.label_noise import LabelNoise, read_noise
from japagen.errors import JapagenError, StoreError
from japagen.experiments.experiment import Experiment, Say
from japagen.experiments.planning import Planner
from japagen.experiments.result import Result, read_result
from japagen.experiments.scoring import make_result
from japagen.experiments.training_rows import build_dataset
from japagen.quality.label_sheets import dataset_rows, measure_again
from japagen.store.keys import stage_key
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.store.stages import LLM_STAGES, STAGES
from japagen.store.store import Store
from japagen.sweeps.folder import sweep_folders
from japagen.synthesis.stream import Stream

SAME, CLOSE, DIFFERS, UNCHECKED = "same", "close", "differs", "not checked"
"""close: numbers that another kind of processor rounds otherwise; no prediction is another."""
TOLERANCE = 1e-4
"""The largest difference of a probability or score that is called close."""
SCORES = (
    "metrics",
    "baselines",
    "num_train",
    "num_valid",
    "num_eval",
    "num_clusters",
    "num_contaminated",
    "contaminated",
    "num_failed",
    "num_steps",
    "num_cut",
    "verdict",
    "also_scored",
)
"""Fields of result.json that are made again; all others record when, where and how."""
MOST_NAMED = 3


@dataclass(frozen=True)
class Check:
    """One thing compared."""

    what: str
    outcome: str
    detail: str = ""


def planned_config(result: Artifact) -> Config:
    """The configuration of the latest sweep that planned this result. StoreError where the store has none."""
    for folder in reversed(sweep_folders(result.store)):
        for number, planned in enumerate(folder.experiments()):
            if planned.keys.get("result") == result.key:
                return folder.config(number)
    raise StoreError(
        f"no sweep in {result.store.root} planned {result.name}, so its configuration isn't known (japagen gc --forget removes sweeps);"
        " run its experiment once more, which costs nothing, and verify it then"
    )


def verify(result: Artifact, config: Config, train: bool, say: Say) -> Iterator[Check]:
    """All that can be compared; `train`: the student too is made again, and not only asked again."""
    stored = read_result(result.folder)
    for stage, key in stored.keys.items():
        if result.store.find(stage, key) is not None:
            yield _files(Artifact(result.store, stage, key))
    try:
        experiment = Planner().plan(config)
    except JapagenError as error:
        yield Check("keys", UNCHECKED, f"the experiment can't be planned any more: {error}")
        return
    yield _keys(stored.keys, experiment.keys)
    if experiment.keys != stored.keys:
        return
    if "stream" in experiment.keys:
        yield _rows(experiment.stream, result.store)
    missing = [stage for stage in experiment.llm_stages if result.store.find(stage, experiment.keys[stage]) is None]
    if missing:
        yield Check("data set, student and scores", UNCHECKED, f"the store has no {' and no '.join(missing)} of it any more")
        return
    with tempfile.TemporaryDirectory(prefix="japagen-verify-") as folder:
        yield from _made_again(experiment, stored, result.store, Store(folder), train, say)


def _made_again(experiment: Experiment, stored: Result, store: Store, again: Store, train: bool, say: Say) -> Iterator[Check]:
    has_student = experiment.has_student
    gone = has_student and not train and store.find("model", experiment.keys["model"]) is None
    kept = [*LLM_STAGES, *(["model"] if has_student and not train else [])]
    for stage, key in experiment.keys.items():
        if stage in kept and store.find(stage, key) is not None:
            _link(store.path(stage, key), again.path(stage, key))
    if "dataset" in experiment.keys:
        build_dataset(experiment, again, say)
        yield _bytes("data set", "dataset", experiment, store, again, ("train.parquet", "valid.parquet"))
        if (noise := read_noise(store, experiment.keys["dataset"])) is not None:
            yield _label_noise(noise, experiment, again)
    if gone:
        yield Check("predictions and scores", UNCHECKED, "the student's weights were removed (train.keep); --train makes them again")
        return
    remade = make_result(experiment, again, say=say)
    if has_student and train:
        yield _bytes("student", "model", experiment, store, again, ("model.safetensors",))
    if stored.split is not None:
        yield _predictions(store.path("result", stored.keys["result"]), again.path("result", stored.keys["result"]))
    yield _scores(asdict(stored), asdict(remade))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.symlink_to(source, target_is_directory=True)


def _files(artifact: Artifact) -> Check:
    """The artifact's files against the checksums of its meta.json, and its key against its identity."""
    meta = artifact.meta()
    changed = artifact.store.changed(artifact.stage, artifact.key)
    if changed:
        return Check(f"files of {artifact.name}", DIFFERS, f"changed or missing: {', '.join(changed)}")
    if stage_key(artifact.stage, meta["identity"]) != artifact.key:
        return Check(
            f"files of {artifact.name}", DIFFERS, "its key isn't that of its identity (another version's, or meta.json was changed)"
        )
    return Check(f"files of {artifact.name}", SAME, f"{len(meta.get('checksums', {}))} file(s)")


def _keys(stored: Mapping[str, str], planned: Mapping[str, str]) -> Check:
    differing = [stage for stage in STAGES if stored.get(stage) != planned.get(stage)]
    if not differing:
        return Check("keys", SAME, ", ".join(planned))
    return Check("keys", DIFFERS, f"{', '.join(differing)}: gold data, a model's files or this version's defaults are others now")


def _rows(stream: Stream, store: Store) -> Check:
    """Whether each stored reply has the seed and the attributes of its label and index."""
    rows = list(StreamRows(store.path("stream", stream.key)))
    wrong = [row for row in rows if not _fits(stream, row)]
    if wrong:
        named = ", ".join(f"{row.label or 'turn 0'} {row.index}" for row in wrong[:MOST_NAMED])
        return Check("replies", DIFFERS, f"{len(wrong)} of {len(rows)} don't have the seed or attributes of their place: {named}")
    return Check("replies", SAME, f"{len(rows)} with the seeds and attributes of their places (what they say is taken as it stands)")


def _fits(stream: Stream, row: StreamRow) -> bool:
    ask = stream.second_ask(row.label, row.index, "") if row.turn else stream.ask(row.label, row.index)
    seed = ask.seed if ask.verbalized else ask.seed + row.index - ask.index
    return row.seed == seed and all(row.attributes.get(name) == value for name, value in ask.attributes.items())


def _bytes(what: str, stage: str, experiment: Experiment, store: Store, again: Store, names: tuple[str, ...]) -> Check:
    key = experiment.keys[stage]
    if store.find(stage, key) is None:
        return Check(what, UNCHECKED, "the store has it no more to compare with")
    old, new = (side.meta(stage, key)["checksums"] for side in (store, again))
    differing = [name for name in names if old.get(name) != new.get(name)]
    if differing:
        return Check(what, DIFFERS, f"made again, {' and '.join(differing)} came out otherwise")
    return Check(what, SAME, f"made again, {' and '.join(names)} byte for byte")


def _label_noise(kept: LabelNoise, experiment: Experiment, again: Store) -> Check:
    """Figures of label noise by people, computed again from the labels that people wrote."""
    try:
        found = measure_again(experiment.task, dataset_rows(again, kept.dataset, experiment.task), kept)
    except KeyError as error:
        return Check("label noise", DIFFERS, f"people labelled a row that the data set lacks: {error}")
    return _figures("label noise", "figures of people's labels", asdict(kept), asdict(found))


def _predictions(old: Path, new: Path) -> Check:
    """The predictions of every scored split, row by row."""
    import pyarrow.parquet as pq

    num, num_others, largest = 0, 0, 0.0
    for path in sorted(old.glob("predictions*.parquet")):
        rows, others = (pq.read_table(folder / path.name).to_pylist() for folder in (old, new))
        if [row["id"] for row in rows] != [row["id"] for row in others]:
            return Check("predictions", DIFFERS, f"{path.name} is of other gold rows")
        num += len(rows)
        for row, other in zip(rows, others, strict=True):
            pairs = list(zip(row["outputs"], other["outputs"], strict=False))
            largest = max(largest, *(abs(old - new) for old, new in pairs), 0.0)
            is_number = isinstance(row["prediction"], float)
            num_others += len(row["outputs"]) != len(other["outputs"]) or (not is_number and row["prediction"] != other["prediction"])
    if num_others or largest > TOLERANCE:
        return Check("predictions", DIFFERS, f"{num_others} of {num} are others; the largest difference of an output is {largest:.1g}")
    if largest:
        return Check("predictions", CLOSE, f"{num}, none another; the largest difference of an output is {largest:.1g}")
    return Check("predictions", SAME, f"{num}, all outputs")


def _scores(old: dict[str, Any], new: dict[str, Any]) -> Check:
    return _figures("scores", "metrics, intervals, baselines and counts", *({name: side[name] for name in SCORES} for side in (old, new)))


def _figures(what: str, detail: str, old: dict[str, Any], new: dict[str, Any]) -> Check:
    """One check of all numbers in two mappings; `detail`: what they are."""
    found = list(differences(old, new))
    if not found:
        return Check(what, SAME, detail)
    named = "; ".join(f"{where}: {old} is now {new}" for where, old, new in found[:MOST_NAMED])
    is_close = all(isinstance(old, float) and isinstance(new, float) and math.isclose(old, new, abs_tol=TOLERANCE) for _, old, new in found)
    return Check(what, CLOSE if is_close else DIFFERS, f"{named}{'; …' if len(found) > MOST_NAMED else ''}")


def differences(old: Any, new: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted path, old value, new value) of each difference between two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*old, *new]):
            yield from differences(old.get(name), new.get(name), f"{where}.{name}" if where else str(name))
    elif old != new:
        yield where, old, new
