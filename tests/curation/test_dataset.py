"""Data sets: what contamination drops, which split a row goes to, and files that others can read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.curation.contamination import EvaluationTexts
from japagen.curation.dataset import (
    Dataset,
    dataset_card,
    is_valid,
    make_dataset,
    read_examples,
    selected_examples,
    write_dataset,
    write_examples,
)
from japagen.curation.select import Accepted, Selector
from japagen.tasks import Example, Task
from tests.conftest import Compose

LONG = "白い大きな犬が公園の芝生の上を元気に走っています。"


def test_exact_and_ngram_matches() -> None:
    exact, ngram = (EvaluationTexts([LONG, "ＡＢＣの看板。"], ngrams) for ngrams in (False, True))
    for texts in (exact, ngram):
        assert texts.match(LONG)
        assert texts.match("ABCの看板。"), "compared as NFKC"
        assert not texts.match("黒い猫が屋根の上で眠っています。")
    shares_13 = "茶色い" + LONG[3:16] + "いる。"
    assert ngram.match(shares_13)
    assert not exact.match(shares_13)
    assert not ngram.match("茶色い" + LONG[3:15] + "いる。"), "12 characters are no match"


def filled(composed: Compose, task: str, num: int = 50) -> Selector:
    config = composed(f"task={task}")
    selector = Selector(config.task, config.curate, num)
    for index in range(num):
        for label in config.task.label_names:
            texts = (f"{index}番目の犬が走る。", f"{label}の{index}番目の猫。")[: config.task.num_turns]
            texts = texts if config.task.is_pair else (f"{label}の{index}番目の犬。",)
            selector.accepted.append(Accepted(label, index, texts))
    return selector


def made(task: Task, selector: Selector, evaluation: EvaluationTexts | None = None) -> Dataset:
    return make_dataset(task, selected_examples(task, selector), selector.counts, selector.rejected, evaluation)


@pytest.mark.parametrize("name", ["jcola", "jsts"])
def test_soft_labels_and_weights_come_back(composed: Compose, tmp_path: Path, name: str) -> None:
    task = composed(f"task={name}").task
    size = len(task.labels)
    rows = [
        Example(("甲である。", "乙である。")[: task.num_turns], task.label_names[1], 0.8 if task.is_regression else None, "a/1"),
        Example(("丙である。", "丁である。")[: task.num_turns], task.label_names[0], 0.0 if task.is_regression else None, "b/7",
                (0.7, 0.3) + (0.0,) * (size - 2), 2.5),
    ]  # fmt: skip
    write_examples(task, rows, tmp_path / "rows.parquet")
    assert read_examples(task, tmp_path / "rows.parquet") == tuple(rows)


def test_contamination_is_counted_and_not_replaced(composed: Compose) -> None:
    selector = filled(composed, "jcola")
    dataset = made(composed("task=jcola").task, selector, EvaluationTexts(["acceptableの3番目の犬。"], False))
    assert dataset.rejects["acceptable"] == {"contamination": 1}
    assert len(dataset.train) + len(dataset.valid) == 99
    assert [one.text for one in dataset.rejected] == ["acceptableの3番目の犬。"]


def test_valid_is_a_tenth_and_never_shares_a_first_sentence_with_train(composed: Compose) -> None:
    dataset = made(composed("task=jnli").task, filled(composed, "jnli", 1000))
    assert 0.07 < len(dataset.valid) / 3000 < 0.13
    assert not {one.texts[0] for one in dataset.train} & {one.texts[0] for one in dataset.valid}


@given(st.text())
def test_the_split_hangs_on_the_text_alone(text: str) -> None:
    assert is_valid(text) == is_valid(f" {text} ")


@pytest.mark.parametrize("task", ["jcola", "jnli", "jsts"])
def test_files_come_back_and_load_with_datasets(composed: Compose, tmp_path: Path, task: str) -> None:
    import datasets

    schema = composed(f"task={task}").task
    dataset = made(schema, filled(composed, task))
    folder = tmp_path / "data"
    folder.mkdir()
    write_dataset(schema, dataset, folder, dataset_card(schema, dataset, {"language model": "x"}))
    assert read_examples(schema, folder / "train.parquet") == dataset.train
    loaded = datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": len(dataset.train), "validation": len(dataset.valid)}
    assert loaded["train"].column_names == ["id", *schema.fields, schema.label_field]


def test_the_same_selection_gives_the_same_bytes(composed: Compose, tmp_path: Path) -> None:
    schema = composed("task=jnli").task
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        dataset = made(schema, filled(composed, "jnli"))
        write_dataset(schema, dataset, tmp_path / name, "card")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
