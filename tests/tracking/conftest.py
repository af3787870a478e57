"""What W&B's tests share: nobody is logged in, and an experiment whose texts can be told apart, with what the store would have of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import wandb

from japagen.curation.dataset import ANNOTATED, Dataset, dataset_card, write_dataset
from japagen.curation.select import Rejected
from japagen.curation.stored_task import write_task
from japagen.experiments.cards import model_card
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import plan_experiment
from japagen.experiments.result import Result
from japagen.store.files import write_json
from japagen.store.store import Store
from japagen.tasks import Example
from japagen.tracking import track
from tests.conftest import Compose
from tests.stubs.results import RESULT
from tests.stubs.wandb_standin import forget_wandb

GOLD, EXEMPLAR, OWN, WRITTEN, PERSON = "秘密の採点文", "秘密の見本文", "秘密の利用者文", "書かれた文", "秘密の人物"
"""How texts of each origin begin: scored rows, gold train rows (the exemplars), unlabelled texts, the LLM's, personas."""
SECRETS = (GOLD, EXEMPLAR, OWN, PERSON)
LABELS = ("acceptable", "unacceptable")


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No account; what W&B puts into the environment while a test runs goes with it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_FINISH_TIMEOUT"):
        monkeypatch.setenv(name, "")
    forget_wandb(monkeypatch, home)
    yield
    wandb.teardown()


@dataclass(frozen=True)
class Made:
    """An experiment and the store that has its data set, student and result."""

    experiment: Experiment
    store: Store
    result: Result

    @property
    def wandb_folder(self) -> Path:
        return self.store.wandb


MakeExperiment = Callable[..., Made]


@pytest.fixture
def make_experiment(composed: Compose, tmp_path: Path) -> MakeExperiment:
    """Plans a two-label experiment on files of the test's own, and writes what its stages would have written."""

    def make(*overrides: str) -> Made:
        data = tmp_path / "private"
        data.mkdir(exist_ok=True)
        for name, start in (("eval", GOLD), ("train", EXEMPLAR), ("unlabelled", OWN)):
            rows = [{"sentence": f"{start}{number}。", "label": LABELS[number % 2]} for number in range(6)]
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (data / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        (data / "persons.txt").write_text(f"{PERSON}一\n{PERSON}二\n", encoding="utf-8")
        files = [f"data.{name}_file={data / name}.jsonl" for name in ("eval", "train", "unlabelled")]
        config = composed("task=jcola", "data=files", *files, "shots=1", f"prompt.personas={data / 'persons.txt'}", *overrides)
        experiment, store = plan_experiment(config), Store(tmp_path / "out" / "store")
        assert experiment.evaluation is not None
        if "dataset" in experiment.keys and store.find("dataset", experiment.keys["dataset"]) is None:
            _write_dataset(experiment, store)
        _write_model(experiment, store)
        return Made(experiment, store, _write_result(experiment, store))

    return make


def _write_dataset(experiment: Experiment, store: Store) -> None:
    folder = store.path("dataset", experiment.keys["dataset"])
    folder.mkdir(parents=True)
    rows = [Example((f"{WRITTEN}{number}。",), LABELS[number % 2], None, f"{LABELS[number % 2]}/{number}") for number in range(8)]
    if experiment.annotates:
        rows += [Example(texts, LABELS[0], None, f"{ANNOTATED}/{index}") for index, texts in enumerate(experiment.unlabelled)]
    reasons = ("copies an exemplar", "contamination", "too long", "first sentence")
    rejected = tuple(Rejected(LABELS[0], 90 + index, reason, f"「{GOLD}0。」{EXEMPLAR}0。") for index, reason in enumerate(reasons))
    dataset = Dataset(tuple(rows[2:]), tuple(rows[:2]), {LABELS[0]: dict.fromkeys(reasons, 1)}, rejected)
    write_dataset(experiment.task, dataset, folder, dataset_card(experiment.task, dataset, {"made": "so"}))
    write_task(experiment.task, experiment.config.data, folder)
    meta = {"num_train": len(rows) - 2, "num_valid": 2, "rejects": dataset.rejects, "tokens": {"prompt": 1, "completion": 1}}
    write_json(folder / "meta.json", meta)


def _write_model(experiment: Experiment, store: Store) -> None:
    folder = store.path("model", experiment.keys["model"])
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text(model_card(experiment, 6) + f"\nfrom {experiment.config.data.eval_file}\n", encoding="utf-8")
    meta = {"num_train": 6, "num_valid": 2, "seconds": 1.0, "where": str(experiment.config.data.eval_file)}
    write_json(folder / "meta.json", meta)


def _write_result(experiment: Experiment, store: Store) -> Result:
    folder = store.path("result", experiment.keys["result"])
    folder.mkdir(parents=True)
    assert experiment.evaluation is not None
    gold = [example.label for example in experiment.evaluation.examples]
    ids = [example.id for example in experiment.evaluation.examples]
    outputs = pa.array([[0.75, 0.25]] * len(gold), pa.list_(pa.float64()))
    pq.write_table(
        pa.table({"id": ids, "gold": gold, "prediction": [LABELS[0]] * len(gold), "outputs": outputs}), folder / "predictions.parquet"
    )
    history = [{"step": step, "train/loss": 1 / step, "valid/loss": 2 / step} for step in (1, 2, 3)]
    return replace(RESULT, task="jcola", keys=experiment.keys, training={"history": history, "best_step": 3})


def do_run(made: Made, messages: list[str] | None = None) -> Path:
    """What launch.work does around a student, without one; the run's folder."""
    say = print if messages is None else messages.append
    with track(made.experiment, "sweep-1", made.wandb_folder, say) as tracker:
        assert tracker.on_metrics is not None
        tracker.on_metrics({"train/loss": 1.0}, 1)
        tracker.on_metrics({"valid/loss": 0.5}, 2)
        tracker.log_result(made.result)
        tracker.log_tables(made.experiment.task, made.result, made.store)
        tracker.log_artifacts(made.experiment, made.store)
    wandb.teardown()  # as at the end of a process: then all is written
    return max((made.wandb_folder / "wandb").glob(f"*run-*-{made.experiment.keys['result']}"))
