"""What stands in figures and matrices: the right settings, numbers and lines."""

import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from japagen.reporting.benchmarks import benchmarks_of
from japagen.reporting.costs import costs_of
from japagen.reporting.html.confusion import NO_ANSWER, confusions
from japagen.reporting.html.plots import cost_plots, growth_plots, score_plots
from japagen.reporting.report import Report, Run
from japagen.store.store import Store
from tests.conftest import Compose
from tests.reporting.html.invented import interval, invented_report, result_for, sweep_named


def single_run(composed: Compose, *overrides: str, **changes: object) -> Report:
    config = composed(*overrides)
    return Report((sweep_named(),), (Run("s", config, replace(result_for(config, 0.5, random.Random(0)), **changes)),))  # type: ignore[arg-type]


def test_smoke_data_have_figures_of_their_own(composed: Compose) -> None:
    config = composed("task=jnli")
    results = [replace(result_for(config, 0.5, random.Random(0), data=data), gold_source=data) for data in ("published", "sample")]
    report = Report((sweep_named(),), tuple(Run("s", config, result) for result in results))
    assert [(benchmark.data, len(benchmark.groups)) for benchmark in benchmarks_of(report.groups)] == [("published", 1), ("sample", 1)]


def test_a_figure_tells_settings_and_baselines(composed: Compose, tmp_path: Path) -> None:
    ((benchmark, plot),) = score_plots(invented_report(composed, Store(tmp_path), tasks=("jnli",)))
    assert benchmark.heading == "jnli (valid): accuracy"
    for text in ("japagen, 0 shots, n=40", "prompting, 0 shots", "gold, all rows", "majority", "overlap"):
        assert f">{text}</" in plot.svg
    assert [name for _, name in plot.legend] == ["japagen", "prompting", "gold"]


def test_growth_takes_two_sizes_of_one_setting(composed: Compose, tmp_path: Path) -> None:
    report = invented_report(composed, Store(tmp_path), tasks=("jnli",))
    ((_, plot),) = growth_plots(report)
    assert [name for _, name in plot.legend] == ["japagen"], "3 shots have one size only"
    for text in ("40", "160", "gold, all rows"):
        assert f">{text}</" in plot.svg
    assert growth_plots(single_run(composed, "task=jnli")) == []


def test_cost_is_in_money_where_all_have_a_price_and_numbers_are_the_tables(composed: Compose, tmp_path: Path) -> None:
    report = invented_report(composed, Store(tmp_path), tasks=("jnli",))
    ((_, plot, rows),) = cost_plots(report, costs_of(report))
    assert plot is not None
    assert "money" in plot.svg
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    report.runs[0].config.llm.price_per_gpu_hour = None
    ((_, plot, _),) = cost_plots(report, costs_of(report))
    assert plot is not None
    assert "GPU seconds" in plot.svg


def test_one_setting_alone_has_a_cost_and_no_figure(composed: Compose) -> None:
    report = single_run(composed, "task=jnli")
    ((_, plot, (row,)),) = cost_plots(report, costs_of(report))
    assert plot is None
    assert row.number is None
    assert row.cost.gpu_s > 0


def predictions(path: Path, gold: list[object], predicted: list[object]) -> None:
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": [str(number) for number in range(len(gold))], "gold": gold, "prediction": predicted}), path)


def test_a_matrix_counts_all_runs_and_answers_that_never_came(composed: Compose, tmp_path: Path) -> None:
    report, store = single_run(composed, "task=jcola"), Store(tmp_path)
    path = store.path("result", report.results[0].keys["result"]) / "predictions.parquet"
    predictions(path, ["acceptable", "acceptable", "unacceptable"], ["acceptable", "", "acceptable"])
    ((found,),) = [confusion.matrices for confusion in confusions(report, store)]
    assert found.columns == ("acceptable", "unacceptable", NO_ANSWER)
    assert found.rows == (("acceptable", 2, (1, 0, 1)), ("unacceptable", 1, (1, 0, 0)))


def test_many_labels_have_pairs_in_place_of_a_matrix(composed: Compose, tmp_path: Path) -> None:
    report, store = single_run(composed, "task=banking77", "llm=qwen3-4b"), Store(tmp_path)
    names = report.runs[0].config.task.label_names
    path = store.path("result", report.results[0].keys["result"]) / "predictions.parquet"
    predictions(path, [*names, names[0]], [names[1]] * 77 + [""])
    (found,) = confusions(report, store)
    assert found.matrices == ()
    (pairs,) = found.pairs
    assert (pairs.num_rows, pairs.num_wrong, pairs.num_kinds, pairs.num_runs) == (78, 77, 77, 1)
    assert len(pairs.pairs) == 15
    assert [(pair.predicted, pair.num, pair.num_gold) for pair in pairs.pairs if pair.gold == names[0]] == [
        (names[1], 1, 2),
        (NO_ANSWER, 1, 2),
    ]
    assert pairs.never == tuple(name for name in names if name != names[1])


def test_regression_has_a_mean_for_each_level(composed: Compose, tmp_path: Path) -> None:
    report, store = single_run(composed, "task=jsts"), Store(tmp_path)
    path = store.path("result", report.results[0].keys["result"]) / "predictions.parquet"
    predictions(path, [0.0, 0.4, 5.0], [1.0, 2.0, 4.5])
    ((found,),) = [confusion.levels for confusion in confusions(report, store)]
    assert found.levels[0] == (2, 1.5, 0.5)
    assert found.levels[1] == (0, None, None)
    assert found.levels[5] == (1, 4.5, 0.0)


def test_predictions_that_are_gone_are_said_to_be(composed: Compose, tmp_path: Path) -> None:
    (found,) = confusions(single_run(composed, "task=jnli", metrics={"accuracy": interval(0.5)}), Store(tmp_path))
    assert found.missing == ("japagen",)
    assert found.matrices == ()
