"""How vLLM runs on a CPU: number of threads, where they are bound, and the type of the weights.

vLLM 0.32 by itself binds its threads to all cores but the last, counted from the first one that the process may use. Servers that run side
by side (local workers, shards, SLURM jobs on one node) then share these cores while others are idle, and a single server leaves a core to
its scheduler, which is seldom busy. So japagen states the cores: a server that has the machine to itself is bound to all of them, and
one that has a share of them (OMP_NUM_THREADS, which local workers set) runs so many threads, which the operating system places.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

NATIVE_BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of /proc/cpuinfo (x86-64, x86-64, aarch64) of CPUs that multiply bfloat16; others emulate it, which is slower than float32."""
HALF_TYPES = frozenset({"auto", "bfloat16", "half", "float16"})
_QUOTA = re.compile(r"(\d+) (\d+)")


def threads_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What vLLM's environment needs so that a server uses its share of the cores; empty where the user binds the threads."""
    if "VLLM_CPU_OMP_THREADS_BIND" in environment:
        return {}
    cores, num_threads = usable_cores(), count_threads(environment)
    reserve = {"VLLM_CPU_NUM_OF_RESERVED_CPU": environment.get("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")}
    if num_threads < len(cores):
        return reserve | {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "OMP_NUM_THREADS": str(num_threads)}
    return reserve | {"VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores))}


def count_threads(environment: Mapping[str, str]) -> int:
    """Threads of a server: OMP_NUM_THREADS, else one a core that the process, its SLURM job and its control group may use."""
    stated = environment.get("OMP_NUM_THREADS", "")
    if stated.isdigit() and int(stated) > 0:
        return min(int(stated), len(usable_cores()))
    allocated = environment.get("SLURM_CPUS_ON_NODE", "") if "SLURM_JOB_ID" in environment else ""
    limits = [len(usable_cores()), _read_quota(), int(allocated) if allocated.isdigit() else None]
    return max(1, min(limit for limit in limits if limit is not None))


def usable_cores() -> list[int]:
    """Numbers of the logical CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _read_quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int | None:
    """Whole CPUs that the control group may use (cgroup v2: microseconds a period); None where it has no limit."""
    try:
        quota = _QUOTA.match(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return max(1, int(quota[1]) // int(quota[2])) if quota else None


def choose_dtype(dtype: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The type in which a server on this CPU computes: float32 in place of a half type that the CPU only emulates.

    A wider type holds each weight exactly, so keys keep the type that the configuration states.
    """
    return "float32" if dtype in HALF_TYPES and not has_bfloat16(cpuinfo) else dtype


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies bfloat16 itself; true where the system doesn't say."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return flags is None or not NATIVE_BFLOAT16.isdisjoint(flags[1].split())
