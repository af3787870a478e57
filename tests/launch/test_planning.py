"""What a sweep needs: every fault found before the start, each stream once, one group a server set-up."""

from pathlib import Path

import pytest

from japagen.errors import ConfigError
from japagen.experiments.planning import plan_experiment
from japagen.experiments.stages import is_complete
from japagen.store.store import Store
from launch.execute import code_lines
from launch.planning import check_devices, missing_llm_work, plan_experiments
from tests.conftest import Compose
from tests.stubs.streams import fill_stream_of


def test_every_fault_is_listed_before_anything_starts(composed: Compose) -> None:
    configs = [composed(), composed("shots=1000"), composed("task=jsts", "data=files", "shots=1")]
    with pytest.raises(ConfigError) as caught:
        plan_experiments(configs)
    message = str(caught.value)
    assert "2 of 3 experiments can't be run, so none was started" in message
    assert "job 1 (task=jnli" in message
    assert "job 2 (task=jsts" in message


def test_streams_of_one_llm_form_one_group(composed: Compose, tmp_path: Path) -> None:
    configs = [
        composed(f"task={task}", f"shots={shots}", f"seed={seed}", f"draw={draw}")
        for task in ("jnli", "jsts")
        for shots in (0, 2)
        for seed, draw in ((0, 0), (1, 0), (2, 2))
    ]
    groups = missing_llm_work(plan_experiments(configs), Store(tmp_path))
    assert [len(group.experiments) for group in groups] == [8], "seeds of students share a draw's data set"


def test_the_largest_data_set_of_a_stream_is_made_first(composed: Compose, tmp_path: Path) -> None:
    experiments = plan_experiments([composed(f"num_per_label={num}") for num in (50, 200, 100)])
    (group,) = missing_llm_work(experiments, Store(tmp_path))
    assert [experiment.config.num_per_label for experiment in group.experiments] == [200, 100, 50]
    assert len({experiment.keys["stream"] for experiment in group.experiments}) == 1


def test_another_server_set_up_is_another_group(composed: Compose, tmp_path: Path) -> None:
    experiments = plan_experiments([composed(), composed("llm.max_model_len=512", "task=jsts"), composed("llm.sampling.temperature=0.5")])
    assert [len(group.experiments) for group in missing_llm_work(experiments, Store(tmp_path))] == [2, 1]
    shown = [composed("task=jcola", "shots=2", *more) for more in ((), ("llm.chat_template=plain",))]
    assert [len(group.experiments) for group in missing_llm_work(plan_experiments(shown), Store(tmp_path))] == [1, 1]


def test_what_no_server_reads_makes_no_other_server(composed: Compose, tmp_path: Path) -> None:
    changes = ["llm.stop=[x]", "llm.price_per_gpu_hour=2", "llm.price_per_million_tokens=1", "llm.license=x", "llm.name=y", "llm.seen=[]"]
    experiments = plan_experiments([composed(f"synthesis.seed={seed}", change) for seed, change in enumerate(changes)])
    assert [len(group.experiments) for group in missing_llm_work(experiments, Store(tmp_path))] == [len(changes)]


def test_done_work_needs_no_server(composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path)
    experiment = plan_experiment(composed("task=jcola", "num_per_label=20"))
    assert not is_complete(experiment, "stream", store)
    fill_stream_of(experiment, store)
    assert is_complete(experiment, "stream", store)
    more = plan_experiment(composed("task=jcola", "num_per_label=30"))
    fewer = plan_experiment(composed("task=jcola", "num_per_label=10"))
    (group,) = missing_llm_work([experiment, more, fewer], store)
    assert group.experiments == (more,)


def test_gold_arms_need_no_llm(composed: Compose, tmp_path: Path) -> None:
    assert missing_llm_work([plan_experiment(composed("method=gold"))], Store(tmp_path)) == []


def test_gpu_work_on_a_cpu_build_is_refused_with_its_cure(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("japagen.llm.build.installed_build", lambda python=None: "cpu")
    groups = missing_llm_work([plan_experiment(composed("llm.demo=false"))], Store(tmp_path))
    with pytest.raises(ConfigError, match=r"would run on this machine's CPU.*device=cpu.*make install ACCEL=cuda"):
        check_devices(groups)


def test_code_that_comes_with_a_model_is_told(composed: Compose) -> None:
    (plain,) = plan_experiments([composed()])
    assert code_lines(plain) == []
    (both,) = plan_experiments([composed("llm.trust_remote_code=true", "model.trust_remote_code=true")])
    lines = code_lines(both)
    assert [line.partition(" at ")[0].rpartition(" ")[2] for line in lines] == ["package:demo/llm", "package:demo/encoder"]
    (elsewhere,) = plan_experiments([composed("llm.trust_remote_code=true", "llm.base_url=http://localhost:1/v1")])
    assert code_lines(elsewhere) == []
