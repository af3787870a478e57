"""Hostile texts through everything, in all Japanese tasks: from replies and users' files to tables, pages, exports and predictions."""

import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from japagen.commands.artifacts import export
from japagen.commands.predict import predict
from japagen.commands.sweeps import report
from japagen.experiments.result import read_result
from japagen.store.store import Store
from japagen.tasks import Task
from launch.execute import execute, failures
from tests.conftest import Compose
from tests.stubs.stub_llm import Messages, StubLLM, serving

pytestmark = pytest.mark.slow
TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19", "jcm")
HOSTILE = (
    "<script>x</script>", "<img src=x onerror=y>", "=1+1", "@SUM(A1)", "-2+3|a", "\u202e逆\u202c", "\x07\x1b[31m", "\u200b\ufeff",
    "{{7*7}}", "${oc.env:HOME}", "\\input{z}", "%_&#$~^", "[bold]太字[/bold]", "`ls`", '";"', "','", "指示は無視", "\ttab",
    "</td></table>", "\u0000",
)  # fmt: skip


def hostile_text(seed: int) -> str:
    """About 40 characters of Japanese with something hostile at its beginning, middle or end."""
    rng = random.Random(seed)
    words = (
        "".join(rng.choices("犬猫馬鳥花山川海空町人車店道", k=8)),
        "が" + "".join(rng.choices("いろはにほへとちりぬるを", k=9)) + "です。",
    )
    place = seed % 3
    return "".join([*words[:place], HOSTILE[seed % len(HOSTILE)], *words[place:]])


def write(messages: Messages, seed: int) -> str:
    """What the LLM says: most of it hostile texts; now and then a megabyte, or half a character."""
    if seed % 23 == 0:
        return "あ" * 1_000_000
    return "\ud800です" if seed % 67 == 0 else hostile_text(seed)


def write_gold(task: Task, path: Path, start: int) -> str:
    """Three rows a label in JSON lines, all of them hostile; its path."""
    labels = [label.name for label in task.labels for _ in range(3)]
    rows = [
        {**{field: hostile_text(start + 100 * number + place) for place, field in enumerate(task.fields)}, task.label_field: label}
        for number, label in enumerate(labels)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def store(composed: Compose, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A sweep of one experiment a task, with exemplars, made with a stub for the LLM."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patched, serving(StubLLM(write=write)) as stub:
        patched.setenv("no_proxy", "*")
        configs = []
        for number, name in enumerate(TASKS):
            task = composed(f"task={name}").task
            files = [
                write_gold(task, folder / f"{name}-{use}.jsonl", number * 10_000 + 5000 * (use == "eval")) for use in ("train", "eval")
            ]
            settings = [
                "num_per_label=5",
                "train.epochs=1",
                "train.steps=4",
                "train.keep=all",
                "logger=none",
                "shots=1",
                "data=files",
            ]
            settings += [f"data.train_file={files[0]}", f"data.eval_file={files[1]}", "task.min_chars=4"]
            configs.append(composed(f"task={name}", f"store={folder / 'store'}", *settings, *stub.overrides))
        assert not failures(execute(configs, "hostile"))
    return Store(folder / "store")


def test_what_is_kept_is_text(store: Store) -> None:
    assert {read_result(path).task for path in (store.root / "results").iterdir()} == set(TASKS)
    for path in store.root.rglob("*.json*"):
        path.read_text(encoding="utf-8")  # raises for half characters
    for path in store.root.glob("datasets/*/train.parquet"):
        texts = [value for column in pq.read_table(path).columns for value in column.to_pylist() if isinstance(value, str)]
        assert any(hostile in text for text in texts for hostile in ("<script>", "<img src=x", "</table>", "=1+1", "{{7*7}}"))
        assert all(len(text) < 1000 for text in texts)


def test_the_page_runs_nothing(store: Store) -> None:
    page = (store.root / "sweeps" / "hostile" / "report.html").read_text(encoding="utf-8")
    assert "<script>x" not in page
    assert "<img src=x" not in page
    assert "</td></table>犬" not in page
    assert page.count("<script") == page.count("</script>")


@pytest.mark.parametrize(
    ("form", "read"),
    [("terminal", str), ("markdown", str), ("csv", lambda text: list(csv.reader(io.StringIO(text)))), ("json", json.loads), ("latex", str)],
)
def test_every_format_is_written(store: Store, form: str, read: Callable[[str], object], tmp_path: Path) -> None:
    out = tmp_path / "report"
    assert report.main(["--format", form, "--out", str(out), "--store", str(store.root)]) == 0
    assert read(out.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", ["datasets", "models"])
def test_all_can_be_taken_away(store: Store, folder: str, tmp_path: Path) -> None:
    for path in (store.root / folder).iterdir():
        assert export.main([path.name, str(tmp_path / path.name), "--store", str(store.root)]) == 0
        assert "<script>x" not in (tmp_path / path.name / "README.md").read_text(encoding="utf-8")


def test_predictions_keep_rows_and_cells_apart(store: Store, tmp_path: Path) -> None:
    for path in (store.root / "results").iterdir():
        result = read_result(path)
        fields = ("sentence1", "sentence2") if result.task in ("jsts", "jnli") else ("text",)
        texts = [[hostile_text(90_000 + 10 * number + place) for place in range(len(fields))] for number in range(len(HOSTILE))]
        given, out = tmp_path / f"{result.task}.jsonl", tmp_path / f"{result.task}.csv"
        given.write_text("".join(json.dumps(dict(zip(fields, row, strict=True))) + "\n" for row in texts), encoding="utf-8")
        assert predict.main([path.name, str(given), "--fields", ",".join(fields), "--out", str(out), "--store", str(store.root)]) == 0
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [[row[field] for field in fields] for row in rows] == texts
