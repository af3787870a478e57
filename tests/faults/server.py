"""An OpenAI-compatible server, a process of its own, that fails as it is told and notes every request.

    python -m tests.faults.server        prints its port (127.0.0.1 only)

A text is decided by the prompt and its seed: text j of a request with seed s is text 0 of the same request with seed s + j, as with vLLM.
POST /plan takes a `Plan` as JSON; GET /requests lists what came since then, in order: (seed, n, what became of it).
"""

import asyncio
import json
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from aiohttp import web

MODEL = "stub"
OK, GONE, UNANSWERED = "ok", "gone", "unanswered"
"""What became of a request: the whole reply was sent; the client went away before; nothing yet. Else the fault's name."""
FAULTS = ("500", "429", "400", "reset", "half", "json", "choices", "empty")
WORDS = (
    "犬 猫 馬 子供 母 父 先生 駅員 店主 画家 医師 旅人 漁師 学生 友人 隣人",
    "公園 海辺 台所 校庭 川岸 駅前 屋上 市場 畑 図書館 港 庭 山頂 広場 縁側 坂道",
    "手紙 林檎 帽子 太鼓 写真 自転車 毛布 花束 地図 時計 切符 風船 絵本 傘 水筒 鍵",
    "運んだ 探した 洗った 並べた 描いた 見つけた 預けた 直した 包んだ 数えた 渡した 隠した 拾った 磨いた 眺めた 忘れた",
)
WHO, WHERE, WHAT, DID = (words.split() for words in WORDS)
KANA = [one + two for one in "カサタナハマヤラ" for two in "アイウエオキスト"]


@dataclass(frozen=True)
class Plan:
    """How the server behaves from now on."""

    latency_s: float = 0.0
    """Before each answer; drawn between half and one and a half of it."""
    fault: str = ""
    """One of FAULTS; empty: none."""
    share: float = 0.0
    """Of requests, that meet the fault, each by chance; a `stubborn` one meets it whenever it comes."""
    stubborn: bool = False
    retry_after_s: float | None = None
    """Sent with 429."""
    outage_at: int = 0
    """After so many whole replies every connection is reset, for outage_s."""
    outage_s: float = 0.0
    seed: int = 0


@dataclass
class Server:
    """The plan, and what came."""

    plan: Plan = field(default_factory=Plan)
    requests: list[list[Any]] = field(default_factory=list)
    num_ok: int = 0
    outage_ends: float | None = None
    draw: random.Random = field(default_factory=random.Random)

    def begin(self, plan: Plan) -> None:
        """Forgets what came; what is open still notes its end in the old list."""
        self.plan, self.requests, self.num_ok, self.outage_ends, self.draw = plan, [], 0, None, random.Random(plan.seed)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        if request.path == "/v1/chat/completions":
            return await self._complete(request)
        if request.path == "/plan":
            self.begin(Plan(**json.loads(await request.read())))
            return web.json_response({})
        if request.path == "/requests":
            return web.json_response(self.requests)
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": MODEL, "owned_by": "stub"}]})
        return web.Response(status=404)

    async def _complete(self, request: web.BaseRequest) -> web.StreamResponse:
        body = json.loads(await request.read())
        note = [body["seed"], body.get("n", 1), UNANSWERED]
        self.requests.append(note)
        plan, fault = self.plan, self._fault(body)
        try:
            if plan.latency_s and fault != "outage":
                await asyncio.sleep(plan.latency_s * self.draw.uniform(0.5, 1.5))
            response = await _answer(request, body, fault, plan)
            if fault not in ("reset", "half", "outage"):
                await response.prepare(request)
                await response.write_eof()
        except asyncio.CancelledError:
            note[2] = GONE
            raise
        except ConnectionError:
            note[2] = GONE
            return web.Response(status=500)
        note[2] = fault or OK
        self.num_ok += not fault
        return response

    def _fault(self, body: dict[str, Any]) -> str:
        plan = self.plan
        if plan.outage_s and self.num_ok >= plan.outage_at:
            self.outage_ends = self.outage_ends or time.monotonic() + plan.outage_s
            if time.monotonic() < self.outage_ends:
                return "outage"
        chance = _number(f"{plan.seed}/{body['seed']}") / 2**64 if plan.stubborn else self.draw.random()
        return plan.fault if chance < plan.share else ""


async def _answer(request: web.BaseRequest, body: dict[str, Any], fault: str, plan: Plan) -> web.StreamResponse:
    if fault.isdigit():
        headers = {} if plan.retry_after_s is None or fault != "429" else {"Retry-After": f"{plan.retry_after_s:g}"}
        return web.json_response({"error": {"message": "refused by the stub", "code": int(fault)}}, status=int(fault), headers=headers)
    prompt = json.dumps(body["messages"])
    texts = ["" if fault == "empty" else write_text(prompt, body["seed"] + j) for j in range(body.get("n", 1))]
    content = completion(texts[1:] if fault == "choices" else texts)
    if request.transport is None:
        raise ConnectionResetError("the client is gone")
    if fault in ("reset", "outage"):
        request.transport.abort()
    if fault == "half":
        response = web.StreamResponse(headers={"Content-Length": str(len(content)), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        request.transport.close()
        return response
    return web.Response(body=content[:-9] if fault == "json" else content, content_type="application/json")


def write_text(prompt: str, seed: int) -> str:
    """A Japanese sentence of about 25 characters; hardly any two are alike."""
    a, b, c, d, e, f, g, h = _number(f"{prompt}/{seed}").to_bytes(8, "big")
    name = KANA[a & 63] + KANA[b & 63] + KANA[c & 63]
    return f"{name}さんの{WHO[d & 15]}が{WHERE[e & 15]}で{KANA[h & 63]}色の{WHAT[f & 15]}を{DID[g & 15]}。"


def completion(texts: list[str]) -> bytes:
    """A chat completion's body."""
    choices = [{"index": j, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for j, text in enumerate(texts)]
    usage = {"prompt_tokens": 100, "completion_tokens": sum(map(len, texts))}
    return json.dumps({"object": "chat.completion", "model": MODEL, "choices": choices, "usage": usage}).encode()


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True)
class Running:
    """A server's address, and what it is asked by a test."""

    address: str

    @property
    def base_url(self) -> str:
        """For llm.base_url."""
        return f"{self.address}/v1"

    def plan(self, **settings: Any) -> None:
        """Sets a `Plan` and forgets what came."""
        self._ask("/plan", json.dumps(asdict(Plan(**settings))).encode())

    def requests(self) -> list[tuple[int, int, str]]:
        """(seed, n, what became of it) of each request since the plan was set."""
        return [(seed, n, end) for seed, n, end in self._ask("/requests")]

    def _ask(self, path: str, body: bytes | None = None) -> Any:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.address}{path}", body, timeout=60) as answer:
            return json.load(answer)


@contextmanager
def running() -> Iterator[Running]:
    """A server in a process of its own, ended with the context."""
    command = [sys.executable, "-m", "tests.faults.server"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    try:
        assert process.stdout is not None
        yield Running(f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.wait()


async def _serve() -> None:
    runner = web.ServerRunner(web.Server(Server().handle, access_log=None), handler_cancellation=True)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
