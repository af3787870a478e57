"""Runs: one an experiment under the result's id, offline where W&B can't be had, with all that `logger.upload` allows and no more."""

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import wandb
from wandb.proto import wandb_internal_pb2

from japagen.errors import ConfigError
from japagen.experiments.planning import plan_experiment
from japagen.store.store import Store
from japagen.tracking import Tracker, log_found, track
from tests.conftest import Compose
from tests.stubs.results import RESULT
from tests.tracking.conftest import SECRETS, MakeExperiment, do_run

BLOCK = 32768


def records(run: Path) -> Iterator[Any]:
    """W&B's messages in an offline run's file, a log of blocks in LevelDB's format."""
    content, offset, message = next(run.glob("*.wandb")).read_bytes(), 7, b""
    while offset + 7 <= len(content):
        if BLOCK - offset % BLOCK < 7:
            offset += BLOCK - offset % BLOCK
            continue
        _, length, part = struct.unpack("<IHB", content[offset : offset + 7])
        message += content[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if part in (1, 4):  # whole, or the last part
            record = wandb_internal_pb2.Record()
            record.ParseFromString(message)
            message = b""
            yield record


def everything_in(folder: Path) -> str:
    """All files below a folder, as text."""
    return "\n".join(path.read_bytes().decode("utf-8", errors="replace") for path in sorted(folder.rglob("*")) if path.is_file())


def artifacts_of(run: Path) -> dict[str, Any]:
    """The run's data sets and models, by type."""
    found = [record.artifact for record in records(run) if record.WhichOneof("record_type") == "artifact"]
    return {artifact.type: artifact for artifact in found if artifact.type in ("dataset", "model")}


def files_of(artifact: Any) -> dict[str, str]:
    """Name -> content as it waits to be uploaded."""
    return {entry.path: Path(entry.local_path).read_bytes().decode("utf-8", errors="replace") for entry in artifact.manifest.contents}


def test_a_run_has_group_tags_config_curves_scores_tables_and_system_metrics(make_experiment: MakeExperiment) -> None:
    made = make_experiment()
    run = do_run(made)
    found = {
        kind: [getattr(record, kind) for record in records(run) if record.WhichOneof("record_type") == kind]
        for kind in ("run", "stats", "history")
    }
    (started,) = found["run"]
    assert (started.run_id, started.run_group, started.project) == (made.experiment.keys["result"], "sweep-1", "japagen")
    assert list(started.tags) == ["jcola", "japagen", "demo"]
    config = {update.key: json.loads(update.value_json) for update in started.config.update}
    assert config["keys"] == made.experiment.keys
    assert found["stats"], "W&B's own system metrics"
    logged = [{".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.item} for record in found["history"]]
    assert [(step["_step"], step.get("train/loss"), step.get("valid/loss")) for step in logged[:2]] == [(1, 1.0, None), (2, None, 0.5)]
    tables = {path.name.rpartition("_")[0].rpartition("_")[0]: path for path in run.glob("files/media/table/**/*.table.json")}
    assert set(tables) == {"scores", "labels", "predictions", "curve", "valid_table"}
    confusion = json.loads(tables["valid_table"].read_text(encoding="utf-8"))
    assert ["acceptable", "acceptable", 3] in confusion["data"]
    assert ["unacceptable", "acceptable", 3] in confusion["data"]
    assert len(json.loads(tables["curve"].read_text(encoding="utf-8"))["data"]) == 3


@pytest.mark.parametrize("upload", ["none", "data", "all"])
def test_artifacts_are_those_that_were_asked_for(make_experiment: MakeExperiment, upload: str) -> None:
    made = make_experiment(f"logger.upload={upload}")
    found = artifacts_of(do_run(made))
    assert sorted(found) == {"none": [], "data": ["dataset"], "all": ["dataset", "model"]}[upload]
    if upload == "all":
        assert found["dataset"].name == f"dataset-{made.experiment.keys['dataset']}"
        assert found["model"].name == f"model-{made.experiment.keys['model']}"
        assert (found["dataset"].use_after_commit, found["model"].use_after_commit) == (True, False), "data set -> run -> model"
        assert sorted(files_of(found["dataset"])) == ["README.md", "rejects.jsonl", "train.parquet", "valid.parquet"]
        assert sorted(files_of(found["model"])) == ["README.md", "model.safetensors"]
        assert json.loads(found["dataset"].metadata)["num_train"] == 6


@pytest.mark.parametrize("method", ["japagen", "mixed", "annotate", "annotate_japagen", "gold"])
def test_no_text_of_gold_or_of_users_and_no_path_is_sent(make_experiment: MakeExperiment, method: str, tmp_path: Path) -> None:
    made = make_experiment(f"method={method}", "logger.upload=all")
    messages: list[str] = []
    run = do_run(made, messages)
    written = everything_in(made.wandb_folder)
    for secret in SECRETS:
        assert secret not in written
    sent = [*files_of(artifacts_of(run)["model"]).values(), *(str(record.run) for record in records(run))]
    sent += [path.read_text(encoding="utf-8") for path in (run / "files").rglob("*") if path.is_file()]
    assert str(tmp_path) not in "\n".join(sent)
    assert ("dataset" in artifacts_of(run)) == (method in ("japagen", "mixed"))
    refusals = [line for line in messages if "is not sent" in line]
    assert len(refusals) == (method in ("annotate", "annotate_japagen"))


def test_rejected_replies_go_without_their_words(make_experiment: MakeExperiment) -> None:
    made = make_experiment("logger.upload=data")
    rejects = [json.loads(line) for line in files_of(artifacts_of(do_run(made))["dataset"])["rejects.jsonl"].splitlines()]
    assert [reject["reason"] for reject in rejects] == ["copies an exemplar", "contamination", "too long", "first sentence"]
    assert all(set(reject) == {"label", "index", "reason"} for reject in rejects)


def test_rows_that_may_repeat_gold_texts_stay_here(make_experiment: MakeExperiment) -> None:
    messages: list[str] = []
    assert not artifacts_of(do_run(make_experiment("logger.upload=data", "curate.contamination=off"), messages))
    assert any("may repeat gold texts" in line and "logger.upload_texts=true" in line for line in messages)


def test_texts_of_users_go_where_they_are_let(make_experiment: MakeExperiment) -> None:
    made = make_experiment("method=annotate", "logger.upload=data", "logger.upload_texts=true")
    found = files_of(artifacts_of(do_run(made))["dataset"])
    assert SECRETS[2] in found["train.parquet"]
    assert SECRETS[0] in found["rejects.jsonl"]


def test_keys_are_written_nowhere(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    keys = {"WANDB_API_KEY": "local-" + "f" * 40, "OPENAI_API_KEY": "sk-verysecret", "VLLM_API_KEY": "vllmsecret", "HF_TOKEN": "hf_secret"}
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    made = make_experiment("logger.wandb=offline", "logger.upload=all", "llm.api_key_env=OPENAI_API_KEY")
    do_run(made)
    captured = capfd.readouterr()
    written = everything_in(made.wandb_folder) + captured.out + captured.err
    for value in keys.values():
        assert value not in written


def test_one_line_a_process_says_that_runs_stay_here(make_experiment: MakeExperiment, capsys: pytest.CaptureFixture[str]) -> None:
    made = make_experiment()
    for _ in range(2):
        do_run(made)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"W&B: not logged in, so runs stay in {made.wandb_folder}; nothing else needs it.")
    assert f"sync {made.wandb_folder}/wandb/offline-run-*" in line


def test_without_a_network_runs_go_offline(make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_experiment()
    monkeypatch.setenv("WANDB_API_KEY", "local-" + "f" * 40)
    started = wandb.init

    def unreachable(**settings: Any) -> Any:
        if settings["mode"] == "online":
            raise wandb.errors.CommError("no route to host\nand more")
        return started(**settings)

    monkeypatch.setattr(wandb, "init", unreachable)
    messages: list[str] = []
    run = do_run(made, messages)
    assert run.is_dir()
    assert [line.partition(", so runs")[0] for line in messages] == ["W&B: no route to host"]


def test_a_fault_of_wandbs_is_said_and_stops_nothing(make_experiment: MakeExperiment) -> None:
    class Run:
        offline = True

        def log(self, *_: Any) -> None:
            raise OSError(28, "No space left on device")

        def log_artifact(self, *_: Any) -> None:
            raise wandb.errors.CommError("gone")

        def _log_artifact(self, *_: Any, **__: Any) -> None:
            raise wandb.errors.CommError("gone")

    made, messages = make_experiment("logger.upload=all"), []
    tracker = Tracker(Run(), messages.append)
    tracker.log_tables(made.experiment.task, made.result, made.store)
    tracker.log_artifacts(made.experiment, made.store)
    assert [line.partition(" (")[0] for line in messages] == ["W&B: tables not sent", "W&B: data set not sent", "W&B: model not sent"]


def test_what_waits_to_be_uploaded_lies_beside_the_runs(make_experiment: MakeExperiment) -> None:
    made = make_experiment("logger.upload=all")
    for entry in artifacts_of(do_run(made))["model"].manifest.contents:
        assert Path(entry.local_path).is_relative_to(made.wandb_folder)
    assert os.environ["WANDB_DATA_DIR"] == str(made.wandb_folder)


def test_an_interrupted_start_makes_room_for_the_one_that_finishes(make_experiment: MakeExperiment) -> None:
    made = make_experiment()
    with pytest.raises(KeyboardInterrupt), track(made.experiment, "g", made.wandb_folder):
        raise KeyboardInterrupt
    wandb.teardown()
    (cut_off,) = (made.wandb_folder / "wandb").glob("offline-run-*")
    assert [record.exit.exit_code for record in records(cut_off) if record.WhichOneof("record_type") == "exit"] == [1]
    for file in cut_off.glob("*.wandb"):
        os.utime(file, (1000, 1000))
    cut_off = cut_off.rename(cut_off.with_name(cut_off.name.replace("offline-run-2", "offline-run-1")))  # W&B names by the second
    finished = do_run(made)
    assert [path.name for path in (made.wandb_folder / "wandb").glob("offline-run-*")] == [finished.name]
    assert (made.wandb_folder / "interrupted" / cut_off.name).is_dir()


def test_an_unknown_upload_is_refused(composed: Compose) -> None:
    with pytest.raises(ConfigError, match=r"logger.upload='model' is not known.*none, data, all"):
        composed("logger.upload=model")


def test_off_starts_nothing(composed: Compose, tmp_path: Path) -> None:
    experiment = plan_experiment(composed("logger=none"))
    with track(experiment, "group", tmp_path / "wandb") as tracker:
        assert tracker.on_metrics is None
        tracker.log_tables(experiment.task, RESULT, Store(tmp_path))
        tracker.log_artifacts(experiment, Store(tmp_path))
    assert not (tmp_path / "wandb").exists()


def test_the_final_score_stands_apart_from_synthetic_validation() -> None:
    class Run:
        summary: ClassVar[dict[str, Any]] = {}

    Tracker(Run()).log_result(RESULT)
    assert Run.summary["gold/valid/accuracy"] == 0.5
    assert Run.summary["gold/valid/accuracy_interval"] == [0.4, 0.6]
    assert Run.summary["baseline/majority"] == 0.33
    assert not any(name.startswith("valid/") for name in Run.summary)


def test_a_sweeps_search_reads_what_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Run:
        summary: ClassVar[dict[str, Any]] = {}
        logged: ClassVar[list[dict[str, Any]]] = []

        def log(self, values: dict[str, Any]) -> None:
            self.logged.append(values)

    Tracker(Run()).log_result(RESULT)
    assert not Run.logged, "no agent: curves and summary only"
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run")
    Tracker(Run()).log_result(RESULT)
    assert Run.logged == [{"gold/primary": 0.5, "gold/valid/accuracy": 0.5}]


def test_a_result_that_was_known_is_logged_for_an_agent_only(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = plan_experiment(composed())
    log_found(experiment, RESULT, "group", tmp_path / "wandb")
    assert not (tmp_path / "wandb").exists()
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run")
    log_found(plan_experiment(composed("logger=none")), RESULT, "group", tmp_path / "wandb")
    assert not (tmp_path / "wandb").exists()
