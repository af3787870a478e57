"""`japagen show`: keys and folders to artifacts, a data set's report, and short words on all else."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from japagen.commands.main import main
from japagen.config.schema import Config
from japagen.experiments.identities import stream_identity
from japagen.store.files import write_json
from japagen.store.keys import stage_key
from japagen.store.store import Store, artifact_meta
from japagen.tasks import Example
from tests.conftest import Compose
from tests.stubs.results import RESULT
from tests.stubs.stored_quality import pairs, store_dataset

Show = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    root = tmp_path / "store"
    root.mkdir()
    monkeypatch.setenv("JAPAGEN_STORE", str(root))
    return Store(root)


@pytest.fixture
def show(store: Store, capsys: pytest.CaptureFixture[str]) -> Show:
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["show", *arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def jnli(composed: Compose) -> Config:
    return composed("task=jnli")


def store_stream(store: Store, config: Config) -> str:
    """A stream with two whole rows and a torn one."""
    identity = stream_identity(config, "r1", {})
    key = stage_key("stream", identity)
    folder = store.path("stream", key)
    folder.mkdir(parents=True)
    write_json(folder / "meta.json", artifact_meta("stream", key, identity))
    row = {
        "index": 0,
        "label": "",
        "turn": 0,
        "text": "犬。",
        "finish_reason": "stop",
        "prompt_tokens": 50,
        "completion_tokens": 4,
        "seed": 1,
    }
    lines = [json.dumps(row), json.dumps(row | {"label": "neutral", "turn": 1}), '{"index": 1, "la']
    (folder / "rows-0000-aa.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "sessions.jsonl").write_text('{"seconds": 2.5, "rows": 2, "completion_tokens": 8}\n', encoding="utf-8")
    return key


def store_result(store: Store, key: str, model: str) -> None:
    folder = store.path("result", key)
    folder.mkdir(parents=True)
    write_json(folder / "result.json", asdict(replace(RESULT, demo=True, keys={"model": model, "result": key}, seconds={"training": 7.0})))
    write_json(folder / "meta.json", artifact_meta("result", key, {}))


def test_a_data_set_is_shown_by_the_beginning_of_its_key(show: Show, store: Store, jnli: Config) -> None:
    stream = store_stream(store, jnli)
    key = store_dataset(store, jnli, pairs(10, jnli.task), stream)
    code, out, err = show(key[:6])
    assert (code, err) == (0, "")
    for part in (
        f"data set {key}", "package:demo/llm at r1, prompt base", "300 texts a label", "sample (smoke data) (split valid, n=120)",
        "too short 2", "83.3% of 12",
        "taken off, heading: entailment 4", "Kolmogorov-Smirnov", "Self-BLEU-4", "of 120, by cosine", "label from one sentence alone",
        "python run.py task=jnli method=gold", "これも", "too short: under the task's min_chars", "contamination", "quality.json",
    ):  # fmt: skip
        assert part in out, part
    assert "measuring" in out
    assert "評価文そのもの" not in out
    again = show(str(store.path("dataset", key)))[1]
    assert again == out.replace(f"jnli: measuring the data set {key}\n", "")


def test_a_stored_report_is_shown_by_its_own_key(show: Show, store: Store, jnli: Config) -> None:
    key = store_dataset(store, jnli, pairs(4, jnli.task))
    show(key)
    (report,) = (store.root / "quality").glob("*/quality.json")
    code, out, _ = show(report.parent.name)
    assert code == 0
    assert f"quality report {report.parent.name}" in out
    assert "diversity" in out


def test_single_texts_soft_labels_and_weights_are_shown(show: Show, store: Store, composed: Compose) -> None:
    config = composed("task=jcola")
    names = config.task.label_names
    rows = [
        Example((f"{n}番目の[bold]犬[/]が走る。",), names[n % 2], id=f"{names[n % 2]}/{n}", probs=(0.9, 0.1), weight=2.0) for n in range(9)
    ]
    code, out, _ = show(store_dataset(store, config, rows))
    assert code == 0
    assert "by weight" in out
    assert "90.0%" in out
    assert "番目の[bold]犬[/]が走る。" in out
    assert "Jaccard" not in out


def test_settings_come_before_what_a_data_set_knows(show: Show, store: Store, jnli: Config, tmp_path: Path) -> None:
    key = store_dataset(store, jnli, pairs(4, jnli.task))
    own = tmp_path / "own.csv"
    own.write_text(
        "sentence1,sentence2,label\n犬が走る。,動物が走る。,entailment\n猫が眠る。,猫は起きている。,contradiction\n", encoding="utf-8"
    )
    code, out, _ = show(key, "data=files", f"data.eval_file={own}")
    assert code == 0
    assert "files: own.csv (split valid, n=2)" in out
    assert "sample (smoke data)" in show(key, "data.mirror=/nowhere")[1], "where files lie is no other data"
    code, out, _ = show(key, "data=files")
    assert "has no gold rows to compare with" in out
    code, _, err = show(key, "data=files", "data.eval_file=nowhere.csv")
    assert code == 1
    assert "nowhere.csv" in err
    assert "data=files gives a report without gold rows" in err
    code, _, err = show(key, "task=jcola")
    assert code == 1
    assert f"task='jcola' is not what data set {key} was made for" in err


def test_a_data_set_that_does_not_know_its_task_asks_for_it(show: Show, store: Store, jnli: Config) -> None:
    key = store_dataset(store, jnli, pairs(4, jnli.task), knows_task=False)
    code, _, err = show(key)
    assert code == 1
    assert f"japagen show {key[:8]} task=jnli data=published" in err
    assert show(key, "task=jnli")[0] == 0


def test_a_stream_is_described(show: Show, store: Store, jnli: Config) -> None:
    stream = store_stream(store, jnli)
    dataset = store_dataset(store, jnli, pairs(2, jnli.task), stream)
    code, out, _ = show(stream)
    assert code == 0
    for part in (
        f"stream {stream}",
        "package:demo/llm at r1",
        "first sentences 1, neutral 1",
        "prompt 100, reply 8",
        "2.5",
        f"data set {dataset}",
    ):
        assert part in out, part


def test_a_model_and_its_result_are_described(show: Show, store: Store) -> None:
    model, result = "ab" * 16, "cd" * 16
    identity = {
        "rows": "ef" * 16, "task": ["classification", "accuracy", [["yes", None], ["no", None]]], "seed": 3,
        "encoder": {"id": "tohoku/bert", "revision": "r7"},
    }  # fmt: skip
    training = {"best_step": 5, "best_score": 0.81, "num_steps": 9}
    folder = store.path("model", model)
    folder.mkdir(parents=True)
    about = {"training": training, "seconds": 61.5, "num_train": 90, "num_valid": 10}
    write_json(folder / "meta.json", artifact_meta("model", model, identity) | about)
    store_result(store, result, model)
    out = show(model)[1]
    for part in (
        "tohoku/bert at r7",
        "yes, no",
        "90 rows, 10 to select on",
        "ef" * 16,
        "step 5 of 9",
        "0.810",
        "61.5",
        "result cdcdcdcd",
        "0.500",
    ):
        assert part in out, part
    out = show(result)[1]
    for part in (
        f"result {result}",
        RESULT.name,
        "zero-shot",
        f"model {model}",
        "training 7.0",
        "0.500 [0.400, 0.600]",
        "majority",
        "mean nothing",
    ):
        assert part in out, part


def test_names_that_lead_nowhere(show: Show, store: Store, jnli: Config, tmp_path: Path) -> None:
    key = store_dataset(store, jnli, pairs(2, jnli.task))
    for what, words in {
        key[:3]: "too short; give 4 digits",
        "0123abcd": f"has a key that begins with '0123abcd'; its data sets: {key}",
        "quality": "'quality' is neither a key (4 to 32 hexadecimal digits) nor a folder",
        str(tmp_path): "holds no meta.json",
    }.items():
        code, _, err = show(what)
        assert code == 1
        assert words in err
    copied = tmp_path / "copied"
    shutil.copytree(store.path("dataset", key), copied)
    assert "isn't where its meta.json says that it belongs" in show(str(copied))[2]


def test_a_beginning_of_several_keys_lists_them(show: Show, store: Store) -> None:
    for number in range(10):
        store_result(store, f"abcd{number}" + "0" * 27, "m")
    code, _, err = show("abcd")
    assert code == 1
    assert "'abcd' is the beginning of 10 keys: result abcd0" in err
    assert "…; give more digits" in err
    assert show("abcd3")[0] == 0


def test_settings_are_for_data_sets_only(show: Show, store: Store) -> None:
    store_result(store, "ab" * 16, "m")
    assert "settings are for data sets only" in show("abab", "task=jnli")[2]


def test_a_missing_store_is_named(show: Show, tmp_path: Path) -> None:
    code, _, err = show("abcd", "--store", str(tmp_path / "none"))
    assert code == 1
    assert "there is no store" in err


def test_answers_are_described_and_named_beside_a_data_set_of_labelled_texts(show: Show, store: Store, jnli: Config) -> None:
    llm = {"id": "some/llm", "revision": "r5"}
    identity = {"llm": llm, "prompt": {"name": "base"}, "how": {}, "texts": "t"}
    key = stage_key("answers", identity)
    folder = store.path("answers", key)
    folder.mkdir(parents=True)
    write_json(folder / "meta.json", artifact_meta("answers", key, identity))
    rows = [
        {"id": "train/0", "logprobs": [-1.0, -2.0], "num_tokens": [3, 3], "prompt_tokens": 70},
        {"id": "17", "finish_reason": "error", "error": 'status 400: {"error":\n[bold]too long'},
    ]
    (folder / "rows-0000-aa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    dataset = store_dataset(store, jnli, pairs(2, jnli.task), stream=None, answers={"answers": key})
    out = show(key[:8])[1]
    for part in (f"answers {key}", "some/llm at r5", "rows:", "failed:", "prompt 70, reply 0", f"data set {dataset}"):
        assert part in out, part
    assert out.endswith('  text 17: status 400: {"error": [bold]too long\n'), "each that was refused for good, with the server's words"
    assert f"{key}, by some/llm at r5, prompt base" in show(dataset)[1]


def test_on_a_narrow_screen_no_number_is_lost(show: Show, store: Store, jnli: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    key = store_dataset(store, jnli, pairs(5, jnli.task))
    wide = show(key)[1]
    monkeypatch.setenv("COLUMNS", "80")
    narrow = show(key)[1]

    def numbers(text: str, heading: str) -> list[str]:
        return re.findall(r"\d+\.\d+%?", text.partition(f"\n{heading}")[2].partition("\n\n")[0])

    for heading in ("labels", "length", "diversity", "closest", "overlap", "label from"):
        assert numbers(narrow, heading) == numbers(wide, heading) != []


def test_what_77_labels_have_is_shortened(show: Show, store: Store, composed: Compose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    config = composed("task=banking77")
    words = [name.replace("_", " ") for name in config.task.label_names]
    rows = [
        Example((f"{word} {'very ' * (index % 7)}soon?",), name, id=f"{name}/0")
        for index, (name, word) in enumerate(zip(config.task.label_names, words, strict=True))
    ]
    out = show(store_dataset(store, config, rows))[1]
    means = out.partition("mean by label: ")[2].partition("(of 77)")[0]
    assert means.startswith("lowest ")
    assert "; highest" in means.replace("\n", " ")
    assert len(re.findall(r"\d+\.\d", means)) == 6
    labels = out.partition("\nlabels")[2].partition("\n\n")[0]
    assert all(name[:20] in labels for name in config.task.label_names), "a long name goes on in the next line"
    texts = out.partition("\ntexts")[2]
    assert "one a label, more in quality.json" in texts
    assert "card arrival soon?" in texts, "below its label's name, on one line"


def test_a_model_of_many_labels_names_the_first(show: Show, store: Store) -> None:
    model = "ab" * 16
    labels = [[f"intent_{number}", None] for number in range(77)]
    identity = {"rows": "gold:x", "task": ["classification", "accuracy", labels], "seed": 0, "encoder": {"id": "a/b", "revision": "r"}}
    store.path("model", model).mkdir(parents=True)
    about = {"training": {"best_step": 5, "best_score": None, "num_steps": 5}, "seconds": 1.0, "num_train": 90, "num_valid": 0}
    write_json(store.path("model", model) / "meta.json", artifact_meta("model", model, identity) | about)
    out = show(model)[1]
    assert "intent_5 and 71 more" in " ".join(out.split())
    assert "intent_6" not in out
