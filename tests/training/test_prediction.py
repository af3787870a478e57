import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer, pipeline

from japagen.config.schema import Encoder, Train
from japagen.errors import TrainingError
from japagen.tasks import Example, Task
from japagen.training.prediction import load_student, predict
from japagen.training.student import train_student
from tests.conftest import ROOT

Student = tuple[Path, list[tuple[str, ...]]]


def train_on(task: Task, rows: list[Example], encoder_path: str, folder: Path) -> Student:
    encoder, train = Encoder(name="tiny", id="tests/tiny", max_length=16), Train(batch_size=16, learning_rate=3e-3, steps=40)
    train_student(task, encoder, encoder_path, None, train, rows[:100], [], 0, folder / task.name, folder / "work", device="cpu")
    return folder / task.name, [row.texts for row in rows[100:180]]


@pytest.fixture(scope="module")
def classifier(keyword_task: Task, keyword_rows: list[Example], encoder_path: str, tmp_path_factory: pytest.TempPathFactory) -> Student:
    return train_on(keyword_task, keyword_rows, encoder_path, tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def regressor(overlap_task: Task, overlap_rows: list[Example], encoder_path: str, tmp_path_factory: pytest.TempPathFactory) -> Student:
    return train_on(overlap_task, overlap_rows, encoder_path, tmp_path_factory.mktemp("regressor"))


def test_probabilities_are_those_of_transformers_pipeline(classifier: Student) -> None:
    folder, texts = classifier
    found: Any = pipeline("text-classification", model=str(folder), device="cpu", top_k=None)([text for (text,) in texts], truncation=True)
    named = [{one["label"]: one["score"] for one in row} for row in found]
    expected = [[row[name] for name in ("with", "without", "other")] for row in named]
    np.testing.assert_allclose(predict(folder, texts, "cpu"), expected, atol=1e-5)


def test_a_regressions_values_are_those_of_transformers_pipeline_within_the_levels(regressor: Student) -> None:
    folder, texts = regressor
    inputs = [{"text": first, "text_pair": second} for first, second in texts]
    expected = [found["score"] for found in pipeline("text-classification", model=str(folder), device="cpu")(inputs, truncation=True)]
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(predict(folder, texts, "cpu")[:, 0], np.clip(expected, 1, 3), atol=1e-5)


def test_a_pair_is_two_segments_also_where_the_tokenizer_leaves_them_out(
    overlap_task: Task, overlap_rows: list[Example], encoder_path: str, tmp_path: Path
) -> None:
    """BertJapaneseTokenizer of transformers 5.19, which is no fast tokenizer either."""
    folder = tmp_path / "japanese"
    shutil.copytree(encoder_path, folder, ignore=shutil.ignore_patterns("tokenizer*"))
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "basic", "subword_tokenizer_type": "character"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    vocabulary = AutoTokenizer.from_pretrained(encoder_path).get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda name: vocabulary[name])), encoding="utf-8")
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(folder)("あい", "うえ")
    student, texts = train_on(overlap_task, overlap_rows, str(folder), tmp_path)
    assert AutoTokenizer.from_pretrained(student)("あい", "う")["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    inputs = [{"text": first, "text_pair": second} for first, second in texts]
    expected = [found["score"] for found in pipeline("text-classification", model=str(student), device="cpu")(inputs, truncation=True)]
    np.testing.assert_allclose(predict(student, texts, "cpu")[:, 0], np.clip(expected, 1, 3), atol=1e-5)


def test_neither_order_nor_batches_change_a_prediction(classifier: Student) -> None:
    folder, texts = classifier
    together = predict(folder, texts, "cpu")
    assert together.dtype == np.float32
    np.testing.assert_allclose(predict(folder, texts[::-1], "cpu", batch_size=7)[::-1], together, atol=1e-5)
    np.testing.assert_allclose(predict(folder, texts[5:6], "cpu"), together[5:6], atol=1e-5)


def test_a_student_loaded_once_predicts_again_and_again(classifier: Student) -> None:
    folder, texts = classifier
    student = load_student(folder, "cpu")
    parts = [student.predict(texts[:30]), student.predict([("か" * 30,)]), student.predict([]), student.predict(texts[30:])]
    np.testing.assert_allclose(np.concatenate([parts[0], parts[3]]), predict(folder, texts, "cpu"), atol=1e-5)
    assert (student.labels, student.is_regression, student.device) == (["with", "without", "other"], False, "cpu")
    assert (student.max_length, student.num_truncated) == (16, 1 + sum(len(text) > 14 for (text,) in texts))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_says_what_the_cpu_says(classifier: Student) -> None:
    folder, texts = classifier
    np.testing.assert_allclose(predict(folder, texts, "cuda"), predict(folder, texts, "cpu"), atol=1e-3)


def test_no_texts_give_no_rows(classifier: Student, regressor: Student) -> None:
    assert predict(classifier[0], [], "cpu").shape == (0, 3)
    assert predict(regressor[0], [], "cpu").shape == (0, 1)


def test_a_folder_without_a_student_is_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the student in .* can't be loaded"):
        predict(tmp_path, [("あ",)], "cpu")


def test_an_encoder_is_no_student(encoder_path: str) -> None:
    with pytest.raises(TrainingError, match=r"no trained classifier: its weights lack .*classifier.bias"):
        load_student(Path(encoder_path), "cpu")


@pytest.mark.parametrize(
    ("student", "problem_type", "said"),
    [("classifier", "multi_label_classification", "several labels"), ("regressor", None, "one output and doesn't say what it means")],
)
def test_other_kinds_of_classifiers_are_refused(
    student: str, problem_type: str | None, said: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(request.getfixturevalue(student)[0], folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"problem_type": problem_type}), encoding="utf-8")
    with pytest.raises(TrainingError, match=said):
        load_student(folder, "cpu")


def test_where_the_tokenizer_states_no_limit_the_encoders_counts(classifier: Student, tmp_path: Path) -> None:
    folder = tmp_path / "unlimited"
    shutil.copytree(classifier[0], folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    del settings["model_max_length"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    student = load_student(folder, "cpu")
    assert student.predict([("か" * 200,)]).shape == (1, 3)
    assert (student.max_length, student.num_truncated) == (64, 1)


def test_predicting_loads_no_lightning() -> None:
    program = "import sys, japagen.training.prediction; sys.exit('pytorch_lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0, "it takes a second"
