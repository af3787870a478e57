"""From `japagen sample-to-label DATASET` over people's sheets to `japagen label-noise`, and where its figures are seen."""

import csv
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from japagen.commands.main import main
from japagen.config.schema import Config
from japagen.curation.label_noise import noise_path, read_noise
from japagen.quality.label_sheets import row_code
from japagen.reporting.html.grids import label_noise_grids
from japagen.store.store import Store
from japagen.tasks import Example
from tests.conftest import Compose
from tests.stubs.made_store import make
from tests.stubs.stored_quality import pairs, store_dataset

Japagen = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    return Store(tmp_path / "store")


@pytest.fixture
def japagen(store: Store, capsys: pytest.CaptureFixture[str]) -> Japagen:
    """Runs a command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def config(composed: Compose) -> Config:
    return composed("task=jnli")


@pytest.fixture
def rows(config: Config) -> list[Example]:
    return pairs(20, config.task)


@pytest.fixture
def dataset(store: Store, config: Config, rows: list[Example]) -> str:
    return store_dataset(store, config, rows[:50], valid=rows[50:])


def read(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def fill(path: str, sheet: list[dict[str, str]], answers: dict[str, str]) -> None:
    """A person's sheet with these answers, by the rows' codes; all other rows stay empty."""
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(sheet[0]))
        writer.writeheader()
        writer.writerows(row | {"label": answers.get(row["id"], "")} for row in sheet)


def test_a_blind_sheet_gives_no_label_away(japagen: Japagen, dataset: str) -> None:
    code, out, _ = japagen("sample-to-label", dataset[:8], "n=30", "--blind")
    path = f"{dataset[:8]}-to-label.csv"
    assert code == 0
    assert Path(path).read_bytes().startswith(b"\xef\xbb\xbf")
    sheet = read(path)
    assert [list(row) for row in sheet] == [["id", "sentence1", "sentence2", "label"]] * 30
    assert not any(label in Path(path).read_text(encoding="utf-8-sig") for label in ("entailment", "neutral", "contradiction"))
    for part in (f"{path}: 30 of 60 rows of data set {dataset}, without the data set's labels", "entailment", "Write unclear (不明)",
                 f"Then: japagen label-noise {dataset[:8]} {path}"):  # fmt: skip
        assert part in out, part
    code, _, err = japagen("sample-to-label", dataset[:8])
    assert code == 1
    assert "exists, and may hold labels" in err


def test_else_the_label_is_shown_beside_an_empty_column(japagen: Japagen, dataset: str, rows: list[Example]) -> None:
    code, out, _ = japagen("sample-to-label", dataset, "n=1000", "seed=3", "--out", "s.csv")
    assert code == 0
    assert "s.csv: 60 of 60 rows" in out
    assert "the data set's labels in column 'given_label'" in out
    by_code = {row_code(dataset, row): row.label for row in rows}
    sheet = read("s.csv")
    assert [row["given_label"] for row in sheet] == [by_code[row["id"]] for row in sheet]
    assert {row["label"] for row in sheet} == {""}


def test_sheets_are_taken_back_kept_and_shown(
    japagen: Japagen, store: Store, dataset: str, rows: list[Example]
) -> None:  # fmt: skip
    _, out, _ = japagen("sample-to-label", str(store.path("dataset", dataset)), "n=30", "--blind", "--out", "anna.csv")
    before = {path: path.read_bytes() for path in store.path("dataset", dataset).iterdir()}
    sheet, by_code = read("anna.csv"), {row_code(dataset, row): row.label for row in rows}
    answers = {row["id"]: by_code[row["id"]] for row in sheet[:28]}
    changed = next(code for code, label in answers.items() if label == "neutral")
    fill("anna.csv", sheet, answers | {changed: "矛盾", sheet[27]["id"]: "unclear"})
    fill("ben.csv", sheet, answers)
    (line,) = (line for line in out.splitlines() if line.startswith("Then: japagen "))
    code, out, _ = japagen(*shlex.split(line.removeprefix("Then: japagen ")))
    assert code == 0
    for part in (
        f"data set {dataset}",
        "anna.csv: 27 labelled, 1 unclear, 2 empty",
        "contradiction 1",
        "Cohen's kappa with the data set: 0.",
    ):
        assert part in out, part
    assert "in place of what was measured" not in out
    code, out, _ = japagen("label-noise", dataset[:8], "anna.csv", "ben.csv")
    assert code == 0
    for part in (
        "ben.csv: 28 labelled, 0 unclear, 2 empty",
        "anna.csv and ben.csv, on the 27 rows that both label",
        "in place of what was measured",
    ):
        assert part in out, part
    found = read_noise(store, dataset)
    assert found is not None
    assert found.sheets[0].noise is not None
    assert found.sheets[0].noise.value == pytest.approx(1 / 27, abs=0.01)
    assert before == {path: path.read_bytes() for path in store.path("dataset", dataset).iterdir()}
    assert store.changed("dataset", dataset) == []
    shown = japagen("show", dataset, "data=files")[1]
    assert "label noise by people" in shown
    assert "on the 27 rows that both label" in shown
    titles = [grid.title for grid in label_noise_grids(found)]
    assert titles == ["Label noise by people", "Label noise by people", "Two people"]
    assert label_noise_grids(found)[0].rows[-1][:3] == ("all", "27", f"{100 * found.sheets[0].noise.value:.1f}%")


def test_labels_of_people_outlive_gc(japagen: Japagen, store: Store, dataset: str) -> None:
    japagen("sample-to-label", dataset, "--out", "s.csv", "n=6")
    sheet = read("s.csv")
    fill("s.csv", sheet, {row["id"]: row["given_label"] for row in sheet})
    assert japagen("label-noise", dataset, "s.csv")[0] == 0
    assert "people's labels:" in japagen("ls")[1]
    code, out, _ = japagen("gc", "--yes", "--older-than", "0")
    assert code == 0
    assert f"data set {dataset[:8]}" in out
    assert not store.path("dataset", dataset).exists()
    assert noise_path(store, dataset).is_file()


def test_faults_are_named(japagen: Japagen, store: Store, dataset: str) -> None:
    make(store, "stream", "abcd", {"llm": {"id": "x"}})
    japagen("sample-to-label", dataset, "--out", "s.csv", "n=6")
    for arguments, words in {
        ("label-noise", dataset, "s.csv"): "s.csv: no row has a label",
        ("label-noise", dataset, "s.csv", "s.csv"): "2 sheet(s) named; name one, or two different ones",
        ("label-noise", dataset, "task=jnli"): "0 sheet(s) named",
        ("label-noise", dataset, "t.csv"): "t.csv does not exist",
        ("label-noise", "61626364", "s.csv"): "is no data set; name one",
        ("label-noise", "0000", "s.csv"): "nothing in the store",
        ("label-noise", dataset, "s.csv", "task=jcola"): "is not what data set",
        ("sample-to-label", "61626364"): "is no data set; name one",
        ("sample-to-label", dataset, "n=0"): "n=0 is not allowed",
        ("sample-to-label", dataset, "--out", "s.txt"): "let it end in .csv",
    }.items():
        code, _, err = japagen(*arguments)
        assert code == 1, arguments
        assert words in err, (arguments, err)
    assert not noise_path(store, dataset).exists()


def test_a_regression_is_refused(japagen: Japagen, store: Store, composed: Compose) -> None:
    config = composed("task=jsts")
    rows = [Example((f"犬が{number}匹走る。", "猫。"), config.task.labels[0].name, 1.0, f"0/{number}") for number in range(3)]
    code, _, err = japagen("sample-to-label", store_dataset(store, config, rows), "--blind")
    assert code == 1
    assert "is a regression: its labels are numbers" in err
