"""Size of an LLM from its config.json, and speed from a probe."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, AutoModelForCausalLM

from japagen.config.llm import LLM, Sampling
from japagen.llm import estimate
from japagen.llm.estimate import Probe, Weights, count_weights, offer, tokens_per_s

QWEN = {"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
QWEN |= {"num_key_value_heads": 2, "head_dim": 16, "vocab_size": 1000}
MIXTURE = QWEN | {"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def written(folder: Path, config: dict[str, Any]) -> Path:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder / "config.json"


@pytest.mark.parametrize("is_tied", [True, False])
def test_weights_are_those_of_the_model(is_tied: bool, tmp_path: Path) -> None:
    config = QWEN | {"tie_word_embeddings": is_tied}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    found = count_weights(written(tmp_path, config))
    assert found is not None
    assert found.num_all == sum(weight.numel() for weight in model.parameters())
    assert found.num_active == found.num_all - (0 if is_tied else 64_000)
    assert found.num_layers == 2
    assert found.vocab_size == 1000


def test_of_a_mixture_of_experts_those_at_work_count(tmp_path: Path) -> None:
    found = count_weights(written(tmp_path, MIXTURE | {"tie_word_embeddings": True}))
    assert found is not None
    experts = 2 * 8 * 3 * 64 * 32
    assert found.num_active == found.num_all - experts * 6 // 8


def test_an_architecture_that_transformers_does_not_know_has_no_estimate(tmp_path: Path) -> None:
    written(tmp_path, {"model_type": "never_heard_of"})
    assert count_weights(tmp_path / "config.json") is None
    assert "can't be estimated" in offer(LLM(name="x", id=str(tmp_path)))


def test_speed_follows_bandwidth_for_one_request_and_operations_for_many() -> None:
    weights = Weights(10**9, 10**9, 0, 100_000)
    slow = Probe("float32", 2, 10e9, 100e9, 1e8)
    assert tokens_per_s(weights, slow, 1, sorts=False) == pytest.approx(2.4, rel=0.05)
    assert tokens_per_s(weights, slow, 1000, sorts=False) == pytest.approx(50, rel=0.05)


def test_sorting_the_vocabulary_takes_its_time_for_each_request() -> None:
    weights, measured = Weights(10**6, 10**6, 0, 250_000), Probe("float32", 2, 10e9, 100e9, 1e8)
    assert tokens_per_s(weights, measured, 64, sorts=False) > 1000
    assert tokens_per_s(weights, measured, 64) == pytest.approx(400, rel=0.25)


def test_the_offer_states_speed_time_and_switch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, QWEN)
    monkeypatch.setattr(estimate, "probe", lambda dtype, threads: Probe(dtype, threads, 10e9, 100e9, 1e8))
    monkeypatch.setattr(estimate, "tokens_per_s", lambda *_, **__: 50.0)
    llm = LLM(name="x", id=str(tmp_path), dtype="float32", sampling=Sampling(max_tokens=100))
    said = offer(llm, 3600)
    assert "about 50 tokens/s with 64 requests open" in said
    assert "100 GFLOP/s, 10 GB/s" in said
    assert "3,600 replies of at most 100 tokens take up to 2.0 h" in said
    assert said.endswith("add device=cpu.")


def test_what_exceeds_the_memory_is_not_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, QWEN)
    monkeypatch.setattr(estimate, "machine_memory_gb", lambda: 1.0)
    said = offer(LLM(name="x", id=str(tmp_path)))
    assert "this machine has 1 GB" in said
    assert "device=cpu" not in said


def test_the_probe_measures_this_machine() -> None:
    measured = estimate.probe("float32", 1)
    assert 1e8 < measured.bytes_per_s < 1e12
    assert 1e9 < measured.operations_per_s < 1e14
    assert 1e5 < measured.sorted_per_s < 1e11
