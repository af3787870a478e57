"""Vectors of an encoder without training: mean-pooled, in the texts' order, and made once for a sweep's seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from japagen.config.schema import Encoder
from japagen.errors import TrainingError
from japagen.tasks import Example, Task
from japagen.training import frozen
from japagen.training.frozen import frozen_encoder
from tests.training.conftest import texts


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_kept", {})


def test_vectors_are_the_mean_of_the_last_layer_over_a_texts_tokens(keyword_task: Task, encoder: Encoder, encoder_path: str) -> None:
    some = texts(150, seed=4)  # three batches, by length
    found = frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")(some)
    assert (found.shape, found.dtype) == ((150, 32), np.float32)
    tokenizer, model = AutoTokenizer.from_pretrained(encoder_path), AutoModel.from_pretrained(encoder_path, dtype=torch.float32).eval()
    for index in (0, 17, 149):
        with torch.inference_mode():
            hidden = model(**tokenizer(some[index], return_tensors="pt")).last_hidden_state[0]
        np.testing.assert_allclose(found[index], hidden.mean(dim=0), atol=1e-5)


def test_a_pair_task_and_a_regression_have_the_same_vectors(
    keyword_task: Task, overlap_task: Task, encoder: Encoder, encoder_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = texts(9, seed=5)
    first = frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")(some)
    monkeypatch.setattr(frozen, "_kept", {})
    np.testing.assert_array_equal(first, frozen_encoder(overlap_task, encoder, encoder_path, None, "cpu")(some))


def test_texts_are_encoded_once_in_a_process(
    keyword_task: Task, encoder: Encoder, encoder_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = texts(20, seed=6)
    first = frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")(some)
    monkeypatch.setattr(frozen, "load", lambda *_: pytest.fail("loaded again"))
    assert frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")(list(some)) is first
    with pytest.raises(BaseException, match="loaded again"):
        frozen_encoder(keyword_task, replace(encoder, max_length=8), encoder_path, None, "cpu")(some)


def test_memory_is_bounded(keyword_task: Task, encoder: Encoder, encoder_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_MOST_KEPT", 25)
    encode = frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")
    for seed in range(3):
        encode(texts(10, seed=seed))
    assert [len(vectors) for vectors in frozen._kept.values()] == [10, 10]


def test_training_draws_the_same_head_after_it(keyword_task: Task, encoder: Encoder, encoder_path: str) -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")(["あい"])
    assert torch.equal(torch.rand(4), expected)


def test_no_texts_have_no_vectors_and_faults_are_told(keyword_task: Task, encoder: Encoder, encoder_path: str, tmp_path: Path) -> None:
    assert len(frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")([])) == 0
    with pytest.raises(TrainingError, match="the tokenizer of 'tests/tiny' can't be loaded"):
        frozen_encoder(keyword_task, encoder, str(tmp_path), None, "cpu")(["あ"])


def test_long_texts_are_cut_as_a_students(keyword_task: Task, encoder: Encoder, encoder_path: str) -> None:
    short = replace(encoder, max_length=8)
    found = frozen_encoder(keyword_task, short, encoder_path, None, "cpu")(["あいうえおか", "あいうえおかきくけこ"])
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_labelled_rows_are_told_apart_by_its_vectors(
    keyword_task: Task, keyword_rows: list[Example], encoder: Encoder, encoder_path: str
) -> None:
    from japagen.evaluation import vectors
    from japagen.evaluation.metrics import score

    encode = frozen_encoder(keyword_task, encoder, encoder_path, None, "cpu")
    accuracy = score(keyword_task, keyword_rows[240:], vectors.frozen(keyword_task, keyword_rows[:240], keyword_rows[240:], encode))[
        "accuracy"
    ]
    assert accuracy is not None
    assert accuracy > 0.5, "two layers of random weights tell めめ from もも"
