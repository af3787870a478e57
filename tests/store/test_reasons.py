"""Why a stage would be made anew: the nearest artifact is the one with fewest differences, and these are named as settings."""

from dataclasses import replace
from pathlib import Path

import pytest

from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.store import reasons
from japagen.store.files import write_json
from japagen.store.keys import stage_key
from japagen.store.reasons import Identity, StoredIdentities, compare, describe_nearest, identities_of, plan_reasons
from japagen.store.store import Store, artifact_meta
from tests.conftest import Compose

PLAIN = ("draw=0", "task=jcola", "logger=none")


@pytest.fixture(scope="module")
def plain(composed: Compose) -> Experiment:
    return Planner().plan(composed(*PLAIN))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, experiment: Experiment, stages: tuple[str, ...] = (), created: str = "2026-01-01") -> None:
    """Publishes an experiment's artifacts, all or these, with nothing in them."""
    for stage in stages or experiment.keys:
        folder = store.path(stage, experiment.keys[stage])
        folder.mkdir(parents=True, exist_ok=True)
        meta = artifact_meta(stage, experiment.keys[stage], experiment.identities[stage])
        write_json(folder / "meta.json", meta | {"created": created})


def explained(store: Store, experiment: Experiment, stage: str) -> list[str]:
    """The lines on one stage alone."""
    stored, wanted = StoredIdentities(store), identities_of(experiment)
    nearest = stored.nearest(wanted, stage)
    return [] if nearest is None else describe_nearest(nearest, stored, wanted, set())


@pytest.mark.parametrize(
    ("override", "stage", "lines"),
    [
        ("shots=3", "stream", ["exemplars 0 -> 6", "form of exemplars none -> turns"]),
        ("synthesis.seed=1", "stream", ["synthesis.seed 0 -> 1"]),
        ("synthesis.texts_per_request=4", "stream", ["synthesis.texts_per_request 8 -> 4"]),
        ("synthesis.temperatures=[0.7,1.3]", "stream", ["synthesis.temperatures none -> [0.7, 1.3]"]),
        ("llm.sampling.temperature=0.9", "stream", ["llm.sampling.temperature 0.7 -> 0.9"]),
        ("llm.stop=['。']", "stream", ['llm.stop none -> ["。"]']),
        ("task.system=x", "stream", ["task.system differs"]),
        ("prompt.variants=true", "stream", ["variants of the instructions: added"]),
        ("num_per_label=50", "dataset", ["num_per_label 300 -> 50"]),
        ("curate.near_duplicates=0.7", "dataset", ["curate.near_duplicates 0.8 -> 0.7"]),
        ("task.min_chars=3", "dataset", ["task.min_chars 4 -> 3"]),
        ("curate.contamination=report", "dataset", ["curate.contamination drop -> report"]),
        ("curate.prior=uniform", "dataset", ["curate.prior none -> uniform", "label frequencies of curate.prior: added"]),
        ("train.epochs=9", "model", ["train.epochs 4 -> 9"]),
        ("model.max_length=64", "model", ["model.max_length 128 -> 64"]),
        ("seed=5", "model", ["seed 0 -> 5"]),
    ],
)
def test_a_difference_is_called_as_its_setting(
    plain: Experiment, composed: Compose, store: Store, override: str, stage: str, lines: list[str]
) -> None:
    put(store, plain)
    other = Planner().plan(composed(*PLAIN, override))
    assert other.keys[stage] != plain.keys[stage]
    assert explained(store, other, stage) == lines


def test_an_instruction_is_named_by_its_label(plain: Experiment, composed: Compose, store: Store) -> None:
    put(store, plain)
    config = composed(*PLAIN)
    config.task.labels[1].instruction += "。"
    assert explained(store, Planner().plan(config), "stream") == ["instruction of label unacceptable differs"]
    config.task.labels[1].name = "bad"
    found = explained(store, Planner().plan(config), "stream")
    assert found == ['labels ["acceptable", "unacceptable"] -> ["acceptable", "bad"]']


def test_other_exemplars_of_the_same_number_are_told_apart(composed: Compose, store: Store) -> None:
    put(store, Planner().plan(composed(*PLAIN, "shots=3")))
    other = Planner().plan(composed(*PLAIN, "shots=3", "shots_seed=1"))
    assert explained(store, other, "stream") == ["exemplars differ (6 on both sides)"]


def test_an_input_is_followed_to_its_cause(plain: Experiment, composed: Compose, store: Store) -> None:
    put(store, plain)
    other = Planner().plan(composed(*PLAIN, "synthesis.seed=1", "train.epochs=9"))
    stream, dataset = plain.keys["stream"][:8], plain.keys["dataset"][:8]
    assert explained(store, other, "model") == [
        "train.epochs 4 -> 9", f"another data set, {dataset}:", f"  another stream, {stream}:", "    synthesis.seed 0 -> 1",
    ]  # fmt: skip
    stored, wanted, shown = StoredIdentities(store), identities_of(other), set[str]()
    for stage, lines in {"dataset": [f"another stream, {stream}:", "  synthesis.seed 0 -> 1"],
                         "model": ["train.epochs 4 -> 9", f"another data set, {dataset}: see above"]}.items():  # fmt: skip
        nearest = stored.nearest(wanted, stage)
        assert nearest is not None
        assert describe_nearest(nearest, stored, wanted, shown) == lines
        shown.add(nearest.stored.key)


def test_an_input_that_is_gone_is_named(plain: Experiment, composed: Compose, store: Store) -> None:
    put(store, plain, ("dataset", "model", "result"))
    other = Planner().plan(composed(*PLAIN, "synthesis.seed=1"))
    (line,) = explained(store, other, "dataset")
    assert line == (
        f"another stream, {plain.keys['stream'][:8]} in place of {other.keys['stream'][:8]}, of which the store has no more to compare"
    )


def test_gold_rows_and_written_ones_are_other_inputs(plain: Experiment, composed: Compose, store: Store) -> None:
    put(store, plain)
    gold = Planner().plan(composed(*PLAIN, "method=gold"))
    assert explained(store, gold, "model") == ["gold rows: added", f"data set {plain.keys['dataset'][:8]} -> none"]
    put(store, gold)
    few = Planner().plan(composed(*PLAIN, "method=gold", "gold_per_label=3"))
    assert "gold rows differ" in explained(store, few, "model")
    mixed = Planner().plan(composed(*PLAIN, "method=mixed", "method.gold_weight=2.5"))
    assert "method.gold_weight none -> 2.5" in explained(store, mixed, "model")


def test_the_nearest_differs_least_its_inputs_included(plain: Experiment, composed: Compose, store: Store) -> None:
    far = Planner().plan(composed("task=jnli", "logger=none"))
    put(store, far, created="2026-03-03")
    put(store, plain)
    other = Planner().plan(composed(*PLAIN, "synthesis.seed=1"))
    nearest = StoredIdentities(store).nearest(identities_of(other), "result")
    assert nearest is not None
    assert nearest.stored.key == plain.keys["result"], "the newer one is of another task"
    assert nearest.distance == 1


def test_of_equally_near_ones_the_newest_is_taken(composed: Compose, store: Store) -> None:
    made = [Planner().plan(composed(*PLAIN, f"train.epochs={num}")) for num in (1, 2, 3)]
    for experiment, created in zip(made, ("2026-01-02", "2026-01-03", "2026-01-01"), strict=True):
        put(store, experiment, created=created)
    nearest = StoredIdentities(store).nearest(identities_of(Planner().plan(composed(*PLAIN))), "model")
    assert nearest is not None
    assert nearest.stored.key == made[1].keys["model"]


def test_a_raised_version_is_the_difference(plain: Experiment) -> None:
    wanted = identities_of(plain)["dataset"]
    older = replace(wanted, key=stage_key("dataset", plain.identities["dataset"], 1))
    assert older.key != wanted.key
    (difference,) = compare(older, wanted).differences
    assert difference.describe() == f"version of the stage data set 1 -> {wanted.version}"
    assert Identity("dataset", "0" * 32, wanted.content).version is None


def test_broken_and_missing_files_are_passed_over(plain: Experiment, composed: Compose, store: Store) -> None:
    other = Planner().plan(composed(*PLAIN, "train.epochs=9"))
    assert explained(store, other, "model") == []
    put(store, plain)
    broken = store.path("model", "0" * 32)
    broken.mkdir()
    (broken / "meta.json").write_text("{", encoding="utf-8")
    assert explained(store, other, "model") == ["train.epochs 4 -> 9"]


def test_a_plan_names_causes_once_and_no_far_artifact(
    plain: Experiment, composed: Compose, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = [Planner().plan(composed(*PLAIN, "train.epochs=9", f"num_per_label={num}")) for num in (300, 50)]
    assert plan_reasons(new, store) == []
    put(store, plain)
    assert plan_reasons([plain], store) == [], "all is stored"
    assert plan_reasons(new, store) == ["model: train.epochs 4 -> 9 (2 of them)", "data set: num_per_label 300 -> 50"]
    assert plan_reasons([Planner().plan(composed("task=jnli", "logger=none"))], store) == []
    monkeypatch.setattr(reasons, "MOST_COMPARED", 1)
    assert plan_reasons(new, store)[-1] == "compared were the first 1 of each stage, and there are more: model 2, result 2"
    monkeypatch.setattr(reasons, "MOST_COMPARED", 9)
    monkeypatch.setattr(reasons, "MOST_REASONS", 1)
    assert plan_reasons(new, store) == ["model: train.epochs 4 -> 9 (2 of them)", "and 1 more reasons"]
