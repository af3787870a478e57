"""The report's formats: the same numbers in each, hostile names harmless in all, and what must be said is said."""

import csv
import io
import json
import re
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from rich.console import Console

from japagen.experiments.result import Failure, Result
from japagen.reporting.comparisons import Comparison
from japagen.reporting.formats import document, latex, markdown, table_csv
from japagen.reporting.formats.layout import lay_out, score_of
from japagen.reporting.formats.terminal import print_report
from japagen.reporting.pivots import Cell, Column, pivots
from japagen.reporting.report import Report, Run
from japagen.sweeps.folder import Sweep
from tests.conftest import Compose
from tests.stubs.report_runs import GOLD, PROMPTING, Runs, compared

HOSTILE = r"a|b <b>*x*</b> _y_ [z](u) `c` $1 & 100% #{}~^\end"
TEXT_FORMATS = [markdown, latex, table_csv, document]
SWEEP = Sweep("monday", "2026-01-01T00:00:00+00:00", ("run.py", "-m"), "0123456789abcdef", 9)


@pytest.fixture
def runs(composed: Compose) -> Runs:
    return Runs(composed)


def report_of(runs: Runs, *comparisons: Comparison, **fields: Any) -> Report:
    return Report((SWEEP,), tuple(runs.runs), comparisons, **fields)


def on_terminal(report: Report, width: int = 240) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(report, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def filled(runs: Runs) -> Report:
    """Gold, prompting and the plain arm on two tasks; a failed and a waiting run."""
    comparisons = []
    for task in ("jsts", "jnli"):
        gold = runs.add([0.8123, 0.8125], f"task={task}", "method=gold", **GOLD)
        prompting = runs.add([0.3, 0.4], f"task={task}", "method=prompting", num_failed=4, **PROMPTING)
        plain = runs.add([0.5, 0.7], f"task={task}")
        comparisons += [compared(gold, plain, 0.001), compared(prompting, plain, 0.3)]
    runs.fail("task=jnli", settings=str(plain[0].settings))
    runs.fail("task=jsts", "method=annotate", "data=published", settings="never ran", is_pending=True)
    return report_of(runs, *comparisons)


def test_every_format_for_people_has_the_numbers_marks_and_causes(runs: Runs) -> None:
    report = filled(runs)
    for text in (on_terminal(report), markdown.render(report)):
        assert all(part in text for part in ("0.812 ± 0.000†", "0.350 ± 0.071", "0.600 ± 0.141 (ref)", "(ref) (2 runs, 1 failed)"))
        assert "Holm within a task" in text
        assert "n = 2434" in text
        assert "to come" in text
        assert "no memory" in text
        assert "not comparable with the paper's" in text
        assert "no usable answer to 4, 4 of 2434 rows" in text
    text = latex.render(report)
    assert r"\textbf{0.812} $\pm$ 0.000$^{\dagger}$" in text
    assert r"0.600 $\pm$ 0.141 (ref) (2 runs, 1 failed)" in text
    assert "Holm within a task" in text.partition(r"\caption")[2]
    assert "(1 failed, 1 to come)" in text


def test_what_all_rows_share_is_said_once(runs: Runs) -> None:
    report = filled(runs)
    (pivot,) = pivots(replace(report, runs=tuple(run for run in report.runs if isinstance(run.outcome, Result))))
    layout = lay_out(pivot)
    assert layout.heads == ("method", "n/label")
    assert layout.common == "prompt base; shots 0; LLM big; encoder bert"
    assert [line.is_baseline for line in layout.lines] == [False] * 3 + [True] * 2


def test_one_score_is_no_best_one(runs: Runs) -> None:
    runs.add([0.5], "task=jnli")
    assert "textbf" not in latex.render(report_of(runs))
    runs.add([0.5], "task=jnli", "shots=3")
    assert latex.render(report_of(runs)).count("textbf") == 2, "equal as shown, so both"


def hostile_report(runs: Runs) -> Report:
    runs.add([0.5, 0.6], "task=jnli", llm=HOSTILE, task=HOSTILE, protocol=HOSTILE, gold_source="日本語の\n出典", model="=1+1", settings="x")
    runs.add([0.4, 0.6], "task=jnli", llm="[bold]大規模言語モデル[/bold]", task=HOSTILE, model="@x", options={"a": "[1]"}, settings="y")
    runs.fail("task=jsts")
    run = runs.runs[-1]
    assert isinstance(run.outcome, Failure)
    runs.runs[-1] = replace(run, outcome=replace(run.outcome, name=HOSTILE, cause=f"{HOSTILE}\n\\input{{/etc/passwd}}"))
    return report_of(runs)


def test_markdown_tables_keep_their_shape(runs: Runs) -> None:
    text = markdown.render(hostile_report(runs))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows[:4]}) == 1
    assert "<b>" not in text.replace(r"\<b\>", "")
    assert r"\<b\>\*x\*\</b\> \_y\_ \[z\](u) \`c\` \$1 &amp; 100%" in text
    assert "大規模言語モデル" in text
    assert all(not line or line.startswith(("|", "-", "*", "In all rows")) for line in text.splitlines())


def test_names_within_words_keep_their_underscores() -> None:
    assert markdown.escape("gold_per_label _x_") == r"gold_per_label \_x\_"


def test_latex_has_no_command_of_a_name(runs: Runs) -> None:
    text = latex.render(hostile_report(runs))
    code = [line for line in text.splitlines() if not line.startswith("%")]
    assert r"\input" not in "\n".join(code)
    assert r"\end\n" not in "\n".join(code)
    assert r"\textless{}b\textgreater{}{*}x{*}" in text
    assert r"\$1 \& 100\% \#\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}end" in text
    rows = [line for line in code if line.endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows[:4]}) == 1
    assert not any(row.startswith(("[", "*")) for row in rows)
    for opening, closing in ((r"(?<!\\)\{", r"(?<!\\)\}"),):
        joined = "\n".join(code).replace("\\\\", "")
        assert len(re.findall(opening, joined)) == len(re.findall(closing, joined))
    assert all(line.startswith("%") for line in text.partition("\n\n")[0].splitlines())


def test_a_spreadsheet_runs_no_formula(runs: Runs) -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv.render(hostile_report(runs)))))
    assert [row["model"] for row in rows if row["method"] == "japagen"][:2] == ["'=1+1", "'@x"]
    assert rows[0]["llm"] == HOSTILE


def test_csv_has_a_row_a_cell_with_exact_numbers(runs: Runs) -> None:
    rows = list(csv.DictReader(io.StringIO(table_csv.render(filled(runs)))))
    assert list(rows[0]) == list(table_csv.COLUMNS)
    gold = rows[0]
    assert float(gold["mean"]) == pytest.approx(0.8124)
    assert (gold["task"], gold["method"], gold["llm"], gold["p_holm"], gold["is_significant"]) == ("jsts", "gold", "", "0.001", "True")
    failed = [row for row in rows if row["num_pending"] == "1"]
    assert [(row["method"], row["mean"], row["num_runs"]) for row in failed] == [("annotate", "", "0")]
    assert sum(row["is_baseline"] == "True" for row in rows) == 4


def test_json_has_every_run_and_no_nan(runs: Runs) -> None:
    filled(runs)
    runs.add([float("nan")], "task=jnli", "train.epochs=9", training={"history": [float("inf")]})
    content = json.loads(document.render(report_of(runs)), parse_constant=lambda name: pytest.fail(name))
    assert [run["state"] for run in content["runs"]].count("done") == 13
    last = content["runs"][-1]
    assert last["result"]["metrics"]["accuracy"]["value"] is None
    assert last["varied"]["train.epochs"] == "9"
    assert {"state": "failed", "cause": "no memory"}.items() <= content["runs"][12].items()
    assert content["runs"][13]["state"] == "pending"
    assert content["sweeps"][0]["name"] == "monday"
    assert len(content["tables"][0]["rows"][0]["cells"]) == 2


@pytest.mark.parametrize("width", [40, 240])
def test_the_terminal_shows_names_as_they_are(runs: Runs, width: int) -> None:
    text = on_terminal(hostile_report(runs), width)
    assert "input{/etc/passwd}" in text
    if width > 100:
        assert "=1+1" in text
        assert "[bold]大規模言語モデル[/bold]" in text


def test_demo_runs_are_called_so_in_every_format(runs: Runs) -> None:
    runs.add([0.5, 0.5], "task=jnli", demo=True)
    report = report_of(runs)
    for text in (on_terminal(report), *(form.render(report) for form in TEXT_FORMATS if form is not table_csv)):
        assert "their numbers mean nothing" in text
    assert "japagen*" in on_terminal(report)
    assert r"japagen\*" in markdown.render(report)
    assert "japagen{*}" in latex.render(report)


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_a_report_of_failures_only_can_be_written(runs: Runs, form: ModuleType) -> None:
    runs.fail("task=jnli", "method=prompting")
    report = report_of(runs)
    assert "no memory" in form.render(report) or form is table_csv
    assert "failed" in on_terminal(report)


def test_a_negative_score_has_a_minus_and_baselines_are_explained(runs: Runs) -> None:
    runs.add([-0.25], "task=jcola")
    report = report_of(runs)
    assert "$-$0.250" in latex.render(report)
    assert "-0.250" in on_terminal(report)
    assert "majority is the best constant answer, tfidf is a linear model" in markdown.render(report)
    assert "overlap" not in markdown.render(report)


def test_columns_called_alike_name_their_gold_rows(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", gold_source="a.csv")
    runs.add([0.6], "task=jnli", gold_source="b.csv")
    report = report_of(runs)
    for text in (on_terminal(report), markdown.render(report), latex.render(report)):
        assert "a.csv" in text.partition("0.5")[0]


def test_what_was_chosen_is_told(runs: Runs) -> None:
    runs.add([0.5], "task=jnli")
    assert "only experiments with task=jnli and seed=0" in markdown.render(report_of(runs, filters=("task=jnli", "seed=0")))


def test_comparisons_that_were_not_made_are_told(runs: Runs) -> None:
    first, second = runs.add([0.5], "task=jnli", "shots=3"), runs.add([0.5], "task=jnli")
    not_made = replace(compared(first, second, 0.5), difference=None, p_holm=None, note="predictions can't be read")
    text = markdown.render(report_of(runs, not_made))
    assert "not tested: jnli valid, a with b: predictions can't be read" in text
    assert "Holm within a task" in text


COLUMN = Column("jnli", "valid", "accuracy", 9)
CELL = Cell(0.5, 0.1, "seed 0, 1", 2, 0, False, "zero-shot")


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        (CELL, "0.500 ± 0.100"),
        (replace(CELL, sd=None, num_runs=1), "0.500 (1 run)"),
        (replace(CELL, p_holm=0.04, num_failed=1), "0.500 ± 0.100† (2 runs, 1 failed)"),
        (replace(CELL, mean=None, sd=None), "no value"),
        (replace(CELL, mean=None, sd=None, num_runs=0, num_failed=2), "failed"),
        (replace(CELL, mean=None, sd=None, num_runs=0, num_pending=2), "to come"),
        (replace(CELL, mean=None, sd=None, num_runs=0, num_failed=1, num_pending=2), "failed (1 failed, 2 to come)"),
    ],
)
def test_cells_in_words(cell: Cell | None, text: str) -> None:
    assert score_of(cell, COLUMN, 2).text == text


def test_without_gold_data_there_is_no_score(runs: Runs) -> None:
    (result,) = runs.add([0.5], "task=jnli")
    assert isinstance(result, Result)
    config = runs.runs[0].config
    runs.runs = [Run("monday", config, replace(result, split=None, metrics={}, num_eval=0, baselines={}))]
    text = on_terminal(report_of(runs))
    assert "no gold" in text
    assert "Without gold data" in text
    assert "there is a student and no score" in text
    assert r"japagen & -- \\" in latex.render(report_of(runs))
