"""What all tests share: the real configuration, composed, and where real gold data lie when this machine has them."""

import copy
import functools
import os
import pwd
import signal
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import settings
from omegaconf import OmegaConf

from japagen.config.schema import Config, register_schema
from japagen.config.validation import to_config
from japagen.tasks import Task

ROOT = Path(__file__).parent.parent
settings.register_profile("japagen", deadline=None, max_examples=60)  # machines are noisy, so no test is timed
settings.register_profile("long", settings.get_profile("japagen"), max_examples=2800)  # --hypothesis-profile=long
if settings.get_current_profile_name() != "long":  # this file is read once more under its other name, after the option
    settings.load_profile("japagen")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a script: programs under test would be deaf to Ctrl-C too
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for its processes: what is printed would be cut to a terminal's width
Compose = Callable[..., Config]


@pytest.fixture(scope="session")
def composed() -> Compose:
    """Composes the shipped conf/ with overrides, as run.py does."""
    register_schema()

    @functools.cache
    def make(*overrides: str) -> Config:
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            return to_config(compose("config", overrides=list(overrides)))

    return lambda *overrides: copy.deepcopy(make(*overrides))


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home folder: HOME isn't set, and the machine doesn't know the user's id, as in many containers."""

    def unknown(user_id: int) -> Any:
        raise KeyError(f"getpwuid(): uid not found: {user_id}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


MIRROR = Path(os.environ.get("JAPAGEN_DATA_MIRROR") or ROOT.parent / "shared" / "data")
"""Where published gold data lie when this machine has them: JAPAGEN_DATA_MIRROR, or ../shared/data beside the checkout."""
needs_mirror = pytest.mark.skipif(
    not (MIRROR / "JGLUE").is_dir(), reason=f"no published gold data at {MIRROR}: set JAPAGEN_DATA_MIRROR to a folder that has them"
)


def load_task(name: str) -> Task:
    """A shipped task."""
    task = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / "conf" / "task" / f"{name}.yaml")))
    assert isinstance(task, Task)
    return task


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes share the work (-n 2): a file's tests, which share fixtures, stay together, and all that need SLURM."""
    from xdist.scheduler import LoadFileScheduling

    class Together(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "slurm" if "pytest.mark.slurm" in (ROOT / file).read_text(encoding="utf-8") else file

    return Together(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With JAPAGEN_NO_SKIPS (continuous integration) a missing component is a failure; only a GPU may be missing."""
    report = yield
    if report.skipped and os.environ.get("JAPAGEN_NO_SKIPS") and item.get_closest_marker("gpu") is None:
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr}"
    return report
