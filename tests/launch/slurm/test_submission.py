"""What sbatch is asked for: few calls, arrays, links, and nothing of a job that the client itself runs in."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.errors import ConfigError
from japagen.store.store import Store
from japagen.sweeps.folder import LLM, STUDENT, SweepFolder, Unit
from launch.planning import plan_experiments, plan_units
from launch.slurm.inflight import Inflight
from launch.slurm.run import check_jobs
from launch.slurm.submission import _link, _outside_a_job, _packs, _parameters, _Submission
from tests.conftest import Compose


def student(number: int, *needs: str) -> Unit:
    return Unit(f"student-{number:04d}", STUDENT, "x", (number,), needs)


@given(st.lists(st.sampled_from([(), ("llm-0",), ("llm-1",), ("llm-0", "llm-1")]), max_size=30), st.integers(1, 5))
def test_packs_hold_each_student_once_and_only_such_as_wait_for_the_same(needs: list[tuple[str, ...]], size: int) -> None:
    units = [student(number, *own) for number, own in enumerate(needs)]
    packs = _packs(units, size)
    assert sorted(unit.id for pack in packs for unit in pack) == [unit.id for unit in units]
    assert all(len(pack) <= size and len({unit.needs for unit in pack}) == 1 for pack in packs)
    assert len(packs) <= len(units) // size + len(set(needs)), "only the last of a kind is smaller"


def test_one_call_a_set_of_jobs_and_none_for_those_that_wait_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "scontrol").write_text(f'#!/bin/sh\necho "$*" >> {calls}\n', encoding="utf-8")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _link("7", [("5_0",), ("5_1",), (), ("5_0",), ("5_0", "5_1")], ("5_0", "5_1"))
    assert calls.read_text(encoding="utf-8").splitlines() == [
        "update jobid=7_[0,3] dependency=afterany:5_0",
        "update jobid=7_[1] dependency=afterany:5_1",
        "update jobid=7_[2] dependency=",
    ]


def test_students_that_cannot_be_let_go_early_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho no permission >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    _link("7", [("5",), ("6",)], ("5", "6"))
    assert "array 7 start once all LLM jobs have ended: scontrol refused to let them go: no permission" in capsys.readouterr().out


def test_a_job_that_the_client_runs_in_is_not_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_CPU": "100", "SLURM_CONF": "/etc/other.conf", "SBATCH_ACCOUNT": "mine"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    with _outside_a_job():
        assert {name: os.environ.get(name) for name in own} == own | {"SLURM_JOB_ID": None, "SLURM_MEM_PER_CPU": None}
    assert {name: os.environ.get(name) for name in own} == own


def test_signals_reach_python_with_and_without_srun(composed: Compose) -> None:
    site = composed("site=lab", "site.student.use_srun=false").site
    assert _parameters(site, site.student, 1, LLM)["additional_parameters"]["signal"] == "B:USR2@30"
    assert "signal" not in _parameters(site, site.llm, 1, LLM)["additional_parameters"]
    assert _parameters(site, site.llm, 1, LLM)["signal_delay_s"] == 30


def test_a_machine_without_slurm_is_told_so_before_anything_is_planned(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no sbatch here"):
        check_jobs(plan_experiments([composed()]))


def test_judges_are_submitted_after_those_whose_texts_they_judge(
    composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = ["curate.judging=drop", "+llm@judge=demo", "judge.dtype=bfloat16", "judge.gpus=2", "site.max_array=10"]
    experiments = plan_experiments([composed("task=jcola", *judged), composed("task=jsts", "site.max_array=10")])
    units = plan_units(experiments, Store(tmp_path))
    calls: list[tuple[list[str], int]] = []
    monkeypatch.setattr(_Submission, "_submit", lambda self, packs, step, gpus: calls.append(([unit.id for (unit,) in packs], gpus)))
    submission = _Submission(SweepFolder(tmp_path), experiments, Inflight(tmp_path / "inflight.json", {}))
    submission.submit(units)
    assert calls == [(["llm-0"], 1), (["judge-1"], 2), (["student-0000", "student-0001"], 1)]
    keys = [submission._keys(unit) for unit in units]
    assert len({key for found in keys for key in found}) == sum(map(len, keys)), "no unit is taken for another's job"


@pytest.mark.parametrize(
    ("refusal", "is_number"), [("Job violates accounting/QOS policy (job submit limit)", True), ("invalid partition", False)]
)
def test_a_refusal_is_told_with_what_helps(
    refusal: str, is_number: bool, composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sbatch", "srun"):
        (tmp_path / name).write_text(f"#!/bin/sh\necho 'sbatch: error: {refusal}' >&2\nexit 1\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    experiments = plan_experiments([composed("task=jcola", "site=lab", "site.max_array=10")])
    submission = _Submission(SweepFolder(tmp_path / "sweep"), experiments, Inflight(tmp_path / "inflight.json", {}))
    with pytest.raises(ConfigError) as caught:
        submission.submit(plan_units(experiments, Store(tmp_path)))
    assert f"sbatch refused the jobs: sbatch: error: {refusal}; " in str(caught.value)
    assert ("pack=k" in str(caught.value)) == is_number
