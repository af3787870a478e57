"""The store's files, torn and spoilt: what is whole is read, what isn't is named or left out; nothing is taken for something else."""

import json
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from japagen.errors import StoreError
from japagen.experiments.result import Failure
from japagen.reporting.result_files import write_sweep_results
from japagen.store.locks import LockWatch
from japagen.store.rowsfile import RowsFile, StreamRow, StreamRows
from japagen.store.store import Store
from japagen.synthesis.answers import Answer
from tests.properties.hostile import misshapen, spoilt, texts, tried, write
from tests.stubs.results import read_csv

ROWS = [StreamRow(n, "neutral", n % 2, f"犬が{n}匹走る。", "stop", 10, 5, 77 + n, {"genre": "本"}) for n in range(4)]
ANSWERS = [Answer(f"eval/{n}", "", "stop", [-1.5, -0.25], [2, 3], 10, 2) for n in range(4)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows).encode()


def read_all(path: Path, row_type: Any = StreamRow) -> list[Any]:
    return list(RowsFile(path, row_type).read_on())


@given(st.data(), st.sampled_from([ROWS, ANSWERS]))
def test_rows_of_a_spoilt_file_are_read_or_the_line_is_named(folder: Path, data: st.DataObject, rows: list[Any]) -> None:
    content = data.draw(spoilt(as_lines(rows)))
    path = write(folder / "rows-0000-a.jsonl", content)
    for one in tried(lambda: read_all(path, type(rows[0])), StoreError, f"{path}:") or []:
        assert isinstance(one, type(rows[0]))
        hash(one.position)


@given(st.lists(st.tuples(texts, st.dictionaries(texts, texts, max_size=1)), min_size=1, max_size=6), st.integers(0, 3000))
def test_of_a_torn_file_the_whole_lines_count(folder: Path, drawn: list[tuple[str, dict[str, str]]], end: int) -> None:
    rows = [StreamRow(n, text, 0, text, "stop", 1, 1, n, attributes, error=text) for n, (text, attributes) in enumerate(drawn)]
    content = as_lines(rows)
    path = write(folder / "rows-0000-b.jsonl", content[:end])
    assert read_all(path) == rows[: content[:end].count(b"\n")]


@given(st.lists(texts, min_size=1, max_size=6))
def test_what_is_appended_is_read_again(tmp_path_factory: pytest.TempPathFactory, said: list[str]) -> None:
    folder = tmp_path_factory.mktemp("appended")
    rows = [StreamRow(n, "neutral", 0, text, "stop", 1, 1, n, {text: text}) for n, text in enumerate(said)]
    stream = StreamRows(folder)
    stream.append(rows)
    stream.close()
    assert list(StreamRows(folder)) == rows


META = {"stage": "model", "key": "k", "identity": {"seed": 0}, "created": "2026-01-01", "checksums": {"a.txt": "0" * 64}, "seconds": 1.5}


@given(st.one_of(misshapen(META).map(lambda value: json.dumps(value).encode()), spoilt(json.dumps(META).encode())))
@example(b"[]")
@example(b'{"checksums": ["a.txt"]}')
@example(json.dumps({"checksums": {"a" * 5000: "x"}}).encode())
@example(b'{"a":' * 10_000)
def test_a_spoilt_meta_is_read_or_named(folder: Path, content: bytes) -> None:
    store = Store(folder)
    path = store.path("model", "k") / "meta.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)
    found = tried(lambda: store.meta("model", "k"), StoreError, str(path))
    assert found is None or isinstance(found, dict)
    tried(lambda: store.check("model", "k"), StoreError, str(path.parent))


OWNER = {"host": "elsewhere", "pid": 1, "started": 1.5, "token": "t", "beat": 3, "slurm_job": None, "slurm_restarts": 0}


@given(
    st.one_of(misshapen({**OWNER, "host": socket.gethostname()}).map(json.dumps), misshapen(OWNER).map(json.dumps)).map(str.encode)
    | spoilt(json.dumps(OWNER).encode())
)
@example(b"\xff\xfe")
@example(b"[1]")
def test_a_lock_of_any_content_is_somebodys(folder: Path, monkeypatch_squeue: None, content: bytes) -> None:
    (folder / "locks").mkdir(exist_ok=True)
    write(folder / "locks" / "model-k.lock", content)
    watch = LockWatch(folder / "locks" / "model-k.lock")
    assert watch.is_lost() in (True, False)
    assert watch.owner
    assert [held.is_living for held in Store(folder).locks()] == [not watch.is_lost()]


@pytest.fixture(scope="module")
def monkeypatch_squeue() -> Iterator[None]:
    """SLURM says nothing."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("japagen.store.locks._squeue_says_over", lambda job: False)
        yield


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4))
@example([("a", "jnli", "loading: 1%\rloading: 100%")])
def test_a_table_of_any_causes_has_a_row_for_each(folder: Path, drawn: list[tuple[str, str, str]]) -> None:
    write_sweep_results([Failure(name, task, cause) for name, task, cause in drawn], folder)
    rows = read_csv(folder / "results.csv")
    assert len(rows) == len(drawn)
    for row, (name, task, cause) in zip(rows, drawn, strict=True):
        for found, said in ((row["name"], name), (row["task"], task), (row["cause"], cause)):
            assert found.removeprefix("'") == said.removeprefix("'")
    assert pq.read_table(folder / "results.parquet")["cause"].to_pylist() == [cause for _, _, cause in drawn]
