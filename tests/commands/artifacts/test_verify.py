"""`japagen verify` on a result that a run made with a stub for the LLM: what is as it was, and every way to tamper with it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from japagen.commands.artifacts.verification import differences
from japagen.commands.artifacts.verify import main
from japagen.curation.label_noise import write_noise
from japagen.errors import StoreError
from japagen.quality.label_sheets import Sheet, dataset_rows, measure_noise
from japagen.store.store import Store
from launch.execute import execute
from tests.conftest import Compose, load_task
from tests.stubs.stub_llm import StubLLM, serving

Verify = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def made(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("verify") / "store"
    with pytest.MonkeyPatch.context() as patched, serving(StubLLM()) as stub:
        patched.setenv("no_proxy", "*")
        settings = [
            "task=jcola",
            "num_per_label=8",
            "train.epochs=1",
            "train.min_steps=20",
            "logger=none",
            "train.keep=all",
            f"store={store}",
            *stub.overrides,
        ]
        execute([composed(*settings)], "made")
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(made, tmp_path / "store"))


@pytest.fixture
def verify(store: Store, capsys: pytest.CaptureFixture[str]) -> Verify:
    def run(*arguments: str) -> tuple[int, list[str]]:
        capsys.readouterr()
        key = next((store.root / "results").iterdir()).name
        code = main([key, *arguments, "--store", str(store.root)])
        return code, capsys.readouterr().out.splitlines()

    return run


def the(store: Store, pattern: str) -> Path:
    (found,) = store.root.glob(pattern)
    return found


def starting(lines: list[str], word: str) -> list[str]:
    return [line for line in lines if line.startswith(word)]


def test_what_was_left_alone_is_the_same_and_stays_so(store: Store, verify: Verify) -> None:
    before = {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}
    code, lines = verify("--train")
    assert code == 0, lines
    assert not [line for line in lines if line.startswith(("differs", "close", "not checked"))]
    same = "\n".join(starting(lines, "same"))
    for what in (
        "keys",
        "replies",
        "data set: made again",
        "student: made again, model.safetensors byte for byte",
        "predictions",
        "scores",
    ):
        assert what in same
    assert before == {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


def test_label_noise_is_computed_again_from_what_people_wrote(store: Store, verify: Verify) -> None:
    key, task = the(store, "datasets/*").name, load_task("jcola")
    rows = dataset_rows(store, key, task)
    found = measure_noise(task, key, rows, [Sheet("anna.csv", {row.id: "acceptable" for row in rows})])
    write_noise(store, found)
    assert any("label noise" in line for line in starting(verify()[1], "same"))
    write_noise(store, replace(found, answers={**found.answers, rows[0].id: ["unclear"]}))
    assert any("label noise" in line and "is now" in line for line in starting(verify()[1], "differs"))
    write_noise(store, replace(found, answers={"acceptable/999999": ["acceptable"]}))
    assert any("label noise" in line for line in starting(verify()[1], "differs"))


def test_a_reply_that_was_changed_comes_out_in_all_that_follows(store: Store, verify: Verify) -> None:
    path = the(store, "streams/*/rows-*.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(row | {"text": row["text"][::-1], "seed": 1}) + "\n" for row in rows), encoding="utf-8")
    code, lines = verify()
    assert code == 1
    assert any("replies" in line and "don't have the seed" in line for line in starting(lines, "differs"))
    assert any("data set" in line and "came out otherwise" in line for line in starting(lines, "differs"))


def test_a_file_that_was_changed_is_named(store: Store, verify: Verify) -> None:
    the(store, "datasets/*/valid.parquet").write_bytes(b"nothing")
    code, lines = verify()
    assert code == 1
    assert any("valid.parquet" in line and "files of data set" in line for line in starting(lines, "differs"))


def test_a_score_that_was_changed_is_named(store: Store, verify: Verify) -> None:
    path = the(store, "results/*/result.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["metrics"]["mcc"]["value"] = 0.99
    path.write_text(json.dumps(content), encoding="utf-8")
    code, lines = verify()
    assert code == 1
    assert any("scores: metrics.mcc.value: 0.99 is now" in line for line in starting(lines, "differs"))


def test_without_weights_the_data_set_is_made_again_and_the_rest_is_not_checked(store: Store, verify: Verify) -> None:
    shutil.rmtree(the(store, "models/*"))
    code, lines = verify()
    assert code == 0
    assert any("--train" in line for line in starting(lines, "not checked"))
    assert any("data set: made again" in line for line in starting(lines, "same"))
    code, lines = verify("--train")
    assert code == 0
    assert any("scores" in line for line in starting(lines, "same"))


def test_a_lost_stream_is_said(store: Store, verify: Verify) -> None:
    shutil.rmtree(the(store, "streams/*"))
    code, lines = verify()
    assert code == 0
    assert any("the store has no stream of it any more" in line for line in starting(lines, "not checked"))


def test_gold_data_that_changed_are_said(store: Store, verify: Verify) -> None:
    path = the(store, "sweeps/made/configs/00000.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    content["num_per_label"] = 9
    path.write_text(json.dumps(content), encoding="utf-8")
    code, lines = verify()
    assert code == 1
    assert any(line for line in starting(lines, "differs") if "keys: dataset, model, result" in line)


def test_what_is_no_result_or_was_planned_by_nobody_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="is no result; name one"):
        main([the(store, "datasets/*").name, "--store", str(store.root)])
    shutil.rmtree(store.root / "sweeps")
    with pytest.raises(StoreError, match=r"no sweep in .* planned"):
        main([the(store, "results/*").name, "--store", str(store.root)])


def test_differences_are_found_at_any_depth() -> None:
    old, new = {"a": {"b": 1.0, "c": None}, "d": [1]}, {"a": {"b": 1.0, "c": 2}, "e": 0}
    assert list(differences(old, new)) == [("a.c", None, 2), ("d", [1], None), ("e", None, 0)]
