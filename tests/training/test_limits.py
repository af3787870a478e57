"""Texts longer than the encoder takes are refused when an experiment is planned, as far as its files tell."""

import json
from pathlib import Path

import pytest

from japagen.config.schema import Data, Encoder
from japagen.errors import ConfigError
from japagen.experiments.planning import Planner, plan_experiment
from japagen.gold import read_eval
from japagen.hub.models import PACKAGE
from japagen.training.limits import check_stated_length, fitting_length, max_length_of
from tests.conftest import MIRROR, Compose, load_task, needs_mirror

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_plan_refuses_before_anything_is_made(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"model\.max_length=257 is more than encoder 'demo' takes; allowed: 8 to 256"):
        plan_experiment(composed("model.max_length=257"))
    assert plan_experiment(composed("model.max_length=256")).keys


@pytest.mark.parametrize(
    ("model", "tokenizer", "allowed"),
    [
        ({"max_position_embeddings": 514}, {"model_max_length": 512}, 512),
        ({"max_position_embeddings": 512}, {"model_max_length": 10**30}, 512),
        ({"max_position_embeddings": 512}, None, 512),
        ({}, {"model_max_length": 512}, 512),
    ],
)
def test_the_smaller_limit_counts(tmp_path: Path, model: dict[str, int], tokenizer: dict[str, int] | None, allowed: int) -> None:
    write(tmp_path, model, tokenizer)
    check_stated_length(Encoder(name="tiny", id=str(tmp_path), max_length=allowed), "")
    with pytest.raises(ConfigError, match=f"allowed: 8 to {allowed}"):
        check_stated_length(Encoder(name="tiny", id=str(tmp_path), max_length=allowed + 1), "")


@pytest.mark.parametrize("tokenizer", ["", "[]", '{"model_max_length": "long"}', "\udcff"])
def test_what_files_do_not_say_is_left_to_training(tmp_path: Path, tokenizer: str) -> None:
    write(tmp_path, {})
    (tmp_path / "tokenizer_config.json").write_bytes(tokenizer.encode(errors="surrogateescape"))
    check_stated_length(Encoder(name="tiny", id=str(tmp_path), max_length=100_000), "")


@pytest.mark.parametrize(
    ("task", "length"), [("jcola", 128), ("jnli", 136), ("jsts", 136), ("news", 256), ("marcja", 512), ("banking77", 256)]
)
def test_a_length_follows_from_the_tasks_characters(task: str, length: int) -> None:
    assert max_length_of(Encoder(name="tiny", id="x"), load_task(task)) == length
    assert max_length_of(Encoder(name="tiny", id="x", max_length=64), load_task(task)) == 64


def test_a_derived_length_is_lowered_and_never_refused(composed: Compose) -> None:
    assert fitting_length(Encoder(name="tiny", id="x"), 512, [256, None, 10**30]) == 256
    assert plan_experiment(composed("task=news", "task.gold_chars=9999")).keys, "the demo encoder takes 256 tokens"


@needs_mirror
@pytest.mark.parametrize("task", ["jcola", "jnli", "jsts", "news"])
def test_scored_rows_fit_the_derived_length(task: str) -> None:
    """By the demo encoder's tokenizer, at most one scored row in a thousand is cut."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(PACKAGE / "demo" / "encoder" / "tokenizer.json"))
    tokenizer.no_truncation()
    schema = load_task(task)
    scored = read_eval(schema, Data(source="published", split=schema.published.scored, mirror=str(MIRROR)))
    assert scored is not None
    lengths = [len(tokenizer.encode(*row.texts).ids) for row in scored.examples]
    length = max_length_of(Encoder(name="tiny", id="x"), schema)
    assert sum(num > length for num in lengths) <= 0.001 * len(lengths)


def test_a_hub_model_in_the_cache_is_looked_at_and_a_missing_one_is_not_fetched_for_a_look_ahead(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = ["model.id=owner/cached", f"model.revision={COMMIT}", "model.max_length=513"]
    with monkeypatch.context() as unfetched:
        unfetched.setattr("japagen.training.limits.find_file", lambda *_: pytest.fail("a look ahead fetches nothing"))
        assert Planner(tentative=True).plan(composed(*asked)).encoder_revision == COMMIT
    assert plan_experiment(composed(*asked)).encoder_revision == COMMIT, "the hub can't be reached: training will tell"
    write(tmp_path / "models--owner--cached" / "snapshots" / COMMIT, {"max_position_embeddings": 512})
    with pytest.raises(ConfigError, match="allowed: 8 to 512"):
        plan_experiment(composed(*asked))


def write(folder: Path, model: dict[str, int], tokenizer: dict[str, int] | None = None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(model), encoding="utf-8")
    if tokenizer is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
