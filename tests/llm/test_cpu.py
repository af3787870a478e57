"""Threads and types of a server on the CPU."""

import os
from pathlib import Path

import pytest

from japagen.config.llm import LLM, Server
from japagen.llm import cpu
from japagen.llm.command import command, environment


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "SLURM_JOB_ID", "SLURM_CPUS_ON_NODE", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_CPU_NUM_OF_RESERVED_CPU"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 3, 6, 7}, raising=False)
    monkeypatch.setattr(cpu, "_read_quota", lambda: None)


@pytest.mark.usefixtures("four_cores")
def test_a_server_alone_is_bound_to_all_cores_that_the_process_may_use() -> None:
    assert cpu.threads_environment({}) == {"VLLM_CPU_OMP_THREADS_BIND": "2,3,6,7", "VLLM_CPU_NUM_OF_RESERVED_CPU": "0"}


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("environment", "num_threads"),
    [
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"OMP_NUM_THREADS": "64"}, 4),
        ({"OMP_NUM_THREADS": "none"}, 4),
        ({"SLURM_JOB_ID": "7", "SLURM_CPUS_ON_NODE": "1"}, 1),
        ({"SLURM_CPUS_ON_NODE": "1"}, 4),
    ],
)
def test_a_share_of_the_cores_is_taken_unbound(environment: dict[str, str], num_threads: int) -> None:
    assert cpu.count_threads(environment) == num_threads
    found = cpu.threads_environment(environment)
    assert found["VLLM_CPU_OMP_THREADS_BIND"] == ("nobind" if num_threads < 4 else "2,3,6,7")
    assert num_threads == 4 or found["OMP_NUM_THREADS"] == str(num_threads)


@pytest.mark.usefixtures("four_cores")
def test_binding_by_the_user_is_left_alone() -> None:
    assert cpu.threads_environment({"VLLM_CPU_OMP_THREADS_BIND": "auto"}) == {}


@pytest.mark.parametrize(("text", "num"), [("max 100000\n", None), ("150000 100000\n", 1), ("250000 100000\n", 2), ("5000 100000\n", 1)])
def test_a_container_s_quota_limits_the_threads(text: str, num: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(text, encoding="ascii")
    assert cpu._read_quota(tmp_path / "cpu.max") == num


def test_no_quota_file_is_no_limit(tmp_path: Path) -> None:
    assert cpu._read_quota(tmp_path / "cpu.max") is None


@pytest.mark.parametrize(
    ("flags", "stated", "chosen"),
    [
        ("flags\t\t: fpu avx2 avx512f", "bfloat16", "float32"),
        ("flags\t\t: fpu avx2 avx512f", "float16", "float32"),
        ("flags\t\t: fpu avx2 avx512f", "auto", "float32"),
        ("flags\t\t: fpu avx2 avx512f", "float32", "float32"),
        ("flags\t\t: fpu avx512f avx512_bf16", "bfloat16", "bfloat16"),
        ("Features\t: fp asimd bf16", "bfloat16", "bfloat16"),
        ("no flags at all", "bfloat16", "bfloat16"),
    ],
)
def test_float32_stands_in_for_a_type_that_the_cpu_emulates(flags: str, stated: str, chosen: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n", encoding="ascii")
    assert cpu.choose_dtype(stated, tmp_path / "cpuinfo") == chosen


def test_the_type_stays_where_the_system_does_not_describe_its_cpu(tmp_path: Path) -> None:
    assert cpu.choose_dtype("bfloat16", tmp_path / "cpuinfo") == "bfloat16"


@pytest.mark.parametrize(
    ("stated", "device", "is_eager"), [(None, "cpu", True), (None, "cuda", False), (False, "cpu", False), (True, "cuda", True)]
)
def test_compiling_is_left_out_on_the_cpu_unless_it_is_asked_for(stated: bool | None, device: str, is_eager: bool) -> None:
    line = command(LLM(name="x", id="x", server=Server(enforce_eager=stated)), "x", None, device, 8001)
    assert ("--enforce-eager" in line) == is_eager


@pytest.mark.usefixtures("four_cores")
def test_only_a_server_on_the_cpu_gets_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = LLM(name="x", id="x")
    assert environment(llm, "x", "cpu", "", 1)["VLLM_CPU_OMP_THREADS_BIND"] == "2,3,6,7"
    assert "VLLM_CPU_OMP_THREADS_BIND" not in environment(llm, "x", "cuda", "", 1)
