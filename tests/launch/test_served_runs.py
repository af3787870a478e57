"""Runs against servers that somebody else runs: limits on what they cost, one message for one refusal, workers that ask nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from japagen.experiments.result import Failure, Result
from launch import console
from launch.execute import execute
from tests.conftest import Compose
from tests.stubs.stub_llm import StubLLM, serving

QUICK = [
    "task=jcola",
    "num_per_label=8",
    "train.epochs=1",
    "train.min_steps=20",
    "logger=none",
    "synthesis.concurrency=2",
    "synthesis.texts_per_request=2",
]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_errors", [])


@pytest.fixture
def stub_llm() -> Iterator[StubLLM]:
    with serving(StubLLM(owned_by="org", told={"root": "org/model"})) as stub:
        yield stub


def test_a_run_ends_at_its_limit_and_goes_on_past_it(
    composed: Compose, stub_llm: StubLLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = [*QUICK, *stub_llm.overrides, f"store={tmp_path}/store", "llm.price_per_million_tokens=1000"]
    (failed,) = execute([composed(*asks, "llm.max_cost=0.5")], str(tmp_path / "a"))
    assert isinstance(failed, Failure)
    assert "llm.max_cost=0.5 is reached: 0." in failed.cause
    assert "set llm.max_cost to " in failed.cause
    output = capsys.readouterr().out
    assert output.count("and the same command goes on") == 1, "told once in full"
    assert "llm.max_cost=0.5 is reached" in output.rpartition("failed: ")[2], "the closing line names it"
    num_asked = len(stub_llm.bodies)
    (done,) = execute([composed(*asks, "llm.max_cost=50")], str(tmp_path / "b"))
    assert isinstance(done, Result)
    assert done.keys["stream"], "the limit is in no key"
    assert {body["seed"] for body in stub_llm.bodies[:num_asked]}.isdisjoint(body["seed"] for body in stub_llm.bodies[num_asked:])
    assert stub_llm.models_asked == 4, "each run asks once as it plans, and once before work starts"


def test_a_refusal_is_told_once(composed: Compose, stub_llm: StubLLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "Unsupported value: 'temperature' does not support 0.7 with this model. Only the default (1) value is supported."
    stub_llm.refuse = lambda body: (400, {"error": {"message": words}})
    (failed,) = execute([composed(*QUICK, *stub_llm.overrides, f"store={tmp_path}/store")], str(tmp_path / "a"))
    assert isinstance(failed, Failure)
    assert "set llm.sampling.temperature=1.0" in failed.cause
    assert capsys.readouterr().out.count(words[:60]) == 1
