"""Results: what is read back from the store, and under which names."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from japagen.errors import StoreError
from japagen.experiments.planning import plan_experiment
from japagen.experiments.result import Scores, SplitScores, read_result
from japagen.experiments.scoring import find_result
from japagen.store.files import write_json
from japagen.store.store import Store
from tests.conftest import Compose
from tests.stubs.results import RESULT


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


STORED = """{
 "task": "jcola", "split": "valid", "method": "prompting", "prompt": "base", "llm": "demo", "model": null, "data": "published",
 "gold_source": "JCoLA 1.0 valid", "train_source": null, "shots": 0, "gold_per_label": null, "seeds": {"seed": 0, "template": 1},
 "num_per_label": null, "num_train": 0, "num_valid": 0, "demo": true, "protocol": "zero-shot", "metric": "mcc",
 "metrics": {"mcc": {"value": 0.5, "low": 0.25, "high": 0.75}}, "baselines": {"majority": {"mcc": null}}, "num_eval": 865,
 "num_contaminated": null, "keys": {"answers": "a", "result": "r"}, "seconds": {"generation": 2.5, "scoring": 0.5},
 "tokens": {"prompt": 9, "completion": 2}, "versions": {"japagen": "0.1.0"}, "commit": "8a2fd1b0+", "training": {}, "notes": [],
 "also_scored": ALSO_SCORED, "options": {"method.answer": "free"}, "num_failed": 3, "settings": "s",
 "num_clusters": 865, "draw": {}, "agreement": {}, "contaminated": {}, "num_steps": null, "num_cut": null, "verdict": null
}"""
"""The content of a result.json without a student; a file has one value a line."""
ALSO_SCORED = """{"ood": {
 "metrics": {"mcc": {"value": 0.25, "low": 0.0, "high": 0.5}}, "baselines": {"majority": {"mcc": null}}, "num_eval": 685,
 "num_clusters": 680, "gold_source": "JCoLA 1.0 ood", "num_failed": 0
}}"""
NO_VALUE: dict[str, Scores] = {"majority": {"mcc": None}}
PRIMARY = SplitScores(
    "valid", "JCoLA 1.0 valid", 865, {"mcc": {"value": 0.5, "low": 0.25, "high": 0.75}}, NO_VALUE, 3, is_primary=True, num_clusters=865
)
FURTHER = SplitScores("ood", "JCoLA 1.0 ood", 685, {"mcc": {"value": 0.25, "low": 0.0, "high": 0.5}}, NO_VALUE, 0, num_clusters=680)


@pytest.mark.parametrize(("also_scored", "splits"), [("{}", (PRIMARY,)), (ALSO_SCORED, (PRIMARY, FURTHER))])
def test_a_result_has_its_splits_and_is_written_back_byte_for_byte(
    tmp_path: Path, also_scored: str, splits: tuple[SplitScores, ...]
) -> None:
    path = tmp_path / "result.json"
    write_json(path, json.loads(STORED.replace("ALSO_SCORED", also_scored)))
    content = path.read_bytes()
    result = read_result(tmp_path)
    assert result.splits == splits
    primary, *further = result.splits
    write_json(path, asdict(replace(result, also_scored={split.name: split.entry for split in further}, **primary.entry)))
    assert path.read_bytes() == content


def test_a_split_that_was_not_scored_has_empty_scores() -> None:
    assert RESULT.scores_on("valid") == RESULT.splits[0]
    assert RESULT.scores_on("test") == SplitScores("test", None)
    assert replace(RESULT, split=None).splits == ()


def test_an_entry_may_lack_fields_or_have_more_of_them() -> None:
    entry = {"metrics": {"accuracy": None}, "num_eval": 9, "written_later": 1}
    assert replace(RESULT, also_scored={"out": entry}).splits[1] == SplitScores("out", "JNLI valid", 9, {"accuracy": None})


def test_predictions_of_each_split_have_a_file_of_their_own() -> None:
    assert [split.predictions_file for split in (PRIMARY, FURTHER)] == ["predictions.parquet", "predictions-ood.parquet"]


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
    assert [(one.num_contaminated, one.contaminated) for one in found if one is not None] == [(0, {}), (None, {})]
