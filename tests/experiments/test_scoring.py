"""Results: what is read back from the store, and under which names."""

from dataclasses import asdict
from pathlib import Path

import pytest

from japagen.errors import StoreError
from japagen.experiments.planning import plan_experiment
from japagen.experiments.result import read_result
from japagen.experiments.scoring import find_result
from japagen.store.files import write_json
from japagen.store.store import Store
from tests.conftest import Compose
from tests.reporting.test_run_table import RESULT


def test_a_stored_result_is_called_what_the_present_configuration_calls_it(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    experiment = plan_experiment(composed())
    assert find_result(experiment, store) is None
    folder = store.path("result", experiment.keys["result"])
    folder.mkdir(parents=True)
    write_json(folder / "result.json", asdict(RESULT))
    write_json(folder / "meta.json", {})
    found = find_result(experiment, store)
    assert found is not None
    assert found.metrics == RESULT.metrics
    assert RESULT.protocol == "zero-shot"
    assert found.protocol == "0 shots, LLM tuned on this task's train split, encoder too"
    assert found.demo


@pytest.mark.parametrize("content", ["[]", "{}", '{"task": 1}', "not JSON"])
def test_a_spoilt_result_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content, encoding="utf-8")
    with pytest.raises(StoreError, match=r"result\.json can't be read"):
        read_result(tmp_path)


def test_a_result_of_gold_rows_counts_what_the_present_configuration_leaves_out(composed: Compose, tmp_path: Path) -> None:
    store, compared = Store(tmp_path), plan_experiment(composed("task=jcola", "method=gold"))
    kept = plan_experiment(composed("task=jcola", "method=gold", "curate.contamination=off"))
    assert kept.keys == compared.keys, "no row is shared"
    folder = store.path("result", compared.keys["result"])
    folder.mkdir(parents=True)
    write_json(folder / "result.json", asdict(RESULT))
    write_json(folder / "meta.json", {})
    found = [find_result(experiment, store) for experiment in (compared, kept)]
    assert [one.num_contaminated for one in found if one is not None] == [0, None]
