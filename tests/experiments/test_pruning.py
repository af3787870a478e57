"""Which weights stay: the best seed by validation rows, nothing that is needed or held, whoever prunes at the same time."""

import multiprocessing
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import plan_experiment
from japagen.experiments.pruning import family, prune_models
from japagen.experiments.scoring import settings_key
from japagen.store.files import write_json
from japagen.store.store import Store
from tests.conftest import Compose


def fake(seed: int, rows: str = "d", result: str = "") -> Experiment:
    """An experiment as far as its keys go."""
    from japagen.config.schema import Config

    identities = {"model": {"rows": f"{rows} of {seed}", "encoder": rows, "train": {"epochs": 4}, "seed": seed}}
    model = f"model-{rows}-{seed}"
    return Experiment(Config(seed=seed), None, {}, None, (), {}, "", identities, {"model": model, "result": f"result-{model}{result}"})


def publish(store: Store, stage: str, key: str, **meta: Any) -> None:
    folder = store.path(stage, key)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text("weights", encoding="utf-8")
    write_json(folder / "meta.json", meta)


def make(store: Store, experiment: Experiment, score: float | None = 0.5, has_result: bool = True) -> None:
    if store.find("model", experiment.keys["model"]) is None:
        publish(store, "model", experiment.keys["model"], training={"best_score": score})
    if has_result:
        publish(store, "result", experiment.keys["result"])


def kept(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "models").iterdir())


def test_all_and_none(tmp_path: Path) -> None:
    store, experiments = Store(tmp_path), [fake(seed) for seed in range(3)]
    make(store, experiments[0])
    make(store, experiments[1], has_result=False)
    assert prune_models(experiments, store, "all") == []
    assert prune_models(experiments, store, "none") == ["model-d-0"]
    assert kept(store) == ["model-d-1"]
    assert store.find("result", "result-model-d-0") is not None, "what was found out stays"
    assert prune_models(experiments, store, "none") == []


def test_the_best_seed_of_each_setting_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    experiments = [fake(seed, rows) for rows in ("a", "b", "c") for seed in range(3)]
    for experiment, score in zip(experiments, [0.1, 0.9, 0.5, 0.7, 0.7, 0.2, None, 0.0, None], strict=True):
        make(store, experiment, score)
    assert sorted(prune_models(experiments, store, "best_seed")) == [f"model-{one}" for one in ("a-0", "a-2", "b-1", "b-2", "c-0", "c-2")]
    assert kept(store) == ["model-a-1", "model-b-0", "model-c-1"], "ties: the lowest seed; without a score: last"


def test_models_without_any_score_leave_the_lowest_seed(tmp_path: Path) -> None:
    store, experiments = Store(tmp_path), [fake(seed) for seed in (10, 9, 2)]
    for experiment in experiments:
        make(store, experiment, None)
    prune_models(experiments, store, "best_seed")
    assert kept(store) == ["model-d-2"]


def test_an_unfinished_experiment_keeps_its_model(tmp_path: Path) -> None:
    store = Store(tmp_path)
    valid, test, other = fake(0), fake(0, result="-test"), fake(1)
    make(store, valid, 0.1)
    make(store, other, 0.9)
    for keep in ("best_seed", "none"):
        assert "model-d-0" not in prune_models([valid, test, other], store, keep)
    assert "model-d-0" in kept(store)
    make(store, test)
    assert "model-d-0" in prune_models([valid, test, other], store, "best_seed") + prune_models([valid, test], store, "none")


def test_a_seed_that_is_not_scored_yet_is_no_rival(tmp_path: Path) -> None:
    store, experiments = Store(tmp_path), [fake(seed) for seed in range(2)]
    make(store, experiments[0], 0.1)
    make(store, experiments[1], 0.9, has_result=False)
    assert prune_models(experiments, store, "best_seed") == []


def test_a_model_that_somebody_holds_is_left_alone(tmp_path: Path) -> None:
    store, experiments = Store(tmp_path), [fake(seed) for seed in range(2)]
    make(store, experiments[0], 0.1)
    make(store, experiments[1], 0.9)
    with Store(tmp_path).lock("model", "model-d-0"):
        assert prune_models(experiments, store, "best_seed") == []
    assert prune_models(experiments, store, "best_seed") == ["model-d-0"]
    assert not list((tmp_path / "locks").iterdir())


@given(scores=st.lists(st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=6), data=st.data())
def test_pruning_as_seeds_end_leaves_what_pruning_in_the_end_does(
    scores: list[float | None], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    experiments = [fake(seed) for seed in range(len(scores))]
    for seed in data.draw(st.permutations(range(len(scores)))):
        make(store, experiments[seed], scores[seed])
        prune_models(experiments, store, "best_seed")
    best = min(range(len(scores)), key=lambda seed: (float("inf") if scores[seed] is None else -(scores[seed] or 0.0), seed))
    assert kept(store) == [f"model-d-{best}"]


def _prune(root: Path, seeds: Sequence[int], start: Any) -> None:
    start.wait(60)
    prune_models([fake(seed) for seed in seeds], Store(root), "best_seed")


@pytest.mark.slow
def test_several_at_once_leave_the_best(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(30):
        make(store, fake(seed), score=(seed * 7 % 30) / 30)
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    processes = [context.Process(target=_prune, args=(tmp_path, range(30), start)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    prune_models([fake(seed) for seed in range(30)], store, "best_seed")  # what one left because another held it
    assert kept(store) == ["model-d-17"]
    assert not [path for path in (tmp_path / "models").iterdir() if path.name.endswith(".tmp")]


def test_students_on_draws_of_their_own_are_seeds_of_one_setting(composed: Compose) -> None:
    """One student a setting stays, not one a draw: else a sweep over seeds would keep all of them."""
    seeds = [plan_experiment(composed("task=jcola", "shots=2", f"seed={seed}", "num_per_label=9")) for seed in range(3)]
    assert len({experiment.identities["model"]["rows"] for experiment in seeds}) == 3
    assert len({family(experiment) for experiment in seeds}) == 1
    other = plan_experiment(composed("task=jcola", "shots=1", "num_per_label=9"))
    assert family(other) != family(seeds[0])


def test_settings_are_the_same_for_other_seeds_only(composed: Compose) -> None:
    config = composed("task=jcola", "shots=2", "num_per_label=9")

    def key(**changes: Any) -> str:
        return settings_key(plan_experiment(replace(config, **changes)))

    assert key() == key(seed=5) == key(shots_seed=3) == key(synthesis=replace(config.synthesis, seed=4))
    assert key(train=replace(config.train, keep="none")) == key()
    others = [
        key(shots=0),
        key(num_per_label=8),
        key(train=replace(config.train, epochs=1)),
        key(prompt=replace(config.prompt, name="kadg")),
    ]
    gold = [key(method=replace(config.method, name="gold"), gold_per_label=size) for size in ("all", "2")]
    assert key(method=replace(config.method, name="gold"), gold_per_label="2", shots_seed=1) == gold[1]
    assert len({key(), *others, *gold}) == 7
