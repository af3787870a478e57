"""Files of every format, whole and spoilt: their rows, or a DataError that names the file; and what is written comes back."""

import csv
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from japagen.commands.predict import sample_to_label
from japagen.commands.predict.input_rows import find_source, text_rows
from japagen.commands.predict.output_file import PredictionFile
from japagen.commands.tasks.labelled_file import read_labelled
from japagen.commands.tasks.paper_form import read_paper_form
from japagen.config.schema import Data
from japagen.curation.dataset import read_examples, write_examples
from japagen.errors import ConfigError, DataError
from japagen.gold import read_eval, read_unlabelled
from japagen.gold.formats import FileRow, read_rows
from japagen.gold.livedoor import article_text, read_articles
from japagen.prompts.scaffold import JAPANESE
from japagen.prompts.user_lines import read_lines
from japagen.tasks import Example, Task, check_task
from tests.properties.hostile import HALF, SHIPPED, misshapen, raw_texts, spoilt, texts, tried, write
from tests.stubs.row_files import LEVELS, TASK, write_delimited, write_json_array, write_json_lines, write_parquet

PAIR = SHIPPED["jnli"]
READERS = [TASK, LEVELS, PAIR]
WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "a.jsonl": write_json_lines,
    "a.json": write_json_array,
    "a.csv": write_delimited,
    "a.tsv": lambda path, rows: write_delimited(path, rows, "\t"),
    "a.parquet": write_parquet,
}
ROWS = [
    {"id": f"r{number}", "text": text, "sentence1": text, "sentence2": "別の文,です", "label": ["spam", "ham"][number % 2], "n": number}
    for number, text in enumerate(["当選しました。今すぐ\n開封", "会議は三時から、第二会議室です", '"引用"と, 点', "注文です。"])
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def whole(folder: Path) -> dict[str, bytes]:
    """Each format's file of ROWS; texts also in CP932."""
    files = {name: writer(folder / name, ROWS).read_bytes() for name, writer in WRITERS.items()}
    return files | {f"cp932-{name}": files[name].decode().encode("cp932") for name in ("a.jsonl", "a.csv")}


def check_split(task: Task, path: Path) -> None:
    """Reads the file as gold data of the task: usable rows, or a DataError that begins with the file's name."""
    split = tried(lambda: read_eval(task, Data(source="files", eval_file=str(path))), DataError, str(path))
    if split is None:
        return
    assert split.examples
    for one in split.examples:
        assert all(text.strip() and text.encode() for text in (*one.texts, one.id))
        assert len(one.texts) == len(task.fields)
        assert one.label in task.label_names
        assert (one.score is not None) == task.is_regression


@pytest.mark.parametrize("name", [*WRITERS, "cp932-a.jsonl", "cp932-a.csv"])
@given(data=st.data())
def test_a_spoilt_file_gives_rows_or_a_message_with_its_name(folder: Path, whole: dict[str, bytes], name: str, data: st.DataObject) -> None:
    content = data.draw(spoilt(whole[name]))
    path = write(folder / f"spoilt-{name}", content)
    for task in READERS:
        check_split(task, path)
    for read in (lambda: read_unlabelled(TASK, str(path)), lambda: _proposals(path), lambda: _predicted(path)):
        tried(read, DataError, str(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}"),
        ("a.jsonl", b'{"a":' * 9999),
        ("a.json", b"[" * 100_000),
        ("a.parquet", b"PAR1" + b"\0" * 100),
    ],
)
def test_files_that_once_gave_a_traceback(folder: Path, name: str, content: bytes) -> None:
    path = write(folder / f"traceback-{name}", content)
    with pytest.raises(DataError, match=r"traceback-a\.(json|parquet)"):
        read_rows(path)


def test_a_parquet_file_without_its_first_byte_is_named(folder: Path, whole: dict[str, bytes]) -> None:
    path = write(folder / "first.parquet", whole["a.parquet"][1:])
    for read in (lambda: read_rows(path), lambda: _predicted(path)):
        with pytest.raises(DataError, match="not a Parquet file that can be read"):
            read()


def _proposals(path: Path) -> None:
    """What `japagen new-task` takes from a file."""
    file = read_labelled(path)
    label = file.label_column()
    columns = file.text_columns(1, but=label or "")
    assert label is None or label in file.columns
    assert file.max_chars(columns) >= 10
    file.labels(label or columns[0])


def _predicted(path: Path) -> None:
    """What `japagen predict` reads of a file."""
    source = find_source(str(path), None)
    for one in text_rows(source.rows(), ("text",), 100):
        assert all(text.strip() and len(text) <= 100 and text.encode() for text in one.texts)


@given(st.lists(misshapen(ROWS[0]), min_size=1, max_size=3), st.booleans())
@example([{**ROWS[0], "label": 10**400}], False)
@example([{**ROWS[0], "text": f"犬{HALF}", "sentence1": f"犬{HALF}"}], True)
@example([{**ROWS[0], "id": HALF}], False)
def test_rows_of_any_values_are_read_or_named(folder: Path, rows: list[Any], is_array: bool) -> None:
    if is_array:
        path = write(folder / "any.json", json.dumps(rows).encode())
    else:
        path = write(folder / "any.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    for task in READERS:
        check_split(task, path)


@given(st.lists(st.tuples(texts, st.sampled_from(["spam", "ham"])), min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-8-sig"]))
@example([("あ" * 200_000, "spam")], "utf-8")
def test_hostile_texts_come_back_from_every_format(folder: Path, drawn: list[tuple[str, str]], encoding: str) -> None:
    rows = [{"text": text, "label": label} for text, label in drawn if text.strip()]
    assume(rows)
    for name, writer in WRITERS.items():
        path = writer(folder / f"round-{name}", rows)
        if not name.endswith("parquet"):
            path.write_bytes(path.read_bytes().decode().encode(encoding))
        split = read_eval(TASK, Data(source="files", eval_file=str(path)))
        assert split is not None
        assert [(one.texts[0], one.label) for one in split.examples] == [(row["text"], row["label"]) for row in rows]
        streamed = list(find_source(str(path), None).rows())
        assert [row.values for row in streamed] == [row.values for row in read_rows(path)[0]] == rows


@given(st.lists(st.tuples(texts, texts, st.sampled_from(PAIR.label_names)), min_size=1, max_size=5))
def test_data_sets_come_back_as_they_were_written(folder: Path, drawn: list[tuple[str, str, str]]) -> None:
    rows = tuple(
        Example((first, second), label, None, f"{label}/{n}", (0.2, 0.3, 0.5), 0.5) for n, (first, second, label) in enumerate(drawn)
    )
    write_examples(PAIR, rows, folder / "train.parquet")
    assert read_examples(PAIR, folder / "train.parquet") == rows


cells = st.one_of(texts, st.none(), st.integers(), st.booleans())
tables = st.lists(texts, min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.lists(st.fixed_dictionaries(dict.fromkeys(names, cells)), min_size=1, max_size=4)
)


@given(tables, texts, st.sampled_from([".csv", ".tsv", ".jsonl"]), st.booleans())
@example([{"text": "一行目\rまだ同じ", "n": 1}], "spam", ".csv", False)
def test_predictions_keep_every_row_and_cell(folder: Path, rows: list[dict[str, Any]], label: str, suffix: str, has_bom: bool) -> None:
    assume(not any(name.startswith("\ufeff") for name in rows[0]))
    out = folder / f"out{suffix}"
    file = PredictionFile(out, suffix[1:], has_bom)
    file.write([(FileRow(Path("in"), n, row), {"label": label, "confidence": 0.5}) for n, row in enumerate(rows)])
    file.finish()
    columns = [*rows[0], file.renamed.get("label", "label")]
    found = read_rows(out)[0]
    assert len(found) == len(rows)
    for row, written in zip(rows, found, strict=True):
        wanted = [*(row[name] for name in columns[:-1]), label]
        if suffix != ".jsonl":
            wanted = ["" if value is None else value if isinstance(value, str) else json.dumps(value) for value in wanted]
        assert [written.values[name] for name in columns] == wanted


@given(st.lists(raw_texts, min_size=1, max_size=6))
def test_a_sheet_to_label_keeps_its_texts(folder: Path, said: list[str]) -> None:
    source = write_json_lines(folder / "to.jsonl", [])
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in said), encoding="utf-8")
    try:
        drawn, _ = sample_to_label.draw(TASK, source, 6, 0)
    except DataError:
        assert not any(text.strip() for text in said)
        return
    sheet = folder / "sheet.csv"
    sample_to_label.write_sheet([*TASK.fields, TASK.label_field], [[*sample_to_label._texts(TASK, row), ""] for row in drawn.rows], sheet)
    with sheet.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.reader(file))
    with sheet.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([lines[0], *([*line[:-1], "ham"] for line in lines[1:])])
    split = read_eval(TASK, Data(source="files", eval_file=str(sheet)))
    assert split is not None
    assert {one.texts[0] for one in split.examples} == {text.encode("utf-8", "replace").decode() for text in said if text.strip()}


@given(spoilt("店の主人\n学生\n# 注\n\n医者\r\n犬と話す人\n".encode()))
def test_persons_are_read_or_the_line_is_named(folder: Path, content: bytes) -> None:
    path = write(folder / "persons.txt", content)
    found = tried(lambda: read_lines("personas", str(path), JAPANESE), DataError, str(path))
    if found is None:
        return
    assert len(found.values) >= 2
    assert "\n" not in "".join(found.values)


PAPER = {
    "task_name": "news",
    "content": '記者です。\n"genre"の記事です。',
    "labels": {"a": {"instruction": "甲を書く。50文字以内。"}, "b": {"instruction": "乙を書く。"}},
    "genre": ["本", "服"],
}


@given(st.one_of(misshapen(PAPER).map(lambda value: json.dumps(value).encode()), spoilt(json.dumps(PAPER, ensure_ascii=False).encode())))
@example(b'{"a":' * 9999)
@example(json.dumps({**PAPER, "content": f"記者です。{HALF}"}).encode())
def test_a_paper_form_becomes_a_task_or_the_key_is_named(folder: Path, content: bytes) -> None:
    path = write(folder / "paper.json", content)
    form = tried(lambda: read_paper_form(path), DataError, f"--from {path}")
    if form is None:
        return
    assert len(form.labels) >= 2
    task = Task(name="paper", system=form.system, labels=list(form.labels), attributes=list(form.attributes))
    if tried(lambda: check_task(task) or True, ConfigError, "task 'paper'"):
        json.dumps(asdict(task), ensure_ascii=False).encode()
    assert form.max_chars is None or form.max_chars >= 0


def _archive(name: str, text: str, kind: bytes) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path, type_ in (("text/it-life-hack/it-life-hack-1.txt", tarfile.REGTYPE), (name, kind)):
            member = tarfile.TarInfo(path)
            member.type, member.linkname = type_, name
            raw = text.encode()
            member.size = len(raw) if type_ == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(raw))
    return content.getvalue()


def test_a_link_in_an_archive_is_no_article(folder: Path) -> None:
    path = write(folder / "link.tar.gz", _archive("text/peachy/peachy-1.txt", "a\nb\n題\n本文", tarfile.SYMTYPE))
    assert [article.id for article in read_articles(path)] == ["it-life-hack-1"]


names = st.sampled_from(["text/peachy/peachy-1.txt", "text/peachy/../../x.txt", "text/peachy/peachy-2.txt", "text/README.txt"])
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])


@given(st.data(), names, st.one_of(st.just("http://x/\n2012\n題\n本文"), texts), kinds)
def test_an_archive_gives_articles_or_a_message_with_its_name(folder: Path, data: st.DataObject, name: str, text: str, kind: bytes) -> None:
    content = _archive(name, text, kind)
    path = write(folder / "a.tar.gz", data.draw(spoilt(content)))
    for article in tried(lambda: read_articles(path), DataError, str(path)) or []:
        assert article.title
        assert all(article_text(article, strip) is not None for strip in (True, False))
