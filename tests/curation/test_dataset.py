"""Data sets: what contamination drops, which split a row goes to, and files that others can read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.curation.contamination import EvaluationTexts
from japagen.curation.dataset import dataset_card, is_valid, make_dataset, read_examples, write_dataset
from japagen.curation.select import Accepted, Selector
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


def test_contamination_is_counted_and_not_replaced(composed: Compose) -> None:
    selector = filled(composed, "jcola")
    dataset = make_dataset(composed("task=jcola").task, selector, EvaluationTexts(["acceptableの3番目の犬。"], False))
    assert dataset.rejects["acceptable"] == {"contamination": 1}
    assert len(dataset.train) + len(dataset.valid) == 99
    assert [one.text for one in dataset.rejected] == ["acceptableの3番目の犬。"]


def test_valid_is_a_tenth_and_never_shares_a_first_sentence_with_train(composed: Compose) -> None:
    dataset = make_dataset(composed("task=jnli").task, filled(composed, "jnli", 1000), None)
    assert 0.07 < len(dataset.valid) / 3000 < 0.13
    assert not {one.texts[0] for one in dataset.train} & {one.texts[0] for one in dataset.valid}


@given(st.text())
def test_the_split_hangs_on_the_text_alone(text: str) -> None:
    assert is_valid(text) == is_valid(f" {text} ")


@pytest.mark.parametrize("task", ["jcola", "jnli", "jsts"])
def test_files_come_back_and_load_with_datasets(composed: Compose, tmp_path: Path, task: str) -> None:
    import datasets

    schema = composed(f"task={task}").task
    dataset = make_dataset(schema, filled(composed, task), None)
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
        dataset = make_dataset(schema, filled(composed, "jnli"), None)
        write_dataset(schema, dataset, tmp_path / name, "card")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
