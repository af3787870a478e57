"""Label frequencies, lengths and nearest neighbours beside gold."""

import json

import pytest

from japagen.config.schema import Config
from japagen.quality.likeness import balance, label_weights, lengths, neighbours
from japagen.tasks import Example
from tests.conftest import Compose, load_task
from tests.stubs.stored_quality import pairs


@pytest.fixture
def jnli(composed: Compose) -> Config:
    return composed("task=jnli")


def test_frequencies_count_rows_weights_and_soft_labels(jnli: Config) -> None:
    rows = [
        Example(("甲", "乙"), "entailment", weight=3.0),
        Example(("甲", "丙"), "neutral", probs=(0.25, 0.0, 0.75)),
    ]
    gold = [Example(("丁", "戊"), "neutral")] * 4
    found = balance(jnli.task, rows, gold)
    assert [label["rows"] for label in found.values()] == [1, 0, 1]
    assert [label["weighted_share"] for label in found.values()] == pytest.approx([3.25 / 4, 0, 0.75 / 4])
    assert [label["gold_share"] for label in found.values()] == [0, 0, 1]
    assert balance(jnli.task, rows, None)["neutral"]["gold_share"] is None
    assert label_weights(jnli.task, []).tolist() == [0, 0, 0]


def test_lengths_are_characters_by_field_and_label(jnli: Config) -> None:
    rows = [Example(("ああ", "い"), "entailment"), Example(("ああ", "いいい"), "neutral")]
    found = lengths(jnli.task, rows, [Example(("うう", "ええええ"), "neutral")])
    assert found["sentence1"]["ks_distance"] == 0
    assert found["sentence2"]["ks_distance"] == 1
    assert found["sentence2"]["synthetic"]["n"] == 2
    assert found["sentence2"]["mean_by_label"] == {"entailment": 1.0, "contradiction": None, "neutral": 3.0}
    alone = lengths(jnli.task, rows, None)
    assert alone["sentence1"]["gold"] is None
    assert alone["sentence1"]["ks_distance"] is None


def test_a_copied_gold_row_is_found_and_named_by_its_id() -> None:
    gold = [
        Example((text,), "acceptable", id=f"g{index}")
        for index, text in enumerate(["犬が庭を走る。", "雨が降り出した。", "駅で待ち合わせる。"])
    ]
    rows = [
        Example(("雨が降り出した。",), "acceptable", id="acceptable/0"),
        Example(("パソコンを買い替えたい。",), "acceptable", id="acceptable/1"),
    ]
    found = neighbours(rows, gold)
    assert found["closest"][0] == {"id": "acceptable/0", "gold_id": "g1", "cosine": pytest.approx(1.0)}
    assert found["share_from"] == {"0.5": 0.5, "0.8": 0.5}
    assert found["gold_to_gold"]["cosine"]["quantiles"]["1"] < 0.5, "a gold row is no neighbour of its own"
    assert "雨" not in json.dumps(found, ensure_ascii=False)
    assert neighbours(rows, gold[:1])["gold_to_gold"] is None


def test_rows_beyond_one_chunk_are_compared_with_all() -> None:
    task = load_task("jnli")
    rows = pairs(150, task)
    found = neighbours(rows, rows)
    assert found["cosine"]["n"] == found["gold_rows"] == 450
    assert found["cosine"]["quantiles"]["0"] == pytest.approx(1.0, abs=1e-5)
    assert all(neighbour["id"] == neighbour["gold_id"] for neighbour in found["closest"])
