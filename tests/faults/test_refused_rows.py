"""1% of requests are refused for good: the run ends well, lists them, and its exit code says so; the same command again says the same."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.faults.program import Forker
from tests.stubs.stub_llm import StubLLM, serving

pytestmark = [pytest.mark.faults, pytest.mark.slow]
ASKED = json.loads((ROOT / "japagen/data/sample/jcola/valid.jsonl").read_text(encoding="utf-8").splitlines()[16])["sentence"]
"""The text that prompting gets no answer to."""
SUMMARY = re.compile(r"^\d+ row\(s\) failed for good.*", re.MULTILINE | re.DOTALL)


@dataclass
class Refusing(StubLLM):
    """Refuses every hundredth seed, hence one row in a hundred of each label and turn; and questions about ASKED."""

    refuses: bool = True
    refused: list[int | None] = field(default_factory=list)
    num_asked: int = 0

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        seed = body.get("seed")
        self.num_asked += 1
        is_hundredth = seed % 100 == 7 if seed is not None else ASKED in body["messages"][-1]["content"]
        if self.refuses and is_hundredth:
            self.refused.append(seed)
            return 400, {"error": {"message": "not\tthis one\x1b[31m"}}
        return super().answer(path, body)


@pytest.fixture
def stub() -> Iterator[Refusing]:
    with serving(Refusing()) as server:
        assert isinstance(server, Refusing)
        yield server


@pytest.fixture
def run(forker: Forker, stub: Refusing, tmp_path: Path) -> Any:
    """Runs run.py in one store; exit code, and what it printed."""

    def start(*arguments: str) -> tuple[int, str]:
        folders = [f"store={tmp_path}/store", f"hydra.run.dir={tmp_path}/hydra", f"hydra.sweep.dir={tmp_path}/hydra"]
        settings = ["num_per_label=100", "synthesis.texts_per_request=1", "train.epochs=1", "train.min_steps=20", "logger=none"]
        given = (*arguments, *stub.overrides, *settings, *folders)
        ended = forker.start(given, tmp_path / "store", tmp_path / "log").wait()
        return ended.code, ended.printed

    return start


def summary(printed: str) -> str:
    found = SUMMARY.search(printed)
    assert found is not None, printed
    return found[0]


def test_refused_texts_are_replaced_and_told(run: Any, stub: Refusing, tmp_path: Path) -> None:
    code, printed = run("task=jcola")
    assert code == 3, printed
    said = summary(printed)
    assert said.startswith(f"{len(stub.refused)} row(s) failed for good")
    assert len(stub.refused) == len(set(stub.refused)) >= 2, "each is asked for once"
    (kept,) = (tmp_path / "store").glob("streams/*/rows-*.jsonl")
    num_rows = len(kept.read_bytes().splitlines())
    assert f"  jcola 0-shot base, stream by demo: {len(stub.refused)} of {num_rows} rows; others are written in their place\n" in said
    assert re.search(r"    acceptable/\d+, .*unacceptable/\d+: status 400: .*this one.*\n", said)
    assert said.endswith("exit code 3: all is done but for these rows\n")
    assert f"all of them: japagen show {kept.parent}\n" in said

    num_asked = stub.num_asked
    code, printed = run("task=jcola")
    assert (code, summary(printed)) == (3, said)
    assert stub.num_asked == num_asked, "the second time nothing is asked"

    code, printed = run("-m", "task=jcola", "train.learning_rate=1e30")
    assert code == 1, "a failed experiment counts for more"
    assert "1 of 1 experiments failed" in printed
    assert f"{len(stub.refused)} row(s) failed for good" in printed
    assert "exit code 3" not in printed


def test_a_sweep_of_pairs_tells_of_both_sentences(run: Any, stub: Refusing) -> None:
    code, printed = run("-m", "task=jnli")
    assert code == 3, printed
    said = summary(printed)
    assert said.startswith(f"{len(stub.refused)} row(s) failed for good")
    assert re.search(r"    .*first sentence \d+.*: status 400: ", said)
    assert all(label in said for label in ("entailment/", "neutral/", "contradiction/"))

    num_asked = stub.num_asked
    code, printed = run("-m", "task=jnli")
    assert (code, summary(printed)) == (3, said)
    assert stub.num_asked == num_asked


def test_a_question_without_an_answer_is_told(run: Any, stub: Refusing) -> None:
    stub.write = lambda messages, seed: "容認できる"
    code, printed = run("task=jcola", "method=prompting", "method.answer=free")
    assert code == 3, printed
    said = summary(printed)
    assert "  jcola 0-shot base, answers by demo: 1 of 120 rows; they count as unanswered\n    text 16: status 400: " in said
    assert "no usable answer to 1 of 120 rows" in printed

    num_asked = stub.num_asked
    code, printed = run("task=jcola", "method=prompting", "method.answer=free")
    assert (code, summary(printed)) == (3, said)
    assert stub.num_asked == num_asked


def test_nothing_is_told_where_nothing_was_refused(run: Any, stub: Refusing) -> None:
    stub.refuses = False
    stub.write = lambda messages, seed: "容認できる"
    code, printed = run("task=jcola", "method=prompting", "method.answer=free")
    assert code == 0, printed
    assert "failed for good" not in printed
