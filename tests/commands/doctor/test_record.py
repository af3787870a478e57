"""doctor --record: the speed of an LLM and an encoder on this machine, kept in the store and shown afterwards."""

import json
from pathlib import Path
from typing import Any

import pytest

from japagen.commands.doctor import doctor, encoder, llm, record
from japagen.config.composition import compose_config
from japagen.errors import ConfigError
from japagen.store.store import Store
from japagen.training import speed
from tests.stubs.stub_llm import StubLLM


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No installation is checked, and few steps are timed."""
    monkeypatch.setattr(doctor, "check_installation", lambda config, config_dir: [])
    monkeypatch.setattr(speed, "TIMED_S", 0.0)
    monkeypatch.setattr(speed, "NUM_TEXTS", 16)


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())  # lines are wrapped


def recorded(store: Path) -> dict[str, Any]:
    (path,) = (store / "records").iterdir()
    content = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def test_an_llm_and_an_encoder_are_recorded_and_shown_afterwards(
    stub_llm: StubLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (0.5, 0.5, 0.5))
    named = [*stub_llm.overrides, "model=demo", "task=jsts", "train.batch_size=4", f"store={tmp_path}", "device=cpu"]
    assert doctor.main(named) == 0
    assert "recorded never; --record keeps date, hardware and speed in" in printed(capsys)
    assert not (tmp_path / "records").exists()
    assert doctor.main([*named, "--record"]) == 0
    content = recorded(tmp_path)
    output = printed(capsys)
    assert f"recorded in {tmp_path}/records/" in output
    assert "measured" in output
    assert content["hardware"].keys() >= {"cpu", "cores", "memory_gib", "gpus", "load_before"}
    assert content["versions"].keys() >= {"python", "torch", "transformers"}
    assert content["overrides"] == named
    asked = content["llm"]
    assert (asked["name"], asked["id"], asked["device"], asked["revision"]) == ("demo", "stub", "served", "as served")
    speeds = [(one["open"], one["requests"], one["completion_tokens"]) for one in asked["speeds"]]
    assert speeds == [(1, 3, 30), (16, 16, 160), (64, 64, 640)]
    assert all(one["tokens_per_s"] > 0 for one in asked["speeds"])
    timed = [body for body in stub_llm.bodies if body["messages"][-1]["content"].startswith("日本の四季について")]
    assert len(timed) == 3 + 16 + 64
    assert {body["max_completion_tokens"] for body in timed} == {40}
    found = content["encoder"]
    assert (found["name"], found["device"], found["precision"], found["batch_size"]) == ("demo", "cpu", "32-true", 4)
    assert found["is_finite"]
    assert min(found["train_texts_per_s"], found["predict_texts_per_s"], found["tokens_per_text"]) > 0
    assert doctor.main(named) == 0
    assert printed(capsys).count(f"recorded on {content['made'][:10]}: ") == 2
    assert doctor.main([*stub_llm.overrides, "llm.name=other", f"store={tmp_path}"]) == 0
    assert "recorded never" in printed(capsys), "a record is of one model"


def test_a_slow_llm_is_not_measured_with_more_open(stub_llm: StubLLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm, "LONG_S", 0.0)
    assert doctor.main([*stub_llm.overrides, f"store={tmp_path}", "--record"]) == 0
    assert [one["open"] for one in recorded(tmp_path)["llm"]["speeds"]] == [1]


def test_what_has_a_fault_is_not_recorded(stub_llm: StubLLM, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stub_llm.write = lambda messages, seed: ""
    assert doctor.main([*stub_llm.overrides, f"store={tmp_path}", "--record"]) == 1
    assert "nothing: a record is kept of what has no fault" in printed(capsys)
    assert not (tmp_path / "records").exists()


def test_a_record_needs_a_model() -> None:
    with pytest.raises(ConfigError, match=r"--record measures an LLM or an encoder, and none is named; add llm=NAME, model=NAME or both"):
        doctor.main(["--record", "task=jcola"])


def test_figures_of_a_busy_machine_are_a_warning() -> None:
    part = {"train_texts_per_s": 20.0, "predict_texts_per_s": 100.0}
    assert record.measured_check("encoder", part, 0.0).state == "ok"
    check = record.measured_check("encoder", part, 1e6)
    assert check.state == "warning"
    assert "20 texts/s in training, 100 in prediction, while other programs used the machine" in check.found


def test_a_spoilt_record_is_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path)
    part = {"name": "a", "id": "b", "train_texts_per_s": 1.0, "predict_texts_per_s": 2.0}
    path = record.write_record(store, [], {"encoder": part}, 0.0)
    for name, text in {"9.json": "{", "91.json": "[]", "92.json": '{"format": 1, "encoder": {"name": "a", "id": "b"}, "made": ""}'}.items():
        (path.parent / name).write_text(text, encoding="utf-8")
    found = record.newest(store, "encoder", "a", "b")
    assert found is not None
    assert found["encoder"] == part
    assert record.newest(store, "llm", "a", "b") is None
    shown = record.recorded_check(store, "encoder", "a", "b").found
    assert "1 texts/s in training, 2 in prediction (" in shown
    assert "busy" not in shown
    record.write_record(store, [], {"encoder": part | {"name": "busy"}}, 99.0)
    assert record.recorded_check(store, "encoder", "busy", "b").found.endswith("busy with other programs: load 99)")


def test_an_encoder_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    (check,) = encoder.check_encoder(compose_config([f"model.id={tmp_path}"]), lambda line: None)
    assert check.state == "fault"
    assert "config.json" in check.found


def test_an_encoder_that_does_not_read_the_language_or_diverges_is_told() -> None:
    assert encoder.tokenizer_check("ja", 20.0, 0.02).state == "ok"
    assert encoder.tokenizer_check("ja", 20.0, 0.4).cure == "choose an encoder that reads the task's language (task.language=ja)"
    assert encoder.training_check(False, 20.0, 32).state == "fault"
