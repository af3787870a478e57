"""quality.json as a stage: what decides its key, what stands in it, and what is left out with its reason."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from japagen import gold
from japagen.config.schema import Config, Data
from japagen.curation.stored_task import read_task
from japagen.errors import ConfigError, DataError, StoreError
from japagen.experiments.planning import plan_experiment
from japagen.experiments.training_rows import build_dataset
from japagen.quality.report import make_quality
from japagen.quality.students import find_gold_student
from japagen.store.files import write_json
from japagen.store.rowsfile import StreamRow
from japagen.store.store import Store
from japagen.synthesis.stream import open_rows
from japagen.tasks import Task
from japagen.training.student import train_student
from tests.conftest import Compose
from tests.stubs.results import RESULT
from tests.stubs.stored_quality import pairs, store_dataset


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def quiet(line: str) -> None:
    """Says nothing."""


def test_a_report_has_all_parts_with_their_sizes(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    rows = pairs(20, config.task)
    key = store_dataset(store, config, rows[:-3], valid=rows[-3:])
    messages: list[str] = []
    quality, folder = make_quality(store, key, config.task, config.data, say=messages.append)
    assert messages == [f"jnli: measuring the data set {key}"]
    assert quality.rows == {"train": 57, "valid": 3}
    assert quality.gold == {"source": "sample (smoke data)", "split": "valid", "rows": 120}
    assert quality.rejects == {"too short": {"entailment": 1, "neutral": 2}, "contamination": {"entailment": 1}}
    assert quality.labels["entailment"]["accepted_share"] == 20 / 22
    assert quality.labels["neutral"]["rejected"] == 2
    assert {field: length["synthetic"]["n"] for field, length in quality.length.items()} == {"sentence1": 60, "sentence2": 60}
    assert quality.diversity["sentence1"]["different_texts"] == 20
    assert quality.neighbours is not None
    assert quality.neighbours["cosine"]["n"] == 60
    assert quality.overlap is not None
    assert quality.overlap["gold"]["neutral"]["n"] > 0
    assert quality.partial_reading["synthetic"]["parts"]["sentence2"] > quality.partial_reading["synthetic"]["majority"]
    assert quality.described is None
    assert [len(examples) for examples in quality.examples.values()] == [3, 3, 3]
    assert quality.agreement is None
    assert list(quality.missing) == ["agreement", "described"]
    assert folder == store.find("quality", folder.name)
    assert store.meta("quality", folder.name)["identity"]["dataset"] == key


def test_no_gold_text_stands_in_it(composed: Compose, store: Store) -> None:
    config = composed("task=jnli", "curate.contamination=off")
    split = gold.read_eval(config.task, config.data)
    assert split is not None
    quality, folder = make_quality(store, store_dataset(store, config, pairs(10, config.task)), config.task, config.data, say=quiet)
    content = (folder / "quality.json").read_text(encoding="utf-8")
    assert not [row.texts for row in split.examples if row.texts[0] in content or row.texts[1] in content]
    assert "評価文そのもの" not in content, "a reply rejected for contamination is a gold text"
    assert {reason: [reply["text"] for reply in replies] for reason, replies in quality.rejected_examples.items()} == {
        "too short": ["短い", "これも"]  # one of each label before a second one of any
    }


def test_texts_that_were_only_labelled_are_not_in_it(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    written = pairs(4, config.task)
    given = [
        replace(row, texts=("利用者の文。" + row.texts[0], row.texts[1]), id=f"annotated/{index}") for index, row in enumerate(written)
    ]
    quality, folder = make_quality(store, store_dataset(store, config, [*written, *given]), config.task, config.data, say=quiet)
    assert "利用者の文" not in (folder / "quality.json").read_text(encoding="utf-8")
    assert [len(examples) for examples in quality.examples.values()] == [3, 3, 3]
    assert "didn't write" in quality.missing["examples"]


def test_it_is_made_once_for_what_it_compares(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    key = store_dataset(store, config, pairs(6, config.task))
    first, folder = make_quality(store, key, config.task, config.data, say=quiet)
    again, same = make_quality(store, key, config.task, config.data, say=pytest.fail)
    assert (again, same) == (first, folder)
    other, another = make_quality(store, key, config.task, Data(source="files"), say=quiet)
    assert another != folder
    assert (other.gold, other.neighbours, other.overlap and other.overlap["gold"]) == (None, None, None)
    assert "data.eval_file=FILE" in other.missing["gold"]


@pytest.mark.parametrize("name", ["jcola", "jsts", "news"])
def test_every_kind_of_task_is_measured(composed: Compose, store: Store, name: str) -> None:
    config = composed(f"task={name}")
    rows = pairs(8, config.task)
    rows = rows if config.task.is_pair else [replace(row, texts=row.texts[1:]) for row in rows]
    quality, _ = make_quality(store, store_dataset(store, config, rows), config.task, config.data, say=quiet)
    assert sum(figures["rows"] for figures in quality.labels.values()) == len(rows)
    assert ("overlap" in quality.missing) == (not config.task.is_pair)
    parts = config.task.fields if config.task.is_pair else ["length", "last 5 characters"]
    assert quality.partial_reading["gold"] is None or list(quality.partial_reading["gold"]["parts"]) == parts


def test_labels_are_held_against_their_descriptions_by_a_result(composed: Compose, store: Store) -> None:
    """What a student's scoring counted of this very data set is in the report; a real encoder's before a demo one's."""
    config = composed("task=jcola")
    rows = [replace(row, texts=row.texts[1:]) for row in pairs(8, config.task)]
    key = store_dataset(store, config, rows)
    quality, before = make_quality(store, key, config.task, config.data, say=quiet)
    assert quality.described is None
    assert "no student has been trained on this data set" in quality.missing["described"]
    counts = {"acceptable": {"agreeing": 6, "n": 8}, "unacceptable": {"agreeing": 2, "n": 8}}
    for name, demo, dataset, agreement in (
        ("a", True, key, counts),
        ("b", False, key, counts),
        ("c", False, "other", counts),
        ("d", False, key, {}),
    ):
        folder = store.path("result", name)
        folder.mkdir(parents=True)
        result = replace(RESULT, task="jcola", demo=demo, keys={"dataset": dataset, "result": name, "model": "m"}, agreement=agreement)
        write_json(folder / "result.json", asdict(result))
        write_json(folder / "meta.json", {})
    quality, after = make_quality(store, key, config.task, config.data, say=quiet)
    assert after != before, "a new result makes a new report"
    assert quality.described == {"result": "b", "encoder": "bert", "demo": False, "by_label": counts}
    assert "described" not in quality.missing


def test_an_empty_data_set_is_no_fault(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    quality, _ = make_quality(store, store_dataset(store, config, []), config.task, config.data, say=quiet)
    assert quality.missing["rows"] == "the data set has no rows"
    assert quality.neighbours is None
    assert quality.length["sentence1"]["synthetic"] is None


def test_faults(composed: Compose, store: Store, tmp_path: Path) -> None:
    config = composed("task=jnli")
    key = store_dataset(store, config, pairs(3, config.task))
    with pytest.raises(ConfigError, match=r"task='jsts' is not what data set .* was made for: that has the labels entailment, .*sentence1"):
        make_quality(store, key, composed("task=jsts").task, config.data)
    with pytest.raises(DataError, match=r"nowhere\.csv"):
        make_quality(store, key, config.task, Data(source="files", eval_file=str(tmp_path / "nowhere.csv")))
    with pytest.raises(StoreError, match="can't be read"):
        make_quality(store, "0" * 32, config.task, config.data)


def store_gold_student(store: Store, config: Config, model: str, num_train: int, steps: int = 2) -> None:
    """The demo encoder after a few steps on gold rows, and its result."""
    task, split = config.task, gold.read_train(config.task, config.data)
    assert split is not None
    identity = {"task": [task.target, task.metric, [[label.name, label.score] for label in task.labels]]}

    def build(out: Path) -> dict[str, object]:
        encoder = Path(gold.__file__).parent.parent / "demo" / "encoder"
        train = replace(config.train, steps=steps)
        fit = train_student(task, config.model, str(encoder), None, train, split.examples, (), 0, out, store.work(model), device="cpu")
        return {"training": asdict(fit)}

    with store.lock("model", model) as lock:
        store.publish("model", model, build, identity, lock)
    folder = store.path("result", f"{model}-result")
    folder.mkdir(parents=True)
    about = {"task": task.name, "method": "gold", "data": "sample", "train_source": split.source, "keys": {"model": model}}
    write_json(folder / "result.json", asdict(RESULT) | about | {"num_train": num_train})
    write_json(folder / "meta.json", {})


def test_labels_are_held_against_the_student_of_most_gold_rows(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    key = store_dataset(store, config, pairs(6, config.task))
    _, before = make_quality(store, key, config.task, config.data, say=quiet)
    store_gold_student(store, config, "few", 10)
    store_gold_student(store, config, "most", 100)
    quality, folder = make_quality(store, key, config.task, config.data, "cpu", say=quiet)
    assert folder != before, "a new student makes a new report"
    found = quality.agreement
    assert found is not None
    assert (found["student"]["model"], found["student"]["num_train"], found["n"]) == ("most", 100, 18)
    hits = sum(figures["predicted"].get(name, 0) for name, figures in found["by_label"].items())
    assert found["metrics"]["accuracy"] == pytest.approx(hits / 18)
    assert all(sum(figures["predicted"].values()) == figures["n"] == 6 for figures in found["by_label"].values())


def test_a_regressions_student_is_held_against_by_correlation(composed: Compose, store: Store) -> None:
    config = composed("task=jsts")
    key = store_dataset(store, config, pairs(4, config.task))
    store_gold_student(store, config, "most", 100)
    quality, _ = make_quality(store, key, config.task, config.data, "cpu", say=quiet)
    assert quality.agreement is not None
    assert set(quality.agreement["metrics"]) == {"spearman", "pearson"}
    assert all(0 <= figures["mean_prediction"] <= 5 for figures in quality.agreement["by_label"].values())


def test_only_students_of_the_same_task_labels_and_source_serve(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    store_gold_student(store, config, "sample", 10, steps=1)
    assert find_gold_student(store, config.task, "sample") is not None
    assert find_gold_student(store, config.task, "published") is None
    other: Task = replace(config.task, labels=config.task.labels[::-1])
    assert find_gold_student(store, other, "sample") is None
    assert find_gold_student(store, replace(config.task, name="mine"), "sample") is None
    (store.path("model", "sample") / "meta.json").unlink()
    assert find_gold_student(store, config.task, "sample") is None, "its weights were not kept"


def test_a_student_that_cannot_be_loaded_is_a_reason(composed: Compose, store: Store) -> None:
    config = composed("task=jnli")
    key = store_dataset(store, config, pairs(3, config.task))
    store_gold_student(store, config, "broken", 10, steps=1)
    (store.path("model", "broken") / "config.json").write_text(json.dumps({}), encoding="utf-8")
    quality, _ = make_quality(store, key, config.task, config.data, "cpu", say=quiet)
    assert quality.agreement is None
    assert "can't be loaded" in quality.missing["agreement"]


def test_a_data_set_cut_from_a_stream_knows_its_task(composed: Compose, store: Store) -> None:
    experiment = plan_experiment(composed("task=jcola", "num_per_label=3", "data.split=valid"))
    rows = open_rows(store, experiment.stream)
    replies = {label: [row.texts[1] for row in pairs(9, experiment.task) if row.label == label] for label in experiment.task.label_names}
    rows.append(
        StreamRow(index, label, 0, text, "stop", 10, 5, index) for label, texts in replies.items() for index, text in enumerate(texts)
    )
    rows.close()
    folder = build_dataset(experiment, store, quiet)
    stored = read_task(folder)
    assert stored is not None
    assert stored.task == experiment.task
    quality, _ = make_quality(store, folder.name, stored.task, Data(**stored.data), say=quiet)
    assert quality.rows["train"] + quality.rows["valid"] == 6
