"""`japagen predict`: every format in and out, order, faults at their line, what is left of a run that failed, how students are named."""

import csv
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from japagen.commands.main import main
from japagen.commands.predict import predict as command
from japagen.commands.predict.input_rows import TextRow, chunks, chunks_as_they_come, find_source
from japagen.errors import DataError
from japagen.gold.formats import FileRow
from japagen.store.files import write_json
from japagen.store.store import Store, artifact_meta
from tests.conftest import ROOT, Compose
from tests.stubs.results import NOT_LEARNED, NOT_LEARNED_LINE, RESULT
from tests.stubs.stored_quality import pairs, store_dataset

Predict = Callable[..., tuple[int, str, str]]
TEXTS = ["とても良い品でした。", "すぐ壊れた", "届くのが早くて助かりました。また買います。" * 3, "007", "普通"]
LABELS = ["positive", "negative", "neutral"]


def save_classifier(folder: Path, **head: Any) -> Path:
    """The shipped encoder with a random head, drawn wide so that labels differ."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    encoder = ROOT / "japagen" / "demo" / "encoder"
    config = AutoConfig.from_pretrained(encoder)
    config.update(head)
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_pretrained(encoder, dtype=torch.float32, config=config)
    with torch.no_grad():
        model.classifier.weight.mul_(20)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(encoder, model_max_length=64).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = dict(enumerate(LABELS))
    labels = {"id2label": names, "label2id": {name: index for index, name in names.items()}}
    return save_classifier(tmp_path_factory.mktemp("student"), problem_type="single_label_classification", **labels)


@pytest.fixture(scope="module")
def regressor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_classifier(tmp_path_factory.mktemp("regressor"), num_labels=1, problem_type="regression", score_range=[0.0, 5.0])


@pytest.fixture(scope="module")
def expected(student: Path) -> list[tuple[str, list[float]]]:
    """Label and probabilities of TEXTS, as transformers has them."""
    from transformers import pipeline

    found: Any = pipeline("text-classification", model=str(student), device="cpu", top_k=None)(TEXTS, truncation=True)
    named = [{entry["label"]: entry["score"] for entry in row} for row in found]
    assert len({max(row, key=lambda name: row[name]) for row in named}) > 1
    return [(max(row, key=lambda name: row[name]), [row[name] for name in LABELS]) for row in named]


@pytest.fixture
def predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Predict:
    """Runs the command: exit code, stdout, stderr."""
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path / "no store"))

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["predict", "--device", "cpu", *map(str, arguments)])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def write_csv(path: Path, rows: list[dict[str, Any]], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_array(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{row['text']}\r\n" for row in rows), encoding="utf-8", newline="")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def read_out(out: str | Path, suffix: str = ".csv") -> list[dict[str, Any]]:
    text = out.read_text(encoding="utf-8-sig") if isinstance(out, Path) else out
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines()]
    return list(csv.DictReader(text.splitlines(keepends=True), delimiter="\t" if suffix == ".tsv" else ","))


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "a.csv": write_csv,
    "a.tsv": lambda path, rows: write_csv(path, rows, delimiter="\t"),
    "a.jsonl": write_jsonl,
    "a.json": write_array,
    "a.txt": write_lines,
    "a.parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_what_transformers_pipeline_gives_in_the_files_order(
    name: str, suffix: str, predict: Predict, student: Path, expected: list[tuple[str, list[float]]], tmp_path: Path
) -> None:
    path, out = WRITERS[name](tmp_path / name, [{"text": text} for text in TEXTS]), tmp_path / f"out{suffix}"
    code, printed, err = predict(student, path, "--out", out)
    assert (code, printed) == (0, "")
    assert "5 row(s) predicted on cpu" in err
    rows = read_out(out, suffix)
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == [label for label, _ in expected]
    for row, (_, probabilities) in zip(rows, expected, strict=True):
        found = [row["probabilities"][name] for name in LABELS] if suffix == ".jsonl" else [float(row[f"p({name})"]) for name in LABELS]
        assert found == pytest.approx(probabilities, abs=1.1e-4)
        assert float(row["confidence"]) == max(found)
    assert [file.name for file in tmp_path.glob("out*")] == [out.name], "nothing partial is left"


@pytest.mark.parametrize(("name", "suffix"), [("a.csv", ".csv"), ("a.tsv", ".tsv"), ("a.jsonl", ".jsonl"), ("a.txt", ".csv")])
def test_standard_output_is_of_the_files_own_format(name: str, suffix: str, predict: Predict, student: Path, tmp_path: Path) -> None:
    code, out, _ = predict(student, WRITERS[name](tmp_path / name, [{"text": text} for text in TEXTS]))
    assert code == 0
    assert [row["text"] for row in read_out(out, suffix)] == TEXTS


def test_order_is_kept_over_parts(
    predict: Predict, student: Path, expected: list[tuple[str, list[float]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "CHUNK", 3)
    code, out, _ = predict(student, write_lines(tmp_path / "a.txt", [{"text": text} for text in TEXTS * 3]))
    assert code == 0
    assert [row["label"] for row in read_out(out)] == [label for label, _ in expected] * 3


def test_cells_come_out_as_they_came(predict: Predict, student: Path, tmp_path: Path) -> None:
    rows = [{"id": "007", "text": '=1+1,"引用"\r\n二行目', "メモ": ""}, {"id": "1e3", "text": " 前後に空白 ", "メモ": "\t𠮷"}]
    path = write_csv(tmp_path / "a.csv", rows)
    for suffix in (".csv", ".tsv"):
        assert predict(student, path, "--out", tmp_path / f"out{suffix}")[0] == 0
        with (tmp_path / f"out{suffix}").open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ","))
        assert [{name: row[name] for name in rows[0]} for row in found] == rows


def test_json_values_keep_their_types_and_half_characters(predict: Predict, student: Path, tmp_path: Path) -> None:
    rows = [{"text": "良い\ud83d", "n": 1, "of": {"a": [1.5, None]}, "ok": True}, {"text": "悪い", "more": "列"}]
    path = write_jsonl(tmp_path / "a.jsonl", rows)
    found = read_out(predict(student, path)[1], ".jsonl")
    assert [{name: row[name] for name in before} for row, before in zip(found, rows, strict=True)] == rows
    assert predict(student, write_jsonl(path, rows[:1]), "--out", tmp_path / "out.csv")[0] == 0
    assert read_out(tmp_path / "out.csv")[0]["of"] == '{"a": [1.5, null]}'


def test_columns_that_come_later_have_no_place_under_a_header(predict: Predict, student: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "良い"}, {"text": "悪い", "more": "列"}])
    code, _, err = predict(student, path, "--out", tmp_path / "out.csv")
    assert code == 1
    assert "a.jsonl:2: column 'more' isn't in the first row" in err


def test_nested_fields_of_json(predict: Predict, student: Path, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [{"post": {"body": text}, "text": ""} for text in TEXTS])
    rows = read_out(predict(student, path, "--fields", "post.body")[1], ".jsonl")
    assert all(row["label"] for row in rows)


@pytest.mark.parametrize("encoding", ["cp932", "utf-8-sig"])
def test_what_japanese_excel_writes(encoding: str, predict: Predict, student: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"text": text} for text in TEXTS], encoding)
    out = tmp_path / "out.csv"
    code, _, err = predict(student, path, "--out", out)
    assert code == 0
    assert [row["text"] for row in read_out(out)] == TEXTS
    assert ("read as CP932" in err) == (encoding == "cp932")
    assert out.read_bytes().startswith(b"\xef\xbb\xbf") == (encoding == "utf-8-sig"), "a byte order mark stays, none is added"


def test_a_column_of_ours_that_the_file_has_already_is_called_otherwise(predict: Predict, student: Path, tmp_path: Path) -> None:
    rows = [{"text": "良い", "label": "gold", "p(negative)": "x"}]
    code, out, err = predict(student, write_csv(tmp_path / "a.csv", rows))
    assert code == 0
    (found,) = read_out(out)
    assert found["label"] == "gold"
    assert found["label_predicted"] in LABELS
    assert 0 <= float(found["p(negative)_predicted"]) <= 1
    assert "the file has label, p(negative) of its own, so ours end in _predicted" in err
    code, _, err = predict(student, write_csv(tmp_path / "a.csv", [{**rows[0], "label_predicted": "y"}]))
    assert code == 1
    assert "a.csv:2: there is a column 'label_predicted' already" in err


def test_a_column_of_ours_that_comes_later_is_refused(predict: Predict, student: Path, tmp_path: Path) -> None:
    code, _, err = predict(student, write_jsonl(tmp_path / "a.jsonl", [{"text": "良い"}, {"text": "悪い", "label": "x"}]))
    assert code == 1
    assert "a.jsonl:2: column 'label' isn't in the first row, and ours is called so; rename it in your file" in err


def test_a_place_that_cannot_be_written_is_told(predict: Predict, student: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    (tmp_path / "out.csv.partial").mkdir()
    code, _, err = predict(student, write_csv(tmp_path / "a.csv", [{"text": "良い"}]), "--out", out)
    assert code == 1
    assert f"{out} can't be written: Is a directory" in err


def test_doubtful_labels_are_left_empty(predict: Predict, student: Path, expected: list[tuple[str, list[float]]], tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [{"text": text} for text in TEXTS])
    least = sorted(max(probabilities) for _, probabilities in expected)[2] - 0.001
    code, out, err = predict(student, path, "--min-confidence", str(least))
    assert code == 0
    labels = [label if max(probabilities) >= least else "" for label, probabilities in expected]
    assert labels.count("") == 2
    assert [row["label"] for row in read_out(out)] == labels
    assert all(row["confidence"] for row in read_out(out))
    assert f"2 below --min-confidence {least} have no label" in err
    for wrong in ("1.5", "-0.1", "nan"):
        code, _, err = predict(student, path, f"--min-confidence={wrong}")
        assert code == 1
        assert "allowed: 0 to 1" in err


def test_a_regression_gives_scores(predict: Predict, regressor: Path, tmp_path: Path) -> None:
    rows = [{"sentence1": "犬が走る。", "sentence2": "猫が寝る。"}, {"sentence1": "犬", "sentence2": " "}]
    path = write_csv(tmp_path / "a.csv", rows)
    first, second = read_out(predict(regressor, path)[1])
    assert 0 <= float(first["score"]) <= 5
    assert second == {**rows[1], "score": ""}
    code, _, err = predict(regressor, path, "--min-confidence", "0.5")
    assert code == 1
    assert "gives numbers (regression)" in err


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.parquet"])
def test_empty_texts_keep_their_row_and_get_no_label(name: str, predict: Predict, student: Path, tmp_path: Path) -> None:
    texts = ["", "良い", "　 ", "悪い"]
    path = WRITERS[name](tmp_path / name, [{"n": str(index), "text": text} for index, text in enumerate(texts)])
    _, out, err = predict(student, path)
    rows = read_out(out, ".jsonl" if name == "a.jsonl" else ".csv")
    assert [bool(row["label"]) for row in rows] == [False, True, False, True]
    assert [row["confidence"] for row in rows][::2] == ([None, None] if name == "a.jsonl" else ["", ""])
    assert "4 row(s) predicted on cpu; 2 without a text have no label" in err


@pytest.mark.parametrize(("name", "content"), [("a.csv", ""), ("a.csv", "text\n"), ("a.txt", ""), ("a.jsonl", "\n")])
def test_no_rows_give_an_empty_file(name: str, content: str, predict: Predict, student: Path, tmp_path: Path) -> None:
    path, out = tmp_path / name, tmp_path / "out.csv"
    path.write_text(content, encoding="utf-8")
    code, _, err = predict(student, path, "--out", out)
    assert (code, out.read_text(encoding="utf-8")) == (0, "")
    assert "0 row(s)" in err


def test_long_texts_are_cut_and_counted(predict: Predict, student: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", [{"text": "長い話。" * 200}, {"text": "短い話。"}])
    assert "1 were longer than 64 tokens and have been cut" in predict(student, path)[2]


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("a.csv", 'id,text\n1,良い\n2,悪い\n3,"普通\n4,まあ\n', "a.csv:4: not well-formed"),
        ("a.csv", "id,text\n1,良い\n2,悪い\n3\n", "a.csv:4: 1 cell(s), but the header has 2"),
        ("a.jsonl", '{"text": "良い"}\n\n{"text": "悪い"}\n{"text": \n', "a.jsonl:4: not JSON"),
        ("a.jsonl", '{"text": "良い"}\n{"text": "悪い"}\n{"txt": "普通"}\n', "a.jsonl:3: no column 'text' (did you mean 'txt'?)"),
        ("a.jsonl", '{"text": "良い"}\n{"text": "悪い"}\n{"text": 3}\n', "a.jsonl:3: column 'text' must hold text; found int 3"),
        ("a.txt", "良い\n悪い\n普\udc80通\n", "a.txt:3 (byte 0x80, number 4 of the line): not UTF-8, as the lines before are"),
    ],
)
def test_rows_before_a_fault_are_kept_and_the_line_is_named(
    name: str, content: str, fault: str, predict: Predict, student: Path, tmp_path: Path
) -> None:
    path, out = tmp_path / name, tmp_path / "out.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    out.write_text("an older one", encoding="utf-8")
    code, _, err = predict(student, path, "--out", out)
    assert code == 1
    assert fault in err
    partial = tmp_path / "out.csv.partial"
    assert f"2 row(s) before that are in {partial}" in err
    assert [bool(row["label"]) for row in read_out(partial)] == [True, True]
    assert out.read_text(encoding="utf-8") == "an older one"
    code, printed, err = predict(student, path)
    assert (code, len(read_out(printed, path.suffix if name != "a.txt" else ".csv"))) == (1, 2)
    assert "2 row(s) before that were written" in err


def test_bytes_that_are_no_text_are_refused(predict: Predict, student: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for content, fault in [
        ("良い".encode("utf-16"), "is UTF-16"),
        ("とても良い品".encode() + b"\xe3\x81", "a.txt:1 (byte 0xe3, number 19 of the line): not UTF-8, though most of the line is"),
        (b"\x85\x20", "neither UTF-8 nor CP932"),
        ("椅子を注文したい\n".encode("iso2022_jp"), "a.txt:1: ISO-2022-JP (as mail software writes it; escape sequence ESC $B)"),
    ]:
        path.write_bytes(content)
        code, _, err = predict(student, path)
        assert code == 1
        assert fault in err


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["a.xlsx"], "--format lines|csv|tsv|jsonl|json|parquet"),
        (["b.csv"], "b.csv does not exist (did you mean 'a.csv'?)"),
        (["-", "--format", "parquet"], "can't be read from a pipe"),
        (["a.csv", "--out", "o.xls"], "allowed: .csv, .tsv, .jsonl"),
        (["a.csv", "--out", "a.csv"], "is the file that is read"),
        (["a.csv", "--out", "nowhere/o.csv"], "there is no folder nowhere"),
        (["a.csv", "--out", "folder.csv"], "--out folder.csv is a folder; name a file in it"),
        (["bad.parquet"], "bad.parquet: not a Parquet file that can be read"),
        (["a.csv"], "Looked for: text; sentence1,sentence2; columns here: title, body; name them by --fields"),
        (["a.csv", "--fields", "boddy"], "no column 'boddy' (did you mean 'body'?)"),
        (["a.csv", "--fields", "title,body,text"], "allowed: one, or two for pairs"),
    ],
)
def test_faults_are_told_before_the_student_is_loaded(
    arguments: list[str], fault: str, predict: Predict, student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(Path("a.csv"), [{"title": "題", "body": "本文"}])
    Path("a.xlsx").touch()
    Path("folder.csv").mkdir()
    Path("bad.parquet").write_bytes(b"PAR1")
    broken = tmp_path / "broken"
    shutil.copytree(student, broken, ignore=shutil.ignore_patterns("*.safetensors"))
    code, _, err = predict(broken, *arguments)
    assert code == 1
    assert fault in err


def test_a_line_in_iso2022_ends_a_pipe_too() -> None:
    source = find_source("-", None)
    lines = source._lines(["良い\n".encode(), b"plain\n", "椅子\n".encode("iso2022_jp")])
    assert [next(lines), next(lines)] == ["良い\n", "plain\n"]
    with pytest.raises(DataError, match="standard input:3: ISO-2022-JP "):
        next(lines)


def rows_of(*texts: str) -> Iterator[TextRow]:
    for number, text in enumerate(texts, start=1):
        yield TextRow(FileRow(Path("a"), number, {"text": text}), (text,))


def test_a_slow_pipes_rows_dont_wait_for_each_other() -> None:
    """The second row comes only after the first is out, so a reader that waits for it never ends."""
    seen = threading.Event()

    def slow() -> Iterator[TextRow]:
        yield from rows_of("一")
        assert seen.wait(60)
        yield from rows_of("二", "三")
        raise DataError("a:4: torn")

    found = chunks_as_they_come(slow(), 100)
    assert [row.texts for row in next(found)] == [("一",)]
    seen.set()
    rest: list[tuple[str, ...]] = []
    with pytest.raises(DataError, match="a:4: torn"):
        rest.extend(row.texts for part in found for row in part)
    assert rest == [("二",), ("三",)]


@pytest.mark.parametrize("cut", [chunks, chunks_as_they_come])
def test_parts_are_never_larger_than_asked_and_lose_nothing(cut: Callable[[Iterator[TextRow], int], Iterator[list[TextRow]]]) -> None:
    for num in (0, 1, 6, 7):
        parts = list(cut(rows_of(*map(str, range(num))), 3))
        assert [row.texts[0] for part in parts for row in part] == [str(n) for n in range(num)]
        assert all(1 <= len(part) <= 3 for part in parts)


def test_a_pipe_is_answered_while_it_is_open_and_may_be_cut_off(student: Path, tmp_path: Path) -> None:
    """As in `tail -f FILE | japagen predict MODEL - | head`."""
    line = [sys.executable, "-m", "japagen", "predict", str(student), "-", "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=tmp_path
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write("良い品\n".encode())
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"text,label,confidence,p(positive)")
        assert process.stdout.readline().decode().startswith("良い品,")
        process.stdout.close()
        process.stdin.write("悪い品\n".encode())
        process.stdin.flush()
        assert process.wait(60) == 0, "and nothing waits for the pipe to be closed"
        assert process.stderr.read() == b""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, predict: Predict) -> Store:
    root = tmp_path / "store"
    root.mkdir()
    monkeypatch.setenv("JAPAGEN_STORE", str(root))
    return Store(root)


def store_model(store: Store, student: Path, key: str, rows: str, **texts: Any) -> None:
    """`texts`: what its config.json says of its task's texts."""
    shutil.copytree(student, store.path("model", key))
    config = store.path("model", key) / "config.json"
    write_json(config, json.loads(config.read_text(encoding="utf-8")) | {"japagen": texts})
    write_json(store.path("model", key) / "meta.json", artifact_meta("model", key, {"rows": rows}))


def store_result(store: Store, key: str, **keys: str) -> Path:
    folder = store.path("result", key)
    folder.mkdir(parents=True)
    write_json(folder / "result.json", asdict(replace(RESULT, settings="s", keys={**keys, "result": key})))
    write_json(folder / "meta.json", artifact_meta("result", key, {}))
    return folder


MODEL, OTHER, SCORE = "aaaa1111" * 4, "bbbb1111" * 4, "cccc1111" * 4


def test_a_student_of_pairs_names_its_columns(predict: Predict, store: Store, student: Path, tmp_path: Path) -> None:
    store_model(store, student, MODEL, "x", fields=["premise", "hypothesis"])
    store_result(store, SCORE, model=MODEL)
    rows = [
        {"text": "別の列", "premise": "犬が走る。", "hypothesis": "猫が寝る。"},
        {"text": "別の列", "premise": "犬が走る。", "hypothesis": ""},
    ]
    path = write_csv(tmp_path / "a.csv", rows)
    found = [predict(what, path) for what in ("aaaa1", "cccc1", store.path("model", MODEL))]
    assert len({out for _, out, _ in found}) == 1
    assert [bool(row["label"]) for row in read_out(found[0][1])] == [True, False]
    for arguments, fault in [
        (["--fields", "premise"], "names 1 column(s); this student reads 2 text(s) a row (premise, hypothesis)"),
        (["--format", "lines"], "plain lines hold one text each, and this student reads 2 text(s) a row"),
    ]:
        code, _, err = predict("aaaa1", path, *arguments)
        assert code == 1
        assert fault in err


def test_texts_are_cut_as_the_task_cuts_them(predict: Predict, store: Store, student: Path, tmp_path: Path) -> None:
    store_model(store, student, MODEL, "x", fields=["text"], gold_chars=5)
    long, short = read_out(predict("aaaa1", write_lines(tmp_path / "a.txt", [{"text": "犬が走る。とても速い"}, {"text": "犬が走る。"}]))[1])
    assert long["text"] == "犬が走る。とても速い"
    assert float(long["confidence"]) == pytest.approx(float(short["confidence"]), abs=1.1e-4)


def test_weights_that_were_removed(predict: Predict, store: Store, student: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", [{"text": "良い"}])
    folder = store_result(store, SCORE, model=MODEL)
    store_result(store, "dddd1111" * 4, model=OTHER)
    store_model(store, student, OTHER, "gold:x")
    for what in ("cccc", "aaaa"):
        code, _, err = predict(what, path)
        assert code == 1
        assert f"the weights of student {MODEL} are no more in the store" in err
        assert f"with another seed there is {OTHER}" in err
        assert f"remove {folder} and run the same experiment with train.keep=all" in err
    assert predict("dddd", path)[0] == 0


def test_what_is_no_student_is_told(predict: Predict, store: Store, student: Path, composed: Compose, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.txt", [{"text": "良い"}])
    config = composed("task=jnli")
    dataset = store_dataset(store, config, pairs(4, config.task))
    store_model(store, student, MODEL, dataset)
    store_result(store, SCORE, answers="x")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("[]", encoding="utf-8")
    for what, fault in [
        (dataset[:8], f"data set {dataset} is no student; name a model or a result; students of this data set: {MODEL}"),
        (SCORE, "has no student: the LLM answered itself"),
        ("ffff", "has a key that begins with 'ffff'"),
        ("aa", "too short"),
        ("my/studnet", "'my/studnet' is neither a folder nor a key"),
        (tmp_path, "holds no config.json"),
        (broken, f"{broken / 'config.json'} can't be read (no JSON object); get the model's files anew"),
        (ROOT / "japagen/demo/encoder", "holds no trained classifier: its weights lack classifier.bias"),
    ]:
        code, _, err = predict(what, path)
        assert code == 1
        assert fault in err


@pytest.mark.parametrize(("name", "content", "warns"), [
    ("meta.json", {"verdict": asdict(NOT_LEARNED)}, True),
    ("provenance.json", {"verdict": asdict(NOT_LEARNED)}, True),
    ("provenance.json", {"verdict": asdict(replace(NOT_LEARNED, learned=True))}, False),
    ("meta.json", {}, False),
    ("meta.json", ["not ours"], False),
])  # fmt: skip
def test_a_student_that_has_not_learned_warns(
    predict: Predict, student: Path, tmp_path: Path, name: str, content: Any, warns: bool
) -> None:
    folder = tmp_path / "student"
    shutil.copytree(student, folder)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    code, _, err = predict(folder, write_csv(tmp_path / "a.csv", [{"text": "犬が走る。"}]))
    assert code == 0
    assert (f"warning: this student is doubtful: {NOT_LEARNED_LINE}" in err) is warns
