"""Sheets of a data set's rows: which are drawn, what a sheet may say, what is refused and where, and what comes of it."""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from japagen.curation.label_noise import UNCLEAR, noise_path, read_noise, write_noise
from japagen.errors import ConfigError, DataError, StoreError
from japagen.quality.label_sheets import Sheet, dataset_rows, draw_rows, measure_again, measure_noise, read_sheet, row_code
from japagen.store.store import Store
from japagen.tasks import Example, Task
from tests.conftest import load_task

KEY = "877001d0c0ffee00877001d0c0ffee00"


@pytest.fixture
def task() -> Task:
    return load_task("jcola")


def rows_of(**counts: int) -> list[Example]:
    return [
        Example((f"{number}番目の{label}の文〜𠮷。",), label, None, f"{label}/{number}")
        for label, num in counts.items()
        for number in range(num)
    ]


def write(path: Path, rows: Sequence[Example], answers: Sequence[str], encoding: str = "utf-8-sig", key: str = KEY) -> Path:
    with path.open("w", encoding=encoding, errors="replace", newline="") as file:
        lines = [[row_code(key, row), *row.texts, answer] for row, answer in zip(rows, answers, strict=True)]
        csv.writer(file).writerows([["id", "sentence", "label"], *lines])
    return path


@pytest.mark.parametrize(
    ("counts", "num", "sizes"),
    [
        ({"acceptable": 60, "unacceptable": 60}, 10, {"acceptable": 5, "unacceptable": 5}),
        ({"acceptable": 90, "unacceptable": 30}, 40, {"acceptable": 30, "unacceptable": 10}),
        ({"acceptable": 990, "unacceptable": 10}, 20, {"acceptable": 18, "unacceptable": 2}),
        ({"acceptable": 99, "unacceptable": 1}, 50, {"acceptable": 49, "unacceptable": 1}),
        ({"acceptable": 4, "unacceptable": 3}, 100, {"acceptable": 4, "unacceptable": 3}),
        ({"acceptable": 50, "unacceptable": 50}, 1, {"acceptable": 1}),
    ],
    ids=["even", "by shares", "two of a rare label", "all of a rare label", "fewer rows than asked", "one row"],
)
def test_rows_are_drawn_by_the_data_sets_shares(counts: dict[str, int], num: int, sizes: dict[str, int]) -> None:
    rows = rows_of(**counts)
    drawn = draw_rows(rows, num, seed=0)
    assert Counter(row.label for row in drawn) == sizes
    assert len({row.id for row in drawn}) == len(drawn)
    assert drawn == draw_rows(rows, num, seed=0)
    if 10 <= num < len(rows):
        assert drawn != draw_rows(rows, num, seed=1)


def test_the_order_tells_nothing_of_the_labels() -> None:
    rows = rows_of(acceptable=50, unacceptable=50)
    first = Counter(draw_rows(rows, 20, seed)[0].label for seed in range(200))
    assert 70 <= first["acceptable"] <= 130


def test_a_code_hides_the_label_and_is_the_data_sets_own() -> None:
    row = rows_of(acceptable=1)[0]
    assert "acceptable" not in row_code(KEY, row)
    assert row_code(KEY, row).startswith("row"), "12e34 would be a number"
    assert row_code(KEY, row) != row_code(KEY[::-1], row)


def test_a_sheet_comes_back(task: Task, tmp_path: Path) -> None:
    rows = rows_of(acceptable=4, unacceptable=4)
    path = write(tmp_path / "anna.csv", rows, ["acceptable", "1", "１.0", " 容認できる ", "0", "UNCLEAR", "不明", ""])
    sheet = read_sheet(task, KEY, rows, path)
    assert sheet.name == "anna.csv"
    assert list(sheet.answers.values()) == ["acceptable"] * 4 + ["unacceptable", UNCLEAR, UNCLEAR, ""]
    assert list(sheet.answers) == [row.id for row in rows]


def test_what_a_japanese_spreadsheet_can_not_save_is_no_other_text(task: Task, tmp_path: Path) -> None:
    rows = rows_of(acceptable=2)
    path = write(tmp_path / "sheet.csv", rows, ["1", "0"], encoding="cp932")
    sheet = read_sheet(task, KEY, rows, path)
    assert sheet.notes == ("sheet.csv: read as CP932",)
    assert list(sheet.answers.values()) == ["acceptable", "unacceptable"]


def test_faults_are_named_with_their_lines(task: Task, tmp_path: Path) -> None:
    rows = rows_of(acceptable=3)
    path = tmp_path / "s.csv"
    write(path, rows, ["1", "acceptible", "0"])
    with pytest.raises(
        DataError, match=r"s\.csv:3: label 'acceptible' .* \(did you mean 'acceptable'\?\); allowed: .*容認できる, .*unclear, 不明, or"
    ):
        read_sheet(task, KEY, rows, path)
    write(path, rows, ["1", "1", "1"], key=KEY[::-1])
    with pytest.raises(
        DataError, match=rf"s\.csv:2: 'row\w+' \(column 'id'\) is no row of data set {KEY}: the sheet was drawn from another"
    ):
        read_sheet(task, KEY, rows, path)
    write(path, [*rows, rows[1]], ["1"] * 4)
    with pytest.raises(DataError, match=r"s\.csv:5: this row stands in line 3 already"):
        read_sheet(task, KEY, rows, path)
    write(path, rows, ["", " ", "unclear"])
    with pytest.raises(DataError, match=r"s\.csv: no row has a label in column 'label' yet"):
        read_sheet(task, KEY, rows, path)
    lines = write(path, rows, ["1"] * 3).read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join([*lines[:2], lines[2].replace("1番目", "2番目")]), encoding="utf-8")
    with pytest.raises(DataError, match=r"s\.csv:3: column 'sentence' holds '2番目.*a column was sorted by itself"):
        read_sheet(task, KEY, rows, path)
    path.write_text("id,sentence\n", encoding="utf-8")
    with pytest.raises(DataError, match="no row has a label"):
        read_sheet(task, KEY, rows, path)


def test_a_regression_has_no_noise_rate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="task 'jsts' is a regression"):
        dataset_rows(Store(tmp_path), KEY, load_task("jsts"))


def test_two_sheets_are_measured_counted_and_kept(task: Task, tmp_path: Path) -> None:
    rows = rows_of(acceptable=100, unacceptable=50)
    answers = {row.id: "unacceptable" if row.id in ("acceptable/0", "acceptable/1") else row.label for row in rows[:20] + rows[100:110]}
    first = Sheet("anna.csv", {**answers, "acceptable/2": UNCLEAR, "acceptable/3": ""})
    second = Sheet("ben.csv", {**answers, "acceptable/0": "acceptable", "unacceptable/0": UNCLEAR, "acceptable/30": "acceptable"})
    found = measure_noise(task, KEY, rows, [first, second])
    anna = found.sheets[0]
    assert (anna.num_labelled, anna.num_unclear, anna.num_unlabelled, anna.covered) == (28, 1, 1, 1.0)
    assert anna.confusion == {"acceptable": {"acceptable": 16, "unacceptable": 2, "unclear": 1}, "unacceptable": {"unacceptable": 10}}
    assert anna.by_label["acceptable"].value == pytest.approx(2 / 18)
    assert anna.noise is not None
    assert anna.noise.value == pytest.approx(2 / 3 * 2 / 18)
    assert found.agreement is not None
    assert found.agreement.disagreement.num == 27, "rows that both label"
    assert found.agreement.confusion["unacceptable"] == {"unacceptable": 10, "acceptable": 1}
    assert found.answers["acceptable/3"] == ["", "acceptable"]
    assert found.answers["acceptable/30"] == [None, "acceptable"]
    store = Store(tmp_path)
    assert read_noise(store, KEY) is None
    assert write_noise(store, found) == noise_path(store, KEY)
    assert read_noise(store, KEY) == found
    assert measure_again(task, rows, found) == found
    noise_path(store, KEY).write_text('{"sheets": [{}]}', encoding="utf-8")
    with pytest.raises(StoreError, match="measure again: japagen label-noise"):
        read_noise(store, KEY)


def test_people_who_label_no_row_in_common_do_not_agree_or_differ(task: Task) -> None:
    rows = rows_of(acceptable=4, unacceptable=4)
    sheets = [Sheet("a", {rows[0].id: "acceptable"}), Sheet("b", {rows[1].id: "acceptable"})]
    found = measure_noise(task, KEY, rows, sheets)
    assert found.agreement is None
    assert (found.sheets[0].covered, found.sheets[0].kappa) == (0.5, None)
