"""Files of every format and encoding: what is read from them, and what the message says of one that can't be read."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.gold import Split, read_eval
from japagen.gold.formats import read_lines, read_rows
from japagen.tasks import Label, Task
from tests.stubs.row_files import LEVELS, TASK, write_delimited, write_json_array, write_json_lines, write_parquet

ROWS = [{"text": "当選しました。今すぐ開封", "label": "spam"}, {"text": "会議は三時から、第二会議室です", "label": "ham"}]


def read(path: Path, task: Task = TASK) -> Split:
    split = read_eval(task, Data(source="files", eval_file=str(path)))
    assert split is not None
    return split


def fault(path: Path) -> str:
    """The message that reading `path` ends with."""
    return fault_of(lambda: read(path))


def fault_of(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip() != "")


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.fixed_dictionaries({"text": texts, "label": st.sampled_from(["spam", "ham"])}), min_size=1))
def test_the_same_rows_in_any_format_are_the_same_split(tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("formats")
    paths = [
        write_json_lines(folder / "a.jsonl", rows),
        write_json_array(folder / "a.json", rows),
        write_delimited(folder / "a.csv", rows),
        write_delimited(folder / "a.tsv", rows, "\t"),
        write_parquet(folder / "a.parquet", rows),
    ]
    splits = [read(path) for path in paths]
    for split in splits:
        assert [(example.texts, example.label) for example in split.examples] == [((row["text"],), row["label"]) for row in rows]
    assert len({split.checksum for split in splits}) == 1


def test_checksum_is_of_texts_labels_and_order(tmp_path: Path) -> None:
    def checksum(*rows: dict[str, Any]) -> str:
        return read(write_json_lines(tmp_path / "a.jsonl", list(rows))).checksum

    first, second = ROWS
    assert checksum({**first, "id": 1}, {**second, "id": 2}) == checksum(first, second)
    assert checksum(second, first) != checksum(first, second)
    assert checksum(first, {**second, "label": "spam"}) != checksum(first, second)
    assert checksum(first, {**second, "text": "別の文です"}) != checksum(first, second)


def test_ids_are_the_files_own_or_line_numbers(tmp_path: Path) -> None:
    own = read(write_json_lines(tmp_path / "a.jsonl", [{**ROWS[0], "uid": 7}, {**ROWS[1], "sentence_pair_id": "p8", "uid": 8}]))
    assert [example.id for example in own.examples] == ["7", "p8"]
    (tmp_path / "b.csv").write_text('label,text\n\nspam,"一行目\n二行目"\nham,三つ目\n', encoding="utf-8")
    numbered = read(tmp_path / "b.csv")
    assert [example.id for example in numbered.examples] == ["3", "5"]
    assert numbered.examples[0].texts == ("一行目\n二行目",)


def test_json_array_rows_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('\n[{"text": "一つ"},\n\n {"text":\n "二つ"}, {"text": "三つ"}\n,{"text": "四つ"}]', encoding="utf-8")
    assert [(row.line, row.values["text"]) for row in read_rows(path)[0]] == [(2, "一つ"), (4, "二つ"), (5, "三つ"), (6, "四つ")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
@pytest.mark.parametrize(("name", "write"), [("my.csv", write_delimited), ("my.jsonl", write_json_lines)])
def test_encodings(tmp_path: Path, encoding: str, name: str, write: Callable[[Path, list[dict[str, Any]]], Path]) -> None:
    plain = read(write(tmp_path / f"plain-{name}", ROWS))
    path = tmp_path / name
    path.write_bytes((tmp_path / f"plain-{name}").read_text(encoding="utf-8").encode(encoding))
    split = read(path)
    assert split.checksum == plain.checksum
    assert split.notes == ((f"{name}: read as CP932",) if encoding == "cp932" else ())


def test_one_bad_byte_in_utf8_is_not_taken_for_cp932(tmp_path: Path) -> None:
    path = write_delimited(tmp_path / "my.csv", ROWS)
    raw = path.read_bytes()
    offset = raw.index("会議室".encode())
    path.write_bytes(raw[:offset] + b"\x81" + raw[offset:])
    assert f"{path}:3 (byte 0x81 at offset {offset}): not UTF-8, though most of the file is" in fault(path)


def test_bytes_that_are_neither_encoding(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_bytes("text,label\n日本語の文です,ham\n".encode("cp932") + b"\x81\x01,spam\n")
    assert f"{path}:3 (byte 0x81 at offset 30): neither UTF-8 nor CP932 (both tried)" in fault(path)


def test_utf16_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("text,label\n文です,ham\n", encoding="utf-16")
    assert f"{path} is UTF-16" in fault(path)


@pytest.mark.parametrize(
    ("text", "encoding", "name"),
    [
        ("椅子を注文したい", "iso2022_jp", "ISO-2022-JP"),
        ("\u00a5だけ", "iso2022_jp_2", "ISO-2022-JP"),
        ("ﾊﾝｶｸだけ", "iso2022_jp_ext", "ISO-2022-JP-3"),
        ("侖丂と中国的话", "iso2022_jp_2", "ISO-2022-JP-2"),
        ("안녕하세요", "iso2022_kr", "ISO-2022-KR"),
    ],
)
def test_iso2022_is_named_with_the_command_that_converts_it(tmp_path: Path, text: str, encoding: str, name: str) -> None:
    path, lines = tmp_path / "my.csv", tmp_path / "my.txt"
    path.write_bytes(b"text,label\nplain,ham\n" + f"{text},ham\n".encode(encoding))
    lines.write_bytes(f"{text}\n".encode(encoding))
    assert path.read_bytes().isascii()
    for told, place in ((fault(path), f"{path}:3: "), (fault_of(lambda: read_lines(lines, "text")), f"{lines}:1: ")):
        assert told.startswith(place + name + " (")
        assert f"iconv -f {name} -t UTF-8 FILE > NEW" in told


def test_iso2022_is_found_beside_utf8_and_in_json(tmp_path: Path) -> None:
    mixed, parsed = tmp_path / "my.csv", tmp_path / "my.jsonl"
    mixed.write_bytes("text,label\n文です,ham\n".encode() + "椅子,ham\n".encode("iso2022_jp"))
    parsed.write_bytes('{"text": "椅子", "label": "ham"}\n'.encode("iso2022_jp"))
    assert f"{mixed}:3: ISO-2022-JP (" in fault(mixed)
    assert f"{parsed}:1: ISO-2022-JP (" in fault(parsed)


def test_a_terminals_colours_are_text(tmp_path: Path) -> None:
    path = write_delimited(tmp_path / "my.csv", [{"text": "\x1b[1m太字\x1b(B\x1b[m $B", "label": "ham"}])
    assert read(path).examples[0].texts == ("\x1b[1m太字\x1b(B\x1b[m $B",)


FAULTS = {
    "a.jsonl": [
        ('{"text": "よい文", "label": "ham"}\n\n{"text": "閉じない', ":3: not JSON (Unterminated string"),
        ('"ただの文字列"\n', ":1: each row must be a JSON object with named columns; found str"),
        ("", ": no rows, but split 'valid' needs at least one"),
        ('{"text": "文", "labels": "ham"}', ":1: no column 'label' (did you mean 'labels'?); columns here: text, labels"),
        ('{"text": {"ja": "文"}, "label": "ham"}', ":1: column 'text' must hold text; found dict"),
        ('{"text": "文", "label": "ham"}\n{"text": " \\u3000", "label": "ham"}', ":2: column 'text' is empty"),
        ('{"text": null, "label": "ham"}', ":1: column 'text' is empty"),
        ('{"text": "文", "label": "hum"}', ":1: label 'hum' (column 'label') is not known (did you mean 'ham'?); allowed: spam, ham"),
    ],
    "b.json": [
        ('[{"text": "文",\n "label": }]', ":2: not JSON (Expecting value at column 11)"),
        ('[\n{"text": "文", "label": "ham"},\n"文"]', ":3: each row must be a JSON object"),
        ('[\n{"text": "文", "label": "ham"},\n\n {"text": "文", "label": "?"}]', ":4: label '?'"),
    ],
    "c.csv": [
        ("text,label\n文です,ham\n文です,ham,余り\n", ":3: 3 cell(s), but the header has 2: text, label"),
        ("text,label,text\n", ":1: the header names text more than once"),
        ('text,label\n"閉じない引用,ham\n', ":2: not well-formed (unexpected end of data)"),
        ("sentence,label\n文です,ham\n", ":2: no column 'text'; columns here: sentence, label"),
        ("text,label\n", ": no rows"),
    ],
    "d.tsv": [('text\tlabel\n"引用"と続き\tham\n', ":2: not well-formed (")],
    "e.parquet": [("これは Parquet ではない", ": not a Parquet file that can be read")],
    "f.xlsx": [("", ": a file of type '.xlsx' can't be read; allowed: .json, .jsonl, .csv, .tsv, .parquet")],
    "g.jsonl2": [("", ": a file of type '.jsonl2' can't be read (did you mean '.jsonl'?)")],
}


@pytest.mark.parametrize(("name", "content", "part"), [(name, *case) for name, cases in FAULTS.items() for case in cases])
def test_faults_are_named_with_their_place(tmp_path: Path, name: str, content: str, part: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert f"{path}{part}" in fault(path)


def test_missing_files_name_the_nearest_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_delimited(tmp_path / "reviews_valid.csv", ROWS)
    assert "does not exist (did you mean 'reviews_valid.csv'?)" in fault(tmp_path / "review_valid.csv")
    assert f"there is no folder {tmp_path / 'nowhere'}" in fault(tmp_path / "nowhere" / "a.csv")
    (tmp_path / "folder.csv").mkdir()
    assert "folder.csv is a folder; name one file in it" in fault(tmp_path / "folder.csv")
    assert f"{tmp_path} is a folder; name one file in it" in fault(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read(Path("~/reviews_valid.csv")).source == "files: reviews_valid.csv"


@pytest.mark.parametrize("score", ["high", None, float("nan"), float("inf"), True, 0.9, 5.1, ""])
def test_regression_labels_must_be_numbers_on_the_scale(tmp_path: Path, score: object) -> None:
    path = write_json_lines(tmp_path / "a.jsonl", [{"text": "文です", "label": 3}, {"text": "文です", "label": score}])
    with pytest.raises(DataError) as caught:
        read(path, LEVELS)
    assert f"{path}:2: regression needs labels that are numbers; found {score!r}" in str(caught.value)
    assert "allowed: 1.0 to 5.0" in str(caught.value)


def test_regression_rows_keep_their_score_and_take_the_nearest_level(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"text": "文です", "label": score} for score in ("3.4", 1, 4.5)]
    split = read(write_json_lines(tmp_path / "a.jsonl", rows), LEVELS)
    assert [(example.label, example.score) for example in split.examples] == [("3", 3.4), ("1", 1.0), ("4", 4.5)]


BINARY = Task(name="binary", labels=[Label("yes", "x"), Label("no", "y")], label_map={"1": "yes", "0": "no"})


def test_labels_are_compared_as_text_and_mapped(tmp_path: Path) -> None:
    rows = [{"text": "文です", "label": label} for label in (1, "0", " 1 ", 1.0, "0.0", "no", "yes ")]
    split = read(write_json_lines(tmp_path / "a.jsonl", rows), BINARY)
    assert [example.label for example in split.examples] == ["yes", "no", "yes", "yes", "no", "no", "yes"]
    parquet = read(write_parquet(tmp_path / "a.parquet", [{"text": "文です", "label": 1}, {"text": "文です", "label": 0}]), BINARY)
    assert [example.label for example in parquet.examples] == ["yes", "no"]


@pytest.mark.parametrize("label", [1.5, "1.5", 2, None, "", "01"])
def test_labels_that_are_not_listed_are_refused(tmp_path: Path, label: object) -> None:
    with pytest.raises(DataError, match=r"is not known.*allowed: yes, no, 1, 0"):
        read(write_json_lines(tmp_path / "a.jsonl", [{"text": "文です", "label": label}]), BINARY)


@pytest.mark.parametrize("refused", ["is_file", "read_bytes"])
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str) -> None:
    path = write_delimited(tmp_path / "a.csv", ROWS)

    def refuse(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, refused, refuse)
    assert fault(path) == f"{path} can't be read: Permission denied"
