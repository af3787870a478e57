"""Tables in the paper's layout: which row and column a run stands in, and what its cell says."""

import pytest

from japagen.reporting.pivots import Cell, Pivot, PivotRow
from tests.conftest import Compose
from tests.stubs.report_runs import GOLD, PROMPTING, Runs, compared


@pytest.fixture
def runs(composed: Compose) -> Runs:
    return Runs(composed)


def settings_of(pivot: Pivot) -> list[PivotRow]:
    return [row for row in pivot.rows if not row.is_baseline]


def cell_of(row: PivotRow, index: int = 0) -> Cell:
    cell = row.cells[index]
    assert cell is not None
    return cell


def test_settings_are_rows_and_tasks_are_columns(runs: Runs) -> None:
    for task in ("jsts", "jnli"):
        runs.add([0.7, 0.9], f"task={task}", "method=gold", **GOLD)
        runs.add([0.5, 0.6, 0.7], f"task={task}")
    pivot = runs.pivot()
    assert [(column.task, column.split, column.metric, column.num_eval, column.source) for column in pivot.columns] == [
        ("jsts", "valid", "spearman", 2434, "jsts valid"),
        ("jnli", "valid", "accuracy", 2434, "jnli valid"),
    ]
    gold, plain = settings_of(pivot)
    assert (gold.method, gold.prompt, gold.shots, gold.llm, gold.model, gold.size) == ("gold", "–", "–", "–", "bert", "gold all")
    assert (plain.method, plain.prompt, plain.shots, plain.llm, plain.model, plain.size) == ("japagen", "base", "0", "big", "bert", "50")
    cell = cell_of(plain, 1)
    assert cell.mean == pytest.approx(0.6)
    assert cell.sd == pytest.approx(0.1)
    assert (cell.num_runs, cell.num_failed, cell.seeds, cell.p_holm) == (3, 0, "seed 0, 1, 2", None)


def test_a_row_that_only_a_later_task_has_stands_beside_its_neighbour(runs: Runs) -> None:
    runs.add([0.5], "task=jsts", "method=prompting", **PROMPTING)
    runs.add([0.5], "task=jsts")
    runs.add([0.5], "task=jnli", "method=prompting", **PROMPTING)
    runs.add([0.5], "task=jnli", "method=prompting", "shots=3", **PROMPTING)
    runs.add([0.5], "task=jnli")
    assert [(row.method, row.shots) for row in settings_of(runs.pivot())] == [("prompting", "0"), ("prompting", "3"), ("japagen", "0")]
    assert settings_of(runs.pivot())[1].cells[0] is None


def test_further_splits_have_columns_and_missing_values_are_none(runs: Runs) -> None:
    further = {"metrics": {"mcc": {"value": 0.2, "low": 0, "high": 1}}, "baselines": {"tfidf": {"mcc": None}}, "num_eval": 685}
    runs.add([0.5, None], "task=jcola", also_scored={"out": further | {"gold_source": "JCoLA out"}})
    pivot = runs.pivot()
    assert [(column.split, column.num_eval, column.source) for column in pivot.columns] == [
        ("valid", 2434, "jcola valid"),
        ("out", 685, "JCoLA out"),
    ]
    (row,) = settings_of(pivot)
    assert (cell_of(row).mean, cell_of(row).sd, cell_of(row).num_runs) == (0.5, None, 2)
    assert cell_of(row, 1).mean == 0.2
    assert [(row.method, row.cells[1]) for row in pivot.rows if row.is_baseline] == [("majority", None), ("tfidf", None)]


def test_differences_mark_cells_and_baselines_are_the_references(runs: Runs) -> None:
    gold = runs.add([0.9, 0.9], "task=jnli", "method=gold", **GOLD)
    plain = runs.add([0.5, 0.7], "task=jnli")
    shots = runs.add([0.5, 0.6], "task=jnli", "shots=3")
    pivot = runs.pivot(compared(gold, plain, 0.01), compared(shots, plain, 0.2), compared(gold, plain, 0.5, "other split"))
    cells = [cell_of(row) for row in settings_of(pivot)]
    assert [(cell.p_holm, cell.is_significant, cell.is_reference) for cell in cells] == [
        (0.01, True, False),
        (None, False, True),
        (0.2, False, False),
    ]
    tfidf = next(row for row in pivot.rows if row.method == "tfidf")
    assert cell_of(tfidf).mean == pytest.approx(0.6)
    assert cell_of(tfidf).sd == pytest.approx(0.1414, abs=1e-3)


def test_baselines_come_from_the_first_setting_that_has_them(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", baselines={})
    runs.add([0.9, 0.9], "task=jnli", "method=gold", **GOLD)
    baselines = [row for row in runs.pivot().rows if row.is_baseline]
    assert [row.method for row in baselines] == ["majority", "tfidf"]
    assert (cell_of(baselines[0]).mean, cell_of(baselines[0]).sd) == (0.9, None)


def test_sources_of_gold_data_have_tables_of_their_own(runs: Runs) -> None:
    runs.add([0.5], "task=jnli")
    runs.add([0.9], "task=jnli", data="sample", demo=True)
    runs.add([0.5], "task=jsts", split=None, metrics={}, num_eval=0, baselines={})
    published, sample, without = runs.pivots()
    assert (published.data, sample.data, without.data) == ("published", "sample", None)
    assert [cell_of(sample.rows[0]).demo, cell_of(published.rows[0]).demo] == [True, False]
    assert (without.columns[0].task, without.columns[0].split, cell_of(without.rows[0]).mean) == ("jsts", "", None)


def test_failures_stand_in_their_settings_row(runs: Runs) -> None:
    runs.add([0.5, 0.6], "task=jnli", "data=published", settings="s")
    runs.fail("task=jnli", "data=published", settings="s")
    runs.fail("task=jnli", "data=published", settings="s", seed=8, is_pending=True)
    runs.fail("task=jnli", "data=published", "method=prompting", settings="t", seed=1)
    runs.fail("task=jnli", "data=published", "method=prompting", settings="t", seed=2)
    plain, prompting = settings_of(runs.pivot())
    assert (cell_of(plain).num_runs, cell_of(plain).num_failed, cell_of(plain).num_pending) == (2, 1, 1)
    assert (prompting.method, prompting.model, prompting.size, cell_of(prompting).mean) == ("prompting", "–", "–", None)
    assert (cell_of(prompting).num_runs, cell_of(prompting).num_failed) == (0, 2)


def test_a_task_whose_runs_all_failed_has_a_column(runs: Runs) -> None:
    runs.fail("task=jcola", "data=published", "method=mixed", "gold_per_label=30", "num_per_label=200")
    runs.add([0.5], "task=jnli")
    pivot = runs.pivot()
    assert [(column.task, column.num_eval) for column in pivot.columns] == [("jcola", 0), ("jnli", 2434)]
    assert [row.size for row in settings_of(pivot)] == ["200 + gold 30", "50"]


def test_nothing_has_no_table(runs: Runs) -> None:
    assert list(runs.pivots()) == []


def test_settings_that_look_alike_say_what_differs(runs: Runs) -> None:
    for task in ("jnli", "jsts"):
        for rate in ("1e-5", "5e-5"):
            runs.add([0.5, 0.6], f"task={task}", f"train.learning_rate={rate}")
    rows = settings_of(runs.pivot())
    assert [row.options for row in rows] == ["train.learning_rate=1e-05", "train.learning_rate=5e-05"]
    assert all(None not in row.cells for row in rows)


def test_what_nothing_tells_apart_is_numbered(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", settings="of one version")
    runs.add([0.6], "task=jnli", settings="of another")
    assert [row.options for row in settings_of(runs.pivot())] == ["", "(2)"]


def test_other_gold_rows_are_another_column(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", gold_source="a.csv")
    runs.add([0.6], "task=jnli", gold_source="b.csv")
    pivot = runs.pivot()
    assert [column.source for column in pivot.columns] == ["a.csv", "b.csv"]
    assert [row.options for row in settings_of(pivot)] == [""]


def test_settings_of_one_task_only_need_no_further_words(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", "data=published", "data.train_source=jnli_neg")
    runs.add([0.6], "task=jsts", "data=published")
    assert [row.options for row in settings_of(runs.pivot())] == [""]
