"""Rows that failed for good: found among the stored ones, put in order, and told in few lines."""

import json
from pathlib import Path

import pytest

from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import plan_experiment
from japagen.reporting.failedrows import NO_WORDS, FailedRow, all_failed, failed_lines, read_failed
from japagen.store.store import Store
from launch import execute, exitcode
from tests.conftest import Compose

KEY = "ab" * 16


def write_rows(store: Store, key: str, name: str, *rows: tuple[str, int, str]) -> None:
    """(label, index, the server's words), the latter '' for a row that was written."""
    folder = store.path("stream", key)
    folder.mkdir(parents=True, exist_ok=True)
    common = {"turn": 0, "prompt_tokens": 1, "completion_tokens": 1, "seed": 1, "attributes": {}}
    lines = [
        json.dumps(
            {"index": index, "label": label, "text": 'He says "finish_reason": "error".', "finish_reason": "error" if words else "stop"}
            | common
            | {"error": words.strip()}
        )
        for label, index, words in rows
    ]
    (folder / f"rows-{name}.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def experiment(composed: Compose, store: Store) -> Experiment:
    return plan_experiment(composed("task=jcola", f"store={store.root}"))


def test_rows_that_did_not_fail_are_not_even_parsed(store: Store) -> None:
    write_rows(store, KEY, "0000-a", ("a", 0, ""))
    with (store.path("stream", KEY) / "rows-0000-a.jsonl").open("a", encoding="utf-8") as file:
        file.write("no row\n")
    assert read_failed(store, "stream", KEY).rows == ()
    assert read_failed(store, "stream", "cd" * 16).rows == ()


def test_failed_rows_stand_in_their_places_order(store: Store) -> None:
    write_rows(store, KEY, "0000-a", ("a", 10, "no"), ("a", 9, "one\n\x1b[2Jtwo"), ("", 3, " "), ("b", 1, ""))
    failed = read_failed(store, "stream", KEY)
    assert failed.rows == (FailedRow("a/9", "one [2Jtwo"), FailedRow("a/10", "no"), FailedRow("first sentence 3", NO_WORDS))
    assert failed.num_rows == 4


def test_of_two_writers_the_first_in_file_order_counts(store: Store) -> None:
    write_rows(store, KEY, "0000-a", ("a", 0, ""), ("a", 1, "no"))
    write_rows(store, KEY, "0001-b", ("a", 0, "no"), ("a", 1, ""))
    assert [row.name for row in read_failed(store, "stream", KEY).rows] == ["a/1"]


def test_a_stream_that_several_experiments_share_is_told_once(store: Store, experiment: Experiment) -> None:
    write_rows(store, experiment.keys["stream"], "0000-a", ("a", 0, "no"), ("a", 1, ""))
    (found,) = all_failed([experiment, experiment], store)
    assert failed_lines([found], store) == [
        "1 row(s) failed for good, and the rest went on without them:",
        "  jcola 0-shot base, stream by demo: 1 of 2 rows; others are written in their place",
        "    a/0: no",
        f"    all of them: japagen show {store.path('stream', experiment.keys['stream'])}",
    ]


def test_words_that_differ_in_numbers_only_are_told_once(store: Store, experiment: Experiment) -> None:
    rows = [("a", number, f"prompt of {number} tokens") for number in range(7)]
    rows += [("b", number, f"{name * 300}") for number, name in enumerate("xyz")]
    write_rows(store, experiment.keys["stream"], "0000-a", *rows)
    lines = failed_lines(all_failed([experiment], store), store)
    assert lines[2:6] == [
        "    a/0, a/1, a/2, a/3, a/4, …: prompt of 0 tokens",
        f"    b/0: {'x' * 200}…",
        f"    b/1: {'y' * 200}…",
        "    …",
    ]


@pytest.mark.parametrize(("is_done", "is_agents", "code"), [(True, False, 3), (False, False, 0), (True, True, 0)])
def test_the_exit_code(
    store: Store, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, is_done: bool, is_agents: bool, code: int
) -> None:
    """A failed experiment has a code of its own, and an agent of W&B's takes any code but 0 for a failed run."""
    monkeypatch.setattr(exitcode, "_code", 0)
    monkeypatch.setattr(execute, "is_agents_run", lambda: is_agents)
    execute.tell_failed_rows([experiment], store, is_done=True)
    assert exitcode.exit_code() == 0, "nothing failed"
    write_rows(store, experiment.keys["stream"], "0000-a", ("a", 0, "no"))
    execute.tell_failed_rows([experiment], store, is_done)
    assert exitcode.exit_code() == code
