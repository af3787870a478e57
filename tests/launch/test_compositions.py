"""A sweep's jobs have the configurations that Hydra composes, few of which it must, and what is wrong with some is told for all."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig

from japagen.config.schema import register_schema
from japagen.config.validation import to_config
from japagen.errors import ConfigError
from launch.compositions import Compositions
from launch.sweep import launch_sweep
from tests.conftest import ROOT

MASTER = DictConfig({})


class Loader:
    """Hydra's loader, counted."""

    def __init__(self) -> None:
        self.composed: list[tuple[str, ...]] = []
        self.repository = GlobalHydra.instance().config_loader().repository  # type: ignore[attr-defined]

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self.composed.append(tuple(sweep_overrides))
        return compose("config", overrides=list(sweep_overrides), return_hydra_config=True)


@pytest.fixture
def loader() -> Iterator[Loader]:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield Loader()


def test_what_the_sweeper_composed_is_not_composed_again(loader: Loader) -> None:
    compositions = Compositions(loader)  # type: ignore[arg-type]
    jobs = [("task=jcola", "seed=0"), ("task=jcola", "seed=1")]
    for overrides in jobs:
        composed = loader.load_sweep_config(MASTER, list(overrides))
        assert "hydra" in composed, "the sweeper sees all of it"
    configs = [compositions.config(MASTER, overrides) for overrides in jobs]
    assert [config.seed for config in configs] == [0, 1]
    assert loader.composed == jobs[:1], "the other differs in a value"


COMMON = [
    ["task=jcola"],
    ["task=jsts", "prompt=kadg", "model=bert-base-japanese-v3"],
    ["task=jnli", "+experiment=quickstart"],
    ["task=marcja", "data=published", "logger=none"],
    ["task=jnli", "curate.judging=drop", "+llm@judge=qwen3-0.6b"],
    ["task=news", "method=annotate"],
    ["synthesis.temperatures=[0.5,1]", "task=jcola"],
    ["+site.environment={A: 1}", "train={epochs: 3, learning_rate: 7}", "task=jcola"],
]
VALUES = {
    "seed": ["0", "7"],
    "shots": ["0", "3"],
    "train.learning_rate": ["1e-4", "0.01", "1"],
    "curate.near_duplicates": ["null", "0.5"],
    "model.learning_rate": ["3e-5", "4e-5"],
    "site.store": ["/somewhere", "'/else where'"],
    "synthesis.texts_per_request": ["1", "4"],
    "synthesis.seed": ["1", "2"],
    "llm.base_url": ["http://localhost:1/v1", "null"],
    "data.strip_source": ["true", "false"],
    "llm.sampling.temperature": ["0", "1.5"],
}


@pytest.mark.parametrize("common", COMMON, ids=" ".join)
def test_values_that_are_put_in_are_as_hydra_puts_them_in(loader: Loader, common: list[str]) -> None:
    compositions, rng = Compositions(loader), random.Random(0)  # type: ignore[arg-type]
    names = list(VALUES)
    for settings in (names[:6], names[4:]):
        for _ in range(3):
            job = [*common, *(f"{name}={rng.choice(VALUES[name])}" for name in settings)]
            assert compositions.config(MASTER, job) == to_config(compose("config", overrides=job))


@pytest.mark.parametrize("wrong", ["seed=many", "train.epoch=3", "shots=[1]", "train.epochs=two", "task=none", "llm.id=???"])
def test_what_is_wrong_with_a_value_is_told_of_every_job(loader: Loader, wrong: str) -> None:
    compositions = Compositions(loader)  # type: ignore[arg-type]
    compositions.config(MASTER, ["shots=1", "seed=1"])
    errors = []
    for shots in (1, 2):
        with pytest.raises((HydraException, ConfigError)) as caught:
            compositions.config(MASTER, [f"shots={shots}", wrong])
        errors.append((caught.type, str(caught.value)))
    assert errors[0] == errors[1]
    assert compositions.config(MASTER, ["shots=2", "seed=2"]).seed == 2


def test_what_nobody_composed_is_composed(loader: Loader) -> None:
    compositions = Compositions(loader)  # type: ignore[arg-type]
    twice = [compositions.config(MASTER, ["seed=5"]) for _ in range(2)]
    assert twice[0] == twice[1]
    assert twice[0] is not twice[1], "jobs share nothing that one may change"


def test_faults_are_told_with_their_jobs_and_the_same_once(loader: Loader) -> None:
    compositions = Compositions(loader)  # type: ignore[arg-type]
    jobs = [["shots=-1", "seed=0"], ["shots=-1", "seed=1"], ["shots=0", "seed=0"], ["method.name=golf"], ["shots=-1", "seed=2"]]
    for overrides in jobs:
        loader.load_sweep_config(MASTER, overrides)
    with pytest.raises(ConfigError) as caught:
        launch_sweep(compositions, MASTER, jobs, 0, "local")
    first, *lines = str(caught.value).splitlines()
    assert first == "4 of 5 experiments can't be run, so none was started:"
    assert len(lines) == 2
    assert lines[0].startswith("  job 0 (shots=-1 seed=0) and 2 more: shots=-1 is too small")
    assert lines[1].startswith("  job 3 (method.name=golf): method.name='golf' is not known (did you mean 'gold'?)")
    assert len(loader.composed) == 2, "of all that differ in values one"


def test_a_sweep_without_a_job_is_refused(loader: Loader) -> None:
    with pytest.raises(ConfigError, match="the sweep has no job"):
        launch_sweep(Compositions(loader), MASTER, [], 0, "local")  # type: ignore[arg-type]


COUNTED = """
import atexit, runpy, sys
sys.argv = ["run.py", *sys.argv[1:]]
from hydra._internal.config_loader_impl import ConfigLoaderImpl
original, jobs = ConfigLoaderImpl.load_sweep_config, []
def counted(self, master, overrides):
    jobs.append(tuple(overrides))
    return original(self, master, overrides)
ConfigLoaderImpl.load_sweep_config = counted
atexit.register(lambda: print("composed:", len(jobs), "different:", len(set(jobs))))
runpy.run_path("run.py", run_name="__main__")
"""


def test_a_real_sweep_composes_what_differs_in_more_than_values(tmp_path: Path) -> None:
    settings = ["task=jcola,jnli", "method=gold", "seed=0,1,2", "plan=true", f"store={tmp_path}/store", f"hydra.sweep.dir={tmp_path}/hydra"]
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, "-m", *settings], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "composed: 2 different: 2" in done.stdout
    assert "plan: 6 experiment(s), 6 student(s) to train" in done.stdout
    assert not (tmp_path / "store").exists()
