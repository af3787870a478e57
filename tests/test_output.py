"""Programs print in the reader's encoding, whatever that lacks; data are UTF-8 whatever the encoding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from japagen.store.store import Store
from tests.conftest import ROOT, Compose
from tests.stubs.made_sweeps import PLAIN, SHOTS, Sweeps

ENCODINGS = {name: {"PYTHONIOENCODING": name} for name in ("utf-8", "cp932", "euc_jp", "latin-1")} | {
    "ascii, by locale": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
}
everywhere = pytest.mark.parametrize("encoding", ENCODINGS)


def run(*command: str, encoding: str, code: int = 0) -> tuple[bytes, bytes]:
    """What `python COMMAND` writes to both streams; AssertionError for another exit code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONIOENCODING"} | ENCODINGS[encoding]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr.decode(errors="replace")
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, composed: Compose) -> Store:
    """A sweep with two settings of two seeds and one without a result, so that tables have every sign."""
    sweeps = Sweeps(Store(tmp_path_factory.mktemp("made") / "表"), composed)
    sweeps.plan("表", [(PLAIN, 0), (PLAIN, 1), (SHOTS, 0), (SHOTS, 1), (("task=jnli", "method=gold"), 0)])
    for place, (overrides, seed) in enumerate([(PLAIN, 0), (PLAIN, 1), (SHOTS, 0), (SHOTS, 1)]):
        sweeps.score(overrides, seed, 0.2 + 0.2 * place)
    return sweeps.store


@pytest.mark.parametrize("encoding", ["latin-1", "ascii, by locale"])
def test_help_can_be_read(encoding: str) -> None:
    for command in (["run.py"], ["-m", "japagen"]):
        said, _ = run(*command, "--help", encoding=encoding)
        assert b"japagen COMMAND" in said or b"python run.py" in said


@everywhere
def test_tables_can_be_read(store: Store, encoding: str) -> None:
    said, _ = run("-m", "japagen", "report", "--store", str(store.root), encoding=encoding)
    lines = said.decode(encoding.partition(",")[0], "surrogateescape").splitlines()  # names of folders come out as they are
    dash = "–" if encoding == "utf-8" else "-"
    (row,) = [line for line in lines if " majority |" in line or " majority │" in line]
    assert f" {dash} " in row, "it has no number of shots"
    listed, _ = run("-m", "japagen", "ls", "--store", str(store.root), encoding=encoding)
    assert b"sweeps:" in listed


@pytest.mark.parametrize(("encoding", "name"), [("cp932", "猫….csv"), ("latin-1", r"\u732b....csv")])
def test_an_error_can_be_read(tmp_path: Path, encoding: str, name: str) -> None:
    _, said = run("run.py", "data=files", "data.eval_file='猫….csv'", f"hydra.run.dir={tmp_path}", encoding=encoding, code=1)
    assert said.decode(encoding).startswith(f"error: {name} does not exist")


@pytest.mark.parametrize(("form", "encoding"), [("json", "latin-1"), ("markdown", "euc_jp"), ("latex", "ascii, by locale")])
def test_data_on_standard_output_are_what_a_file_holds(store: Store, form: str, encoding: str, tmp_path: Path) -> None:
    report, out = ["-m", "japagen", "report", "--store", str(store.root), "--format", form], tmp_path / "out"
    run(*report, "--out", str(out), encoding=encoding)
    assert run(*report, encoding=encoding)[0] == out.read_bytes()


@pytest.mark.parametrize("encoding", ["cp932", "latin-1"])
def test_a_listing_for_scripts_is_utf8(store: Store, encoding: str) -> None:
    said, _ = run("-m", "japagen", "ls", "--json", "--store", str(store.root), encoding=encoding)
    assert json.loads(said.decode("utf-8"))["store"] == str(store.root)


@pytest.mark.parametrize("encoding", ["cp932", "ascii, by locale"])
def test_the_log_of_a_worker_is_utf8(tmp_path: Path, encoding: str) -> None:
    said, log = run("-m", "launch.worker", str(tmp_path / "表"), "student-0000", encoding=encoding, code=1)
    assert "表/plan.json can't be read" in (said + log).decode("utf-8")
