"""`japagen ls`: every artifact with what it is, its size and who needs it; for people and for scripts."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from japagen.commands.artifacts.ls import MOST_OF_A_STAGE
from japagen.commands.main import main
from japagen.store.store import Store
from tests.stubs.made_store import contents, key, lock_of, make, make_arm, make_result, make_stream, make_sweep

Ls = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    return Store(tmp_path / "store")


@pytest.fixture
def ls(store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ls:
    """Runs the command: exit code, stdout, stderr."""
    monkeypatch.setenv("JAPAGEN_STORE", str(store.root))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["ls", *arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def line_of(out: str, made: str) -> str:
    return next(line for line in out.splitlines() if line.startswith(made[:8]))


def test_each_artifact_says_what_it_is_and_who_needs_it(store: Store, ls: Ls) -> None:
    stream = make_stream(store, "stream")
    keys = make_arm(store, "1", stream)
    make_sweep(store, "実験", keys)
    idle = make(store, "model", "idle", {"rows": "gold:x", "encoder": {"id": "enc"}, "seed": 1}, num_train=5)
    report = make(store, "quality", "quality", {"dataset": keys["dataset"], "student": None})
    before = contents(store)
    code, out, _ = ls()
    assert code == 0
    assert contents(store) == before
    for part in ("writer", "prompt base", "seed 0", "10 rows", "200 tokens", "1 result; 実験"):
        assert part in line_of(out, stream)
    assert "jnli, enc, 9 rows, seed 3" in line_of(out, keys["model"])
    assert "accuracy 0.500" in line_of(out, keys["result"])
    assert "10 rows" in line_of(out, keys["dataset"])
    assert "unneeded" in line_of(out, idle)
    assert f"on data set {keys['dataset'][:8]}" in line_of(out, report)
    assert "unneeded" not in line_of(out, report), "a report is needed as long as its data set"
    assert "japagen gc" in out
    assert "models:         2," in out


def test_stages_sweeps_and_order_are_chosen(store: Store, ls: Ls) -> None:
    stream = make_stream(store)
    first, second = make_arm(store, "1", stream), make_arm(store, "2", stream)
    make_sweep(store, "first", first)
    (store.path("model", first["model"]) / "weights").write_text("x" * 5000, encoding="utf-8")

    def keys(*arguments: str) -> list[str]:
        code, out, _ = ls(*arguments, "--json")
        assert code == 0
        return [artifact["key"] for artifact in json.loads(out)["artifacts"]]

    assert keys("models", "--sort", "size") == [first["model"], second["model"]]
    assert keys("model", "--sort", "key") == sorted([first["model"], second["model"]])
    assert keys("models", "dataset", "--sweep", "fir") == [first["dataset"], first["model"]]
    assert len(keys()) == 7


def test_json_has_whole_keys_and_their_users(store: Store, ls: Ls) -> None:
    keys = make_arm(store, "1", make_stream(store))
    make_sweep(store, "sweep", keys)
    lock_of(store, "model", keys["model"])
    _, out, _ = ls("models", "--json")
    listing = json.loads(out)
    (model,) = listing["artifacts"]
    assert (model["results"], model["sweeps"], model["needed"], model["demo"]) == ([keys["result"]], ["sweep"], True, False)
    assert model["bytes"] > 1000
    assert listing["locks"][0]["living"]


def test_demo_is_what_serves_demo_results_only(store: Store, ls: Ls) -> None:
    stream, other = make_stream(store, "s1"), make_stream(store, "s2")
    make_result(store, "demo", {}, {"stream": stream}, demo=True)
    make_result(store, "demo2", {}, {"stream": other}, demo=True)
    make_result(store, "real", {}, {"stream": other})
    _, out, _ = ls("streams")
    assert "demo" in line_of(out, stream)
    assert "demo" not in line_of(out, other)


def test_a_long_stage_is_cut_unless_it_is_named(store: Store, ls: Ls) -> None:
    for number in range(MOST_OF_A_STAGE + 3):
        make(store, "model", f"{number:02d}", {"encoder": {"id": "enc"}})
    assert "3 more" in ls()[1]
    assert "more" not in ls("models")[1]


def test_what_is_torn_or_left_is_shown(store: Store, ls: Ls) -> None:
    make_stream(store)
    store.path("model", key("torn")).mkdir(parents=True)
    (store.root / "models" / f".{key('killed')}.0123abcd.tmp").mkdir()
    store.work(key("m")).mkdir(parents=True)
    lock_of(store, "model", key("m"))
    (store.path("stream", key("s")) / "meta.json").write_text("{", encoding="utf-8")
    code, out, _ = ls()
    assert code == 0
    for part in ("incomplete", "leftovers:", "half-done work:", "process 1 on elsewhere", "can't be told", "meta.json can't be read"):
        assert part in out


def test_no_store_and_an_empty_one(store: Store, ls: Ls, tmp_path: Path) -> None:
    code, out, _ = ls("--store", str(tmp_path / "nowhere"))
    assert code == 0
    assert "there is no store" in out
    code, out, _ = ls()
    assert code == 0
    assert "nothing" in out


def test_typing_errors_name_the_nearest(store: Store, ls: Ls) -> None:
    code, _, err = ls("modles")
    assert code == 1
    assert "did you mean 'models'" in err
    make_sweep(store, "methods")
    code, _, err = ls("--sweep", "metods")
    assert code == 1
    assert "did you mean 'methods'" in err


def test_runs_of_wandb_are_in_the_store_and_no_artifact(store: Store, ls: Ls) -> None:
    keys = make_arm(store, "1", make_stream(store, "stream"))
    make_sweep(store, "sweep", keys)
    before = ls("--json")
    run = store.wandb / "wandb" / "offline-run-1" / "run.wandb"
    run.parent.mkdir(parents=True)
    run.write_bytes(b"x" * 3000)
    assert ls("--json") == before
    _, out, _ = ls()
    assert re.search(r"^W&B: +3\.0 kB$", out, re.MULTILINE)
    with pytest.raises(SystemExit):
        main(["gc", "--yes"])
    assert run.is_file()
