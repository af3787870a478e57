"""What stands on the disk stays as it was written, whoever else writes and however the writing ends."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.errors import StoreError
from japagen.store.rowsfile import StreamRow, StreamRows, read_rows


def row(index: int, label: str = "neutral", turn: int = 1, text: str = "犬が走る。") -> StreamRow:
    return StreamRow(index, label, turn, text, "stop", 1, 1, 0)


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    rows = StreamRows(tmp_path)
    rows.append([row(0), row(1, text="改行\nと\u2028区切り")])
    rows.close()
    again = StreamRows(tmp_path)
    assert list(again) == list(rows)


def test_a_torn_last_line_is_ignored_and_written_again(tmp_path: Path) -> None:
    rows = StreamRows(tmp_path)
    rows.append([row(0), row(1)])
    rows.close()
    path = next(tmp_path.glob("rows-*"))
    path.write_bytes(path.read_bytes()[:-5])
    again = StreamRows(tmp_path)
    assert [one.index for one in again] == [0]
    again.append([row(1)])
    again.close()
    assert sorted(one.index for one in StreamRows(tmp_path)) == [0, 1]
    assert len(list(tmp_path.glob("rows-*"))) == 2


@given(
    ends=st.lists(st.integers(0, 1500), max_size=8),
    texts=st.lists(st.text("犬\nx\u2028", max_size=20), min_size=1, max_size=8),
)
def test_what_others_append_is_taken_in_once_it_is_whole(
    tmp_path_factory: pytest.TempPathFactory, ends: list[int], texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("stream")
    rows = StreamRows(folder)
    content = "".join(json.dumps(asdict(row(i, text=text)), ensure_ascii=False) + "\n" for i, text in enumerate(texts)).encode()
    found = []
    for end in [*sorted(ends), len(content)]:
        (folder / "rows-0000-1.jsonl").write_bytes(content[:end])
        found += rows.refresh()
        assert len(found) == content[:end].count(b"\n")
    assert [one.text for one in found] == texts
    assert list(rows) == found


def test_own_rows_are_not_read_again(tmp_path: Path) -> None:
    one, other = StreamRows(tmp_path), StreamRows(tmp_path)
    one.append([row(0)])
    other.append([row(1)])
    assert one.refresh() == [row(1)]
    assert one.refresh() == []
    assert other.refresh() == [row(0)]
    assert len(list(tmp_path.glob("rows-*"))) == 2
    assert not one.is_disputed
    one.close()
    other.close()


def test_a_line_with_a_hole_waits_for_what_is_missing(tmp_path: Path) -> None:
    line = json.dumps(asdict(row(0))).encode() + b"\n"
    path = tmp_path / "rows-0000-1.jsonl"
    path.write_bytes(b"\0" * 20 + line[20:] + line.replace(b'"index": 0', b'"index": 1'))
    rows = StreamRows(tmp_path)
    assert list(rows) == []
    path.write_bytes(line + line.replace(b'"index": 0', b'"index": 1'))
    assert [one.index for one in rows.refresh()] == [0, 1]


def test_of_an_index_written_twice_the_first_counts(tmp_path: Path) -> None:
    for number, text in enumerate(["一", "二"]):
        line = json.dumps(asdict(row(0, text=text)), ensure_ascii=False) + "\n"
        (tmp_path / f"rows-000{number}-1.jsonl").write_text(line, encoding="utf-8")
    assert [one.text for one in StreamRows(tmp_path)] == ["一"]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "rows-0000-1.jsonl").write_text('{"index": 0}\n', encoding="utf-8")
    with pytest.raises(StoreError, match=r"rows-0000-1\.jsonl:1: not a row"):
        list(read_rows(tmp_path / "rows-0000-1.jsonl"))


def test_a_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = StreamRows(tmp_path)
    rows.append([row(0)])
    real_write = os.write
    monkeypatch.setattr("os.write", lambda file, data: real_write(file, data[:10]))
    with pytest.raises(StoreError, match="disk is full"):
        rows.append([row(1)])
    monkeypatch.undo()
    rows.append([row(2)])
    rows.close()
    assert sorted(one.index for one in StreamRows(tmp_path)) == [0, 1, 2]


def test_failed_rows_reach_the_disk_with_the_next_success_only(tmp_path: Path) -> None:
    rows = StreamRows(tmp_path)
    failed = StreamRow(0, "neutral", 1, "", "error", 0, 0, 0, error="400")
    rows.append([failed])
    assert rows.get("neutral", 0, 1) == failed, "the prefix is complete for this run"
    assert list(StreamRows(tmp_path)) == [], "a server that only fails leaves nothing"
    rows.append([row(1)])
    rows.close()
    assert [one.index for one in StreamRows(tmp_path)] == [0, 1]


def test_a_forgotten_row_stands_and_is_not_written_again(tmp_path: Path) -> None:
    rows = StreamRows(tmp_path)
    rows.append([row(0), row(3), row(3, label="contradiction")])
    for position in (row(3).position, row(3).position, row(7).position):
        rows.forget(position)
    assert rows.find(row(3).position) is None
    assert [rows.has(row(index).position) for index in (0, 2, 3, 4, 7)] == [True, False, True, False, False]
    assert rows.has(row(3, label="contradiction").position)
    assert (len(rows), len(list(rows))) == (3, 2)
    rows.append([row(3, text="猫が走る。"), row(4)])
    rows.close()
    assert list(StreamRows(tmp_path)) == [row(0), row(3), row(3, label="contradiction"), row(4)]


def test_a_forgotten_row_that_another_wrote_too_calls_for_a_fresh_reading(tmp_path: Path) -> None:
    one, other = StreamRows(tmp_path), StreamRows(tmp_path)
    one.append([row(0)])
    one.forget(row(0).position)
    other.append([row(0, text="猫が走る。")])
    assert one.refresh() == []
    assert one.is_disputed
    one.close()
    other.close()


def test_rows_that_come_together_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    real_write = os.write
    monkeypatch.setattr("os.write", lambda file, data: written.append(data) or real_write(file, data))
    rows = StreamRows(tmp_path)
    rows.append(row(index) for index in (0, 1, 1, 2))
    rows.close()
    assert [data.count(b"\n") for data in written] == [3]
