"""`japagen sample-to-label`: what is drawn, what the sheet holds, and that data=files takes it back, labelled in part too."""

import csv
import json
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from japagen.commands.main import main
from japagen.commands.predict.sample_to_label import draw, half_width
from japagen.config.composition import compose_config
from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.gold import read_eval, read_train
from tests.conftest import load_task

Sample = Callable[..., tuple[int, str, str]]
BOM = b"\xef\xbb\xbf"


@pytest.fixture
def sample(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sample:
    """Runs the command in a folder of the test's: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["sample-to-label", *arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def put_texts(path: Path, *texts: str, encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([["sentence", "label"], *([text, "0"] for text in texts)])
    return path


def rows_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write_rows(path: str, rows: list[dict[str, str]], encoding: str = "utf-8") -> None:
    with Path(path).open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_a_sheet_opens_in_spreadsheets_and_shows_no_label(sample: Sample) -> None:
    put_texts(Path("文.csv"), *(f"{number}番目の犬、\n走る。" for number in range(20)), encoding="cp932")
    code, output, _ = sample("文.csv", "task=jcola", "n=5")
    assert code == 0
    assert Path("文-to-label.csv").read_bytes().startswith(BOM)
    rows = rows_of("文-to-label.csv")
    assert [list(row) for row in rows] == [["id", "sentence", "label"]] * 5
    assert {row["label"] for row in rows} == {""}, "labels of the file would lead the hand"
    assert len({row["sentence"] for row in rows}) == 5
    for part in ("文-to-label.csv: 5 of 20 different texts", "文.csv: read as CP932", "acceptable, or 1: 容認できる", "unacceptable, or 0",
                 "of mcc up to ±0.88 with 5, ±0.44 with 20 labels (at 0,"):  # fmt: skip
        assert part in output, part
    assert "warning" not in output


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_it_comes_back_labelled_in_part(sample: Sample, encoding: str) -> None:
    put_texts(Path("文.csv"), *(f"{number}番目の犬、\n走る。" for number in range(9)))
    code, output, _ = sample("文.csv", "task=jcola", "n=5")
    assert code == 0
    rows = rows_of("文-to-label.csv")
    for row, label in zip(rows, ["1", "unacceptable", "容認"], strict=False):
        row["label"] = label
    rows[2]["label"] = " "
    write_rows("文-to-label.csv", rows, encoding)
    (line,) = (line for line in output.splitlines() if line.startswith("Then: python run.py "))
    config = compose_config([override for override in shlex.split(line)[3:] if "=…" not in override])
    split = read_eval(config.task, config.data)
    assert split is not None
    assert [(example.id, example.texts[0], example.label) for example in split.examples] == [
        (rows[0]["id"], rows[0]["sentence"], "acceptable"),
        (rows[1]["id"], rows[1]["sentence"], "unacceptable"),
    ]
    assert "文-to-label.csv: 3 rows without a label left out" in split.notes


def test_a_wrong_label_is_still_an_error_and_so_is_none_at_all(sample: Sample) -> None:
    put_texts(Path("t.csv"), "犬が走る。", "猫が走る。")
    sample("t.csv", "task=jcola")
    data = Data(source="files", eval_file="t-to-label.csv", train_file="t-to-label.csv")
    for read in (read_eval, read_train):
        with pytest.raises(DataError, match=r"t-to-label\.csv:2: label '' \(column 'label'\) is not known; allowed: acceptable"):
            read(load_task("jcola"), data)
    rows = rows_of("t-to-label.csv")
    write_rows("t-to-label.csv", [rows[0] | {"label": "acceptible"}, rows[1]])
    with pytest.raises(DataError, match=r"t-to-label\.csv:2: label 'acceptible' .* \(did you mean 'acceptable'\?\)"):
        read_eval(load_task("jcola"), data)


def test_no_label_column_is_an_error_and_an_empty_value_may_be_a_label(tmp_path: Path) -> None:
    task, path = load_task("jcola"), tmp_path / "t.csv"
    path.write_text("sentence\n犬が走る。\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'label'"):
        read_eval(task, Data(source="files", eval_file=str(path)))
    path.write_text("sentence,label\n犬が走る。,\n猫が走る。,0\n", encoding="utf-8")
    task.label_map[""] = "acceptable"
    split = read_eval(task, Data(source="files", eval_file=str(path)))
    assert split is not None
    assert [example.label for example in split.examples] == ["acceptable", "unacceptable"]
    assert split.notes == ()


def test_in_files_that_nobody_fills_in_by_hand_a_missing_label_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"sentence": "犬が走る。", "label": 1}\n{"sentence": "猫が走る。", "label": null}\n', encoding="utf-8")
    with pytest.raises(DataError, match=":2: label '' "):
        read_eval(load_task("jcola"), Data(source="files", eval_file=str(path)))


def test_a_published_file_without_a_label_is_an_error(tmp_path: Path) -> None:
    task = load_task("jcola")
    task.published.splits["valid"].sha256, task.published.splits["valid"].rows = "", 2
    path = tmp_path / task.published.splits["valid"].path
    path.parent.mkdir(parents=True)
    columns = task.published.splits["valid"].columns
    names = [columns.get("sentence", "sentence"), columns.get("label", "label")]
    rows = [dict(zip(names, values, strict=True)) for values in (("犬が走る。", 1), ("猫が走る。", None))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=":2: label '' "):
        read_eval(task, Data(source="published", mirror=str(tmp_path)))


def test_empty_and_repeated_texts_are_passed_over(sample: Sample) -> None:
    put_texts(Path("t.csv"), "犬が走る。", "", " ", "犬が走る。", "猫が走る。")
    code, output, _ = sample("t.csv", "task=jcola", "n=100")
    assert code == 0
    assert sorted(row["sentence"] for row in rows_of("t-to-label.csv")) == ["犬が走る。", "猫が走る。"]
    assert "2 of 2 different texts (passed over: 2 without a text, 1 repeated)" in output
    assert "n=100 were asked for; the file has no more" in output


def test_the_draw_is_by_seed_and_uniform(tmp_path: Path) -> None:
    path = put_texts(tmp_path / "t.csv", *"甲乙丙丁")
    task = load_task("jcola")

    def drawn(seed: int) -> tuple[str, ...]:
        return tuple(row.values["sentence"] for row in draw(task, path, 2, seed)[0].rows)

    assert drawn(3) == drawn(3)
    found = Counter(drawn(seed) for seed in range(600))
    assert len(found) == 12, "every text in every place: a beginning of the sheet is a uniform sample"
    assert all(20 <= count <= 90 for count in found.values())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.txt", "犬が走る。\r\n\r\n猫が走る。\r\n"),
        ("t.tsv", "sentence\tn\n犬が走る。\t1\n猫が走る。\t2\n"),
        ("t.jsonl", '{"sentence": "犬が走る。", "id": 7}\n{"sentence": "猫が走る。", "id": 8}\n{"sentence": null}\n'),
    ],
    ids=["lines", "tsv", "jsonl"],
)
def test_kinds_of_files(sample: Sample, name: str, content: str) -> None:
    Path(name).write_bytes(content.encode())
    assert sample(name, "task=jcola")[0] == 0
    rows = rows_of("t-to-label.csv")
    assert sorted(row["sentence"] for row in rows) == ["犬が走る。", "猫が走る。"]
    assert {row["id"] for row in rows} == {"t.txt": {"1", "3"}, "t.tsv": {"2", "3"}, "t.jsonl": {"7", "8"}}[name]


def test_pairs_and_scores(sample: Sample) -> None:
    Path("t.jsonl").write_text(
        "".join(json.dumps({"sentence1": "犬が走る。", "sentence2": second}) + "\n" for second in ("猫。", "馬。", "")), encoding="utf-8"
    )
    code, output, _ = sample("t.jsonl", "task=jsts", "--out", "new/sheet.csv")
    assert code == 0
    assert "Write a number from 0 to 5 into column 'label'" in output
    assert "data.eval_file=new/sheet.csv" in output
    rows = rows_of("new/sheet.csv")
    assert list(rows[0]) == ["id", "sentence1", "sentence2", "label"]
    write_rows("new/sheet.csv", [rows[0] | {"label": "3.4"}, rows[1]])
    split = read_eval(load_task("jsts"), Data(source="files", eval_file="new/sheet.csv"))
    assert split is not None
    assert [example.score for example in split.examples] == [3.4]


def test_texts_that_spreadsheets_take_otherwise_stay_and_are_named(sample: Sample) -> None:
    texts = ["=SUM(A1)", "+1点です", "-5度でした", "@東京", "2024/01/02", "007", "今日は-5度", "全角＝です"]
    put_texts(Path("t.csv"), *texts)
    code, output, _ = sample("t.csv", "task=jcola")
    assert code == 0
    rows = rows_of("t-to-label.csv")
    assert {row["sentence"] for row in rows} == set(texts)
    assert "a spreadsheet takes 6 of these texts for a formula" in output
    assert "Import the sheet with its columns as Text" in output
    ids = output.split("(id ")[1].split(")")[0].split(", ")
    assert {row["sentence"] for row in rows if row["id"] in ids} == set(texts[:6])


def test_half_characters_are_replaced(sample: Sample) -> None:
    Path("t.jsonl").write_text('{"sentence": "犬\\ud83dが走る。"}\n', encoding="utf-8")
    assert sample("t.jsonl", "task=jcola")[0] == 0
    assert [row["sentence"] for row in rows_of("t-to-label.csv")] == ["犬?が走る。"]


def test_a_sheet_is_never_overwritten(sample: Sample) -> None:
    put_texts(Path("t.csv"), "犬が走る。")
    sample("t.csv", "task=jcola")
    before = Path("t-to-label.csv").read_bytes()
    code, _, err = sample("t.csv", "task=jcola")
    assert code == 1
    assert "t-to-label.csv exists, and may hold labels that somebody wrote; name another file with --out" in err
    assert Path("t-to-label.csv").read_bytes() == before


def test_faults_are_named_and_leave_nothing(sample: Sample) -> None:
    put_texts(Path("t.csv"), "犬が走る。")
    Path("empty.csv").write_text("sentence\n \n", encoding="utf-8")
    Path("numbers.jsonl").write_text('{"sentence": 3}\n', encoding="utf-8")
    Path("t.txt").write_text("犬が走る。\n", encoding="utf-8")
    for arguments, words in {
        ("t.csv",): "name the task that the texts are labelled for: task=NAME",
        ("t.csv", "task=jcola", "n=0"): "n=0 is not allowed; n is the number of texts to draw",
        ("t.csv", "task=jkola"): "jcola",
        ("t.csv", "task=news"): "t.csv:2: no column 'text'",
        ("nowhere.csv", "task=jcola"): "nowhere.csv does not exist",
        ("t.csv", "task=jcola", "--out", "sheet.xlsx"): "let it end in .csv",
        (".", "task=jcola"): ". is a folder; name one file in it",
        ("t.xlsx", "task=jcola"): "a file of type '.xlsx' can't be read",
        ("empty.csv", "task=jcola"): "empty.csv: no row has a text in sentence",
        ("numbers.jsonl", "task=jcola"): "numbers.jsonl:1: column 'sentence' must hold text; found int 3",
        ("t.txt", "task=jnli"): "task 'jnli' needs columns sentence1 and sentence2",
    }.items():
        code, _, err = sample(*arguments)
        assert code == 1, arguments
        assert words in err, arguments
    assert not list(Path().glob("*-to-label.csv"))


def test_the_interval_to_expect() -> None:
    assert [round(half_width(metric, 100), 2) for metric in ("accuracy", "macro_f1", "mcc", "spearman")] == [0.1, 0.1, 0.2, 0.2]
    assert half_width("accuracy", 400) == pytest.approx(half_width("accuracy", 100) / 2)
