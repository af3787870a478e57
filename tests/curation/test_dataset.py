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


@pytest.mark.parametrize("keeps", [False, True])
def test_contamination_is_counted_and_not_replaced(composed: Compose, keeps: bool) -> None:
    task, evaluation = composed("task=jcola").task, EvaluationTexts(["３番目の黒い犬が庭を走る。"])
    made_of = (("acceptable", "黒い犬が庭を走る。"), ("unacceptable", "白い犬が寝てが。"))
    examples = [Example((f"{index}番目の{text}",), label, id=f"{label}/{index}") for label, text in made_of for index in (3, 40)]
    dataset = make_dataset(task, examples, {}, [], evaluation, keeps_matches=keeps)
    assert dataset.contaminated == {"acceptable": 1}
    assert dataset.rejects == ({} if keeps else {"acceptable": {"contamination": 1}})
    assert len(dataset.train) + len(dataset.valid) == 4 if keeps else 3
    assert [row.text for row in dataset.rejected] == ([] if keeps else ["3番目の黒い犬が庭を走る。"])


def test_a_text_under_two_labels_says_nothing_of_either(composed: Compose) -> None:
    rows = [("犬が走る。", "acceptable"), ("ｲﾇが走る。", "unacceptable"), ("猫が寝る。", "acceptable"), ("イヌが走る。", "acceptable")]
    examples = [Example((text,), label, id=f"{label}/{index}") for index, (text, label) in enumerate(rows)]
    dataset = make_dataset(composed("task=jcola").task, examples, {"acceptable": {"too short": 1}}, [], None)
    assert dataset.rejects == {"acceptable": {"too short": 1, "two labels": 1}, "unacceptable": {"two labels": 1}}
    assert sorted(row.texts[0] for row in (*dataset.train, *dataset.valid)) == ["犬が走る。", "猫が寝る。"]


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
