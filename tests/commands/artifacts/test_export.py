"""`japagen export`: what lands in the folder, that others load it, what is refused; the hub is a stand-in."""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pyarrow.parquet as pq
import pytest

from japagen.commands.artifacts.export_folder import without_paths
from japagen.commands.main import main
from japagen.curation.dataset import Dataset, dataset_card, write_dataset
from japagen.curation.licenses import LicensedSource
from japagen.curation.select import Rejected
from japagen.curation.stored_task import write_task
from japagen.hub.models import PACKAGE
from japagen.store.files import write_json
from japagen.store.keys import stage_key
from japagen.store.store import Store, artifact_meta
from japagen.tasks import Example
from japagen.training.verdict import Verdict
from tests.conftest import Compose
from tests.stubs.results import NOT_LEARNED, NOT_LEARNED_LINE, RESULT
from tests.stubs.stored_quality import pairs, store_dataset

Export = Callable[..., tuple[int, str, str]]
MIT = LicensedSource("language model", "owner/llm at r1", "MIT", "The MIT licence says nothing about models trained on the output.")
LLAMA = LicensedSource("language model", "owner/llama at r1", "Llama 3.1 Community License", "Llama 3.1: its name must begin so.", "Llama")
OWN_TEXTS = LicensedSource("texts", "files: mails.csv", "the user's own")
REJECTED = (
    Rejected("acceptable", 3, "contamination", "評価用の文です。"),
    Rejected("acceptable", 4, "copies an exemplar", "見本の文です。"),
    Rejected("acceptable", 5, "too short", "短い"),
)
SECRET = "/home/somebody/encoder"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def export(store: Store, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["export", "--store", str(store.root), *map(str, arguments)])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def publish(store: Store, stage: str, identity: dict[str, Any], build: Callable[[Path], dict[str, Any]]) -> str:
    key = stage_key(stage, identity)
    with store.lock(stage, key) as lock:
        store.publish(stage, key, build, identity, lock)
    return key


def put_dataset(store: Store, composed: Compose, *sources: LicensedSource) -> str:
    """A data set of jcola with rejected rows, whose gold file lies in somebody's folder."""
    config = composed("task=jcola")
    config.data.eval_file = "/home/somebody/gold.csv"
    rows = tuple(Example((f"{number}匹の犬が走る。",), "acceptable", None, f"acceptable/{number}") for number in range(5))
    dataset = Dataset(rows[:4], rows[4:], {"acceptable": {"too short": 1}}, REJECTED)

    def build(out: Path) -> dict[str, Any]:
        write_dataset(config.task, dataset, out, dataset_card(config.task, dataset, {}, sources))
        write_task(config.task, config.data, out)
        return {"sources": [asdict(source) for source in sources], "rejects": dataset.rejects, "num_train": 4, "num_valid": 1}

    return publish(store, "dataset", {"stream": "a" * 32, "num_per_label": 5}, build)


def put_model(store: Store, *sources: LicensedSource, files: dict[str, bytes] | None = None, verdict: Verdict | None = None) -> str:
    def build(out: Path) -> dict[str, Any]:
        for name, content in (files or {"config.json": b"{}", "model.safetensors": b"weights"}).items():
            (out / name).write_bytes(content)
        (out / "README.md").write_text("# a student\n", encoding="utf-8")
        about = {} if verdict is None else {"verdict": asdict(verdict)}
        return {"sources": [asdict(source) for source in sources], "num_train": 4, "training": {}, "seconds": 1.0} | about

    return publish(store, "model", {"rows": "b" * 32, "encoder": {"id": SECRET, "revision": "r"}, "seed": 0}, build)


def put_result(store: Store, model: str | None, **changes: Any) -> str:
    key = stage_key("result", {"model": model})
    folder = store.path("result", key)
    folder.mkdir(parents=True)
    write_json(folder / "result.json", asdict(replace(RESULT, keys={"model": model} if model else {}, **changes)))
    write_json(folder / "meta.json", artifact_meta("result", key, {"model": model}))
    return key


def files_of(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_data_set_stands_by_itself(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    import datasets

    key, out = put_dataset(store, composed, MIT), tmp_path / "new" / "texts"
    code, output, _ = export(key[:8], out)
    assert code == 0
    for part in (f"data set {key}", f"datasets.load_dataset('{out}')", "language model owner/llm at r1: MIT. The MIT licence"):
        assert part in output, part
    assert "warning" not in output
    assert files_of(out) == {"train.parquet", "valid.parquet", "README.md", "rejects.jsonl", "provenance.json"}
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == {"train": 4, "validation": 1}
    assert "license: mit" in (out / "README.md").read_text(encoding="utf-8")


def test_rejected_rows_keep_no_gold_text(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    export(put_dataset(store, composed, MIT), tmp_path / "texts")
    rows = [json.loads(line) for line in (tmp_path / "texts" / "rejects.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["index"], row["reason"], row["text"]) for row in rows] == [
        (3, "contamination", ""),
        (4, "copies an exemplar", ""),
        (5, "too short", "短い"),
    ]


def test_provenance_says_how_and_nothing_of_this_machine(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    stream = store.path("stream", "a" * 32)
    stream.mkdir(parents=True)
    identity = {"llm": {"id": "owner/llm"}, "texts_per_request": 8, "seed": 0, "exemplars": {"acceptable": [["見本の文です。"]]}}
    write_json(stream / "meta.json", artifact_meta("stream", "a" * 32, identity))
    key, model = put_dataset(store, composed, MIT), put_model(store, MIT)
    export(key, tmp_path / "texts")
    export(model, tmp_path / "student")
    provenance = json.loads((tmp_path / "texts" / "provenance.json").read_text(encoding="utf-8"))
    assert (provenance["key"], provenance["stage"], provenance["identity"]["stream"]) == (key, "dataset", "a" * 32)
    assert provenance["asked"] == {"llm": {"id": "owner/llm"}, "texts_per_request": 8, "seed": 0}
    assert provenance["task"]["name"] == "jcola"
    assert {"versions", "commit", "created", "sources"} <= provenance.keys()
    both = [path.read_text(encoding="utf-8") for path in tmp_path.glob("*/provenance.json")]
    assert len(both) == 2
    for text in both:
        assert "somebody" not in text
        assert "見本" not in text
    assert json.loads((tmp_path / "student" / "provenance.json").read_text(encoding="utf-8"))["identity"]["encoder"]["id"] == "encoder"


def test_only_absolute_paths_are_cut() -> None:
    value = {"a": ["/home/x/y.txt", "~/z", "owner/name", "package:demo/llm", "文/章"], "b": 3, "c": None}
    assert without_paths(value) == {"a": ["y.txt", "z", "owner/name", "package:demo/llm", "文/章"], "b": 3, "c": None}


def test_a_student_loads_and_carries_its_scores(export: Export, store: Store, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    built = tmp_path / "built"
    encoder = str(PACKAGE / "demo" / "encoder")
    AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2).save_pretrained(built)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(built)
    model = put_model(store, MIT, files={path.name: path.read_bytes() for path in built.iterdir()})
    result = put_result(store, model)
    out = tmp_path / "student"
    out.mkdir()
    code, output, _ = export(result[:8], out)
    assert code == 0
    assert f"student {model}" in output
    assert {"label", "score"} == set(pipeline("text-classification", model=str(out))("犬が走る。")[0])
    card = (out / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# a student\n\n## Scores\n")
    assert "| gold data | rows | metric | student | majority | tfidf |" in card
    assert "| JNLI valid | 2434 | accuracy | 0.500 [0.400, 0.600] | 0.330 [0.300, 0.360] | – |" in card
    assert "mean nothing" not in card


@pytest.mark.parametrize("learned", [True, False])
def test_a_student_that_has_not_learned_is_exported_with_a_warning(export: Export, store: Store, tmp_path: Path, learned: bool) -> None:
    verdict = replace(NOT_LEARNED, learned=learned)
    code, output, _ = export(put_model(store, MIT, verdict=verdict), tmp_path / "student")
    assert code == 0
    assert (f"warning: the student is doubtful: {NOT_LEARNED_LINE}" in output) is not learned
    assert json.loads((tmp_path / "student" / "provenance.json").read_text(encoding="utf-8"))["verdict"]["learned"] is learned


def test_scores_of_demo_models_are_called_so(export: Export, store: Store, tmp_path: Path) -> None:
    split = {"metrics": {"accuracy": None}, "baselines": {}, "num_eval": 9, "gold_source": "hard"}
    put_result(store, model := put_model(store, MIT), demo=True, also_scored={"hard": split})
    export(model, tmp_path / "student")
    card = (tmp_path / "student" / "README.md").read_text(encoding="utf-8")
    assert "these numbers mean nothing" in card
    assert "| hard | 9 | accuracy | – | – | – |" in card


def test_a_student_without_scores_has_none(export: Export, store: Store, tmp_path: Path) -> None:
    put_result(store, model := put_model(store, MIT), split=None, metrics={})
    export(model, tmp_path / "student")
    assert (tmp_path / "student" / "README.md").read_text(encoding="utf-8") == "# a student\n"


@pytest.mark.parametrize("change", ["spoilt", "gone"])
def test_a_damaged_file_leaves_nothing(export: Export, store: Store, tmp_path: Path, change: str) -> None:
    model = put_model(store, MIT)
    result = put_result(store, model)
    file = store.path("model", model) / "model.safetensors"
    if change == "gone":
        file.unlink()
    else:
        file.write_bytes(b"weighty")
    code, _, err = export(model, tmp_path / "student")
    assert code == 1
    assert f"{file} {'is missing' if change == 'gone' else 'isn’t what was published'}".replace("’", "'") in err
    assert f"remove {store.path('model', model)} and {store.path('result', result)} and run its experiment once more" in err
    assert files_of(tmp_path) == {"store"}


def test_removed_weights_are_named_with_the_cure(export: Export, store: Store, tmp_path: Path) -> None:
    model = "ab" * 16
    result = put_result(store, model)
    for what in (result, model[:6], model.upper()):
        code, _, err = export(what, tmp_path / "student")
        assert code == 1
        assert f"the weights of student {model} are not in the store any more (train.keep" in err
        assert f"remove {store.path('result', result)} and run its experiment with train.keep=all" in err


def test_what_can_not_be_exported_is_refused(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    assert "has no student: the LLM answered itself" in export(put_result(store, None), tmp_path / "x")[2]
    stream = store.path("stream", "c" * 32)
    stream.mkdir(parents=True)
    write_json(stream / "meta.json", artifact_meta("stream", "c" * 32, {}))
    assert "is a stream; what can be exported" in export("cccc", tmp_path / "x")[2]
    assert "nothing in the store" in export("0123", tmp_path / "x")[2]
    key = put_dataset(store, composed, MIT)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine", encoding="utf-8")
    for target in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        assert "exists and is no empty folder" in export(key, target)[2]
    assert "lies in the store" in export(key, store.root / "datasets" / "copy")[2]
    assert files_of(tmp_path) == {"store", "full"}


def test_a_name_that_a_license_does_not_allow_is_warned_of(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    model = put_model(store, LLAMA)
    code, output, _ = export(model, tmp_path / "my-student")
    assert code == 0
    assert "warning: a licence asks that the name of a student handed on begin with 'Llama', and 'my-student' doesn't" in output
    assert "warning" not in export(model, tmp_path / "Llama-my-student")[1]
    assert "warning" not in export(put_dataset(store, composed, LLAMA), tmp_path / "texts")[1], "the rule is for models"


def test_texts_of_the_users_are_warned_of(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    output = export(put_dataset(store, composed, MIT, OWN_TEXTS), tmp_path / "texts")[1]
    assert "warning: it holds texts that no model wrote (files: mails.csv, licence the user's own)" in output
    assert "hold texts that no model wrote" in (tmp_path / "texts" / "README.md").read_text(encoding="utf-8")


def test_what_an_older_version_made_is_exported_with_a_warning(export: Export, store: Store, composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jnli")
    key = store_dataset(store, config, pairs(3, config.task), knows_task=False)
    code, output, _ = export(key, tmp_path / "texts")
    assert code == 0
    assert "kept no licences with it" in output
    assert pq.read_table(tmp_path / "texts" / "train.parquet").num_rows == 9
    code, _, err = export(key, tmp_path / "pushed", "--push", "me/texts")
    assert code == 1
    assert "nobody can tell what they ask" in err


class StandInHub:
    """As much of HfApi as a push asks for."""

    calls: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012
    failure: Exception | None = None

    def create_repo(self, repo_id: str, **options: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.calls.append(("create", {"repo_id": repo_id, **options}))

    def upload_folder(self, **options: Any) -> None:
        self.calls.append(("upload", {**options, "files": files_of(options["folder_path"])}))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[StandInHub]:
    monkeypatch.setattr(StandInHub, "calls", [])
    monkeypatch.setattr(huggingface_hub, "HfApi", StandInHub)
    return StandInHub


def test_a_push_uploads_the_folder_into_a_private_repository(
    export: Export, store: Store, hub: type[StandInHub], composed: Compose, tmp_path: Path
) -> None:
    code, output, _ = export(put_model(store, LLAMA), tmp_path / "x", "--push", "me/Llama-mails")
    assert code == 0
    assert "pushed to me/Llama-mails" in output
    create, upload = hub.calls
    assert create == ("create", {"repo_id": "me/Llama-mails", "private": True, "repo_type": "model", "exist_ok": True})
    assert upload[1]["repo_id"] == "me/Llama-mails"
    assert upload[1]["files"] == {"config.json", "model.safetensors", "README.md", "provenance.json"}
    export(put_dataset(store, composed, LLAMA), tmp_path / "y", "--push", "me/texts")
    assert hub.calls[2][1]["repo_type"] == "dataset"


def test_pushes_are_refused_before_anything_is_written(
    export: Export, store: Store, hub: type[StandInHub], composed: Compose, tmp_path: Path
) -> None:
    model = put_model(store, LLAMA)
    refused = {
        (model, "me/mails"): "begin with 'Llama', and 'mails' doesn't; e.g. --push me/Llama-mails",
        (model, "mails"): "is named owner/name",
        (
            put_dataset(store, composed, MIT, OWN_TEXTS),
            "me/mails",
        ): "texts that no model wrote (files: mails.csv); such texts are not uploaded",
    }
    for (key, repo), words in refused.items():
        code, _, err = export(key, tmp_path / "x", "--push", repo)
        assert code == 1
        assert words in err
    assert hub.calls == []
    assert files_of(tmp_path) == {"store"}


def test_a_hub_that_refuses_is_quoted_and_the_folder_stays(
    export: Export, store: Store, hub: type[StandInHub], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hub, "failure", OSError("no token\nmore"))
    code, _, err = export(put_model(store, MIT), tmp_path / "x", "--push", "me/x")
    assert code == 1
    assert re.search(r"me/x: the upload failed \(OSError: no token\); log in by `hf auth login`; the folder .*/x is complete", err)
    assert (tmp_path / "x" / "model.safetensors").is_file()
