"""The real vLLM on the CPU, under our keeper, with a tiny random model."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from japagen.config.llm import LLM, Sampling
from japagen.errors import ServerError
from japagen.llm.client import Client, Reply, Request
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.prompts.questions import Question
from japagen.prompts.writing import Message
from japagen.synthesis.answers import Answer, Asker
from tests.llm.family import family, keepers
from tests.stubs.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.vllm]

ROOT = Path(__file__).parents[2]
PROMPT = [{"role": "user", "content": "短い文を書いてください。"}]


@dataclass
class Served:
    stack: ExitStack
    endpoint: Endpoint
    logs: Path

    def processes(self) -> list[psutil.Process]:
        return family()

    def api_server(self) -> psutil.Process:
        (keeper,) = keepers()
        (api_server,) = keeper.children()
        return api_server


@pytest.fixture(scope="module")
def served(tiny_llm: LLM, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    logs = tmp_path_factory.mktemp("logs")
    with ExitStack() as stack:
        yield Served(stack, stack.enter_context(serve(tiny_llm, str(tiny_model), None, logs)), logs)


def gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def ask(seed: int, n: int = 4, max_tokens: int = 16, **settings: object) -> Request:
    return Request(PROMPT, n, seed, Sampling(max_tokens=max_tokens), **settings)  # type: ignore[arg-type]


async def complete(endpoint: Endpoint, *requests: Request) -> tuple[list[Reply], Client]:
    async with Client(endpoint, "tiny") as client:
        return await asyncio.gather(*(client.complete(request) for request in requests)), client


def test_seeds_make_texts(served: Served) -> None:
    replies, client = asyncio.run(complete(served.endpoint, ask(100), ask(100), ask(200)))
    first, again, other = (reply.completions for reply in replies)
    assert [len(first), client.retries, client.failures] == [4, 0, 0]
    assert len({completion.text for completion in first}) > 1
    assert first == again != other
    assert {completion.finish_reason for completion in first + other} <= {"stop", "length"}
    assert all(reply.prompt_tokens > 10 and reply.completion_tokens > 4 for reply in replies)
    (single,), _ = asyncio.run(complete(served.endpoint, ask(102, n=1)))
    assert single.completions[0] == first[2], "text j is drawn with seed + j"


def test_sampling_is_ours_and_not_the_model_folders(served: Served) -> None:
    """Its generation_config.json says top_k=1, under which all seeds give the same text."""
    (reply,), _ = asyncio.run(complete(served.endpoint, ask(0, n=8)))
    assert len({completion.text for completion in reply.completions}) > 4


def test_structured_outputs_hold(served: Served) -> None:
    (reply,), _ = asyncio.run(complete(served.endpoint, ask(0, structured_outputs={"choice": ["はい", "いいえ"]}, max_tokens=32)))
    assert {completion.text for completion in reply.completions} <= {"はい", "いいえ"}


def test_scores_are_those_of_the_model(served: Served, tiny_model: Path) -> None:
    """Each label's log-probability, against the model's own in transformers: what follows the question, to the end of the turn."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)

    def log_probability(chat: tuple[Message, ...], start: int) -> float:
        ids = tokenizer.apply_chat_template(list(chat), return_dict=False, return_tensors="pt")
        with torch.no_grad():
            logprobs = model(ids).logits[0, :-1].log_softmax(-1)
        return float(logprobs.gather(1, ids[0, 1:, None])[start - 1 :].sum())

    asked: tuple[Message, ...] = ({"role": "user", "content": "甲か乙か"},)
    chats = tuple((*asked, {"role": "assistant", "content": word}) for word in ("甲", "乙乙"))
    other: tuple[Message, ...] = ({"role": "user", "content": "乙か"}, chats[0][-1])
    start = len(tokenizer.apply_chat_template(list(asked), return_dict=False, add_generation_prompt=True))
    start_other = len(tokenizer.apply_chat_template(list(other[:1]), return_dict=False, add_generation_prompt=True))

    async def body() -> tuple[Answer, Answer]:
        async with Client(served.endpoint, "tiny") as client:
            asker = Asker(client, {}, Sampling())
            label = await asker.ask(Question("label", chats))
            return label, await asker.ask(Question("channel", (chats[0], other), shares_prompt=False))

    label, channel = asyncio.run(body())
    wanted = [log_probability(chat, start) for chat in chats]
    assert label.logprobs[0] - label.logprobs[1] == pytest.approx(wanted[0] - wanted[1], abs=1e-3), "what both begin with says nothing"
    assert channel.logprobs == pytest.approx([wanted[0], log_probability(other, start_other)], abs=1e-3)
    assert channel.num_tokens == [4, 4], "three bytes and the end of the turn"


def test_a_prompt_beyond_the_context_fails_alone(served: Served) -> None:
    long = Request([{"role": "user", "content": "長" * 200}], 2, 0, Sampling(max_tokens=16))
    replies, _ = asyncio.run(complete(served.endpoint, long, ask(1)))
    assert replies[0].error.startswith("status 400: ")
    assert "maximum context length is 256" in replies[0].error
    assert replies[1].error == ""


def test_a_wrong_model_name_ends_the_run(served: Served) -> None:
    async def body() -> None:
        async with Client(served.endpoint, "other") as client:
            await client.complete(ask(0))

    with pytest.raises(ServerError, match=r"refuses every request.*`other` does not exist"):
        asyncio.run(body())


def test_seeded_requests_under_load_do_not_kill_the_engine(served: Served) -> None:
    """With chunked prefill they do (vLLM 0.32 on the CPU: 'CPU Generator does not use offset')."""
    api_server = served.api_server()
    replies, client = asyncio.run(complete(served.endpoint, *(ask(8 * index, n=8) for index in range(150))))
    assert [client.retries, client.failures, client.requests] == [0, 0, 150]
    assert all(len(reply.completions) == 8 for reply in replies)
    assert served.api_server() == api_server


def test_key_is_in_no_argument_and_no_log(served: Served) -> None:
    assert served.endpoint.api_key
    assert all(served.endpoint.api_key not in " ".join(process.cmdline()) for process in served.processes())
    logs = list(served.logs.glob("*.log"))
    assert len(logs) == 1
    assert served.endpoint.api_key not in logs[0].read_text(encoding="utf-8")


def test_server_killed_in_mid_run_comes_back_and_requests_go_on(served: Served) -> None:
    async def body() -> list[Reply]:
        async with Client(served.endpoint, "tiny", 4) as client:
            calls = [asyncio.ensure_future(client.complete(ask(8 * index, n=8, max_tokens=64))) for index in range(40)]
            await calls[5]
            served.api_server().kill()
            replies = await asyncio.gather(*calls)
            assert client.retries > 0
            return list(replies)

    before = served.processes()
    replies = asyncio.run(body())
    assert [reply.error for reply in replies] == [""] * 40
    assert served.endpoint.failure() is None
    assert gone(before)


def test_leaving_the_context_leaves_no_process(served: Served) -> None:
    processes = served.processes()
    assert len(processes) >= 3
    served.stack.close()
    assert gone(processes)


CLIENT = """
import sys
from pathlib import Path
from japagen.config.llm import LLM, Server
from japagen.llm.server import serve
llm = LLM(id="tiny", dtype="float32", max_model_len=256, demo=True, server=Server(enforce_eager=True, start_timeout_s=120))
with serve(llm, sys.argv[1], None, Path(sys.argv[2])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("moment", ["ready", "starting"])
def test_nothing_outlives_a_killed_client(moment: str, tiny_model: Path, tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", CLIENT, str(tiny_model), str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as client:
        me = psutil.Process(client.pid)
        if moment == "ready":
            assert client.stdout is not None
            assert client.stdout.readline() == b"ready\n"
        # keeper, API server, resource tracker, engine: warm-up, where a SIGTERM alone can orphan workers (#44751)
        assert eventually(lambda: len(me.children(recursive=True)) >= 4, 100)
        processes = me.children(recursive=True)
        client.kill()
        assert eventually(lambda: gone(processes), 20)


def test_a_model_that_vllm_does_not_know_tells_why(tiny_llm: LLM, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = folder / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace("LlamaForCausalLM", "UnheardOfForCausalLM"), encoding="utf-8")
    with pytest.raises(ServerError, match="exit status 1 before it was ready") as caught, serve(tiny_llm, str(folder), None, tmp_path):
        pass
    assert "UnheardOfForCausalLM" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 20
