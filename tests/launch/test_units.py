"""What is left to do, as units: nothing twice, nothing that is there, and each student linked to who writes its texts."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.experiments.experiment import Experiment
from japagen.store.store import Store
from japagen.sweeps.folder import JUDGE, LLM, STUDENT, WRITER, Unit
from launch.planning import plan_experiments, plan_units, planned
from tests.conftest import Compose
from tests.stubs.streams import fill_stream_of

POOL = [
    *([f"task={task}", f"shots={shots}", f"seed={seed}"] for task in ("jcola", "jsts") for shots in (0, 2) for seed in (0, 1)),
    ["task=jcola", "num_per_label=50"],
    ["task=jcola", "llm.max_model_len=512", "synthesis.seed=1"],
    ["task=jcola", "method=gold"],
    ["task=jcola", "method=gold", "train.epochs=1", "train.min_steps=20"],
]


@pytest.fixture(scope="module")
def pool(composed: Compose) -> list[Experiment]:
    return plan_experiments([composed(*overrides) for overrides in POOL])


def publish(store: Store, stage: str, experiment: Experiment) -> None:
    folder = store.path(stage, experiment.keys[stage])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").write_text("{}", encoding="utf-8")


def of_kind(units: Sequence[Unit], kind: str) -> list[Unit]:
    return [unit for unit in units if unit.kind == kind]


def test_seeds_of_one_draw_share_a_data_set(composed: Compose, tmp_path: Path) -> None:
    experiments = plan_experiments([composed("task=jcola", f"seed={seed}", "draw=0") for seed in range(3)])
    llm, *students = plan_units(experiments, Store(tmp_path))
    assert (llm.id, llm.kind, llm.experiments, llm.needs) == ("llm-0", LLM, (0,), ())
    assert [(unit.id, unit.experiments, unit.needs) for unit in students] == [
        (f"student-000{seed}", (seed,), ("llm-0",)) for seed in range(3)
    ]


def test_students_of_one_result_appear_once(composed: Compose, tmp_path: Path) -> None:
    experiments = plan_experiments([composed("task=jcola", "method=gold", f"llm={llm}") for llm in ("demo", "qwen3-0.6b")])
    assert [unit.id for unit in plan_units(experiments, Store(tmp_path))] == ["student-0000"], "a gold arm has no LLM to differ in"


def test_done_work_gives_no_unit(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    experiments = plan_experiments([composed("task=jcola", "num_per_label=10", f"seed={seed}", "draw=0") for seed in (0, 1)])
    fill_stream_of(experiments[0], store)
    units = plan_units(experiments, store)
    assert [(unit.kind, unit.needs) for unit in units] == [(STUDENT, ())] * 2, "the texts are there"
    publish(store, "result", experiments[0])
    assert [unit.id for unit in plan_units(experiments, store)] == ["student-0001"]
    publish(store, "result", experiments[1])
    assert plan_units(experiments, store) == []


def test_a_result_that_is_there_asks_for_no_texts(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    (experiment,) = plan_experiments([composed("task=jcola")])
    publish(store, "result", experiment)
    assert plan_units([experiment], store) == []


def test_shards_are_units_of_their_own(composed: Compose, tmp_path: Path) -> None:
    units = plan_units(plan_experiments([composed("task=jcola"), composed("task=jsts")]), Store(tmp_path), shards=3)
    shards = of_kind(units, LLM)
    assert [unit.id for unit in shards] == ["llm-0-0", "llm-0-1", "llm-0-2"]
    assert {unit.experiments for unit in shards} == {(0, 1)} or {unit.experiments for unit in shards} == {(1, 0)}
    assert {unit.needs for unit in of_kind(units, STUDENT)} == {("llm-0-0", "llm-0-1", "llm-0-2")}


def test_gpus_are_the_servers(composed: Compose, tmp_path: Path) -> None:
    settings = [["llm.gpus=2"], ["llm.base_url=http://127.0.0.1:1/v1", "llm.gpus=2"]]
    units = plan_units(plan_experiments([composed("task=jcola", *own) for own in settings]), Store(tmp_path))
    assert [unit.gpus for unit in of_kind(units, LLM)] == [2, 0], "a server that runs elsewhere needs none here"
    assert {unit.gpus for unit in of_kind(units, STUDENT)} == {1}


@given(
    chosen=st.lists(st.integers(0, len(POOL) - 1), min_size=1, max_size=16),
    scored=st.sets(st.integers(0, len(POOL) - 1)),
    written=st.sets(st.integers(0, len(POOL) - 1)),
    shards=st.integers(1, 3),
)
def test_each_missing_result_has_one_student_that_waits_for_its_texts_only(
    pool: list[Experiment], tmp_path_factory: pytest.TempPathFactory, chosen: list[int], scored: set[int], written: set[int], shards: int
) -> None:
    store = Store(tmp_path_factory.mktemp("store"))
    for number in scored:
        publish(store, "result", pool[number])
    for number in written:
        if pool[number].needs_llm:
            publish(store, "dataset", pool[number])
    experiments = [pool[number] for number in chosen]
    units = plan_units(experiments, store, shards)
    students = of_kind(units, STUDENT)
    made = [experiments[unit.experiments[0]].keys["result"] for unit in students]
    assert len(made) == len(set(made))
    assert set(made) == {one.keys["result"] for one in experiments if store.find("result", one.keys["result"]) is None}
    fills = {unit.id: {experiments[number].keys["dataset"] for number in unit.experiments} for unit in of_kind(units, LLM)}
    for unit in students:
        key = experiments[unit.experiments[0]].keys.get("dataset", "")
        assert set(unit.needs) == {id_ for id_, keys in fills.items() if key in keys}
        assert len(unit.needs) == (0 if not key or store.find("dataset", key) else shards)
    assert len({unit.id for unit in units}) == len(units)
    assert units == sorted(units, key=lambda unit: unit.kind == STUDENT), "LLM units first"


def test_the_plan_names_every_experiment(pool: list[Experiment]) -> None:
    named = planned(pool)
    assert [one.keys for one in named] == [one.keys for one in pool]
    assert named[0].name == "jcola-japagen-0-shot-demo-demo-seed0"


JUDGED = ["task=jcola", "curate.judging=soften"]


def test_the_writer_judges_behind_the_same_server(composed: Compose, tmp_path: Path) -> None:
    llm, student = plan_units(plan_experiments([composed(*JUDGED, "curate.keep_likeliest=0.5")]), Store(tmp_path))
    assert (llm.role, llm.needs, student.needs) == (WRITER, (), ("llm-0",))


def test_another_judge_waits_for_the_writers_and_students_for_both(composed: Compose, tmp_path: Path) -> None:
    other = ["+llm@judge=demo", "judge.dtype=bfloat16", "judge.gpus=2"]
    experiments = plan_experiments([composed(*JUDGED, *other), composed("task=jsts"), composed("task=jcola", "method=annotate")])
    units = plan_units(experiments, Store(tmp_path))
    llm, judge, *students = units
    assert (llm.role, sorted(llm.experiments), llm.gpus) == (WRITER, [0, 1, 2], 1)
    assert (judge.id, judge.kind, judge.role, judge.experiments, judge.needs, judge.gpus) == ("judge-1", LLM, JUDGE, (0,), ("llm-0",), 2)
    assert [unit.needs for unit in students] == [("llm-0", "judge-1"), ("llm-0",), ("llm-0",)]


def test_a_judge_that_is_the_writer_by_another_name_is_one_server(composed: Compose, tmp_path: Path) -> None:
    units = plan_units(plan_experiments([composed(*JUDGED, "+llm@judge=demo")]), Store(tmp_path))
    assert [unit.id for unit in units] == ["llm-0", "student-0000"]


def test_prompting_takes_a_unit_that_scores(composed: Compose, tmp_path: Path) -> None:
    llm, score = plan_units(plan_experiments([composed("task=jcola", "method=prompting")]), Store(tmp_path))
    assert (llm.kind, score.kind, score.needs) == (LLM, STUDENT, ("llm-0",))


def test_shards_know_their_part(composed: Compose, tmp_path: Path) -> None:
    units = plan_units(plan_experiments([composed("task=jcola", "method=annotate")]), Store(tmp_path), shards=2)
    assert [(unit.id, unit.shard) for unit in units if unit.kind == LLM] == [("llm-0-0", (0, 2)), ("llm-0-1", (1, 2))]
