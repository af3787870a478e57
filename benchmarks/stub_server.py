"""A stub of an OpenAI-compatible chat server: the same latency for every request, Japanese texts, faults on demand, all counted.

    python benchmarks/stub_server.py --port 0        prints the port it listens on (127.0.0.1 only)

POST /v1/chat/completions answers after `latency_ms` with n texts of `chars` characters, decided by the request's number: that of a prompt
that says `row=NUMBER` (its texts begin so too), else its seed; text j of a seed is text 0 of seed + j, as with vLLM. They are put
together from tables of words, so that hardly any two are near duplicates. A request without a number is answered at once, unfailing.
GET /v1/models, /health and /version answer as such servers do. GET /stats counts since the last POST /reset, whose body may hold any of
`Settings`: latency_ms and chars not named stay as they are, all others fall back to their defaults. It shares the machine with what is
measured, so it does no more than this: no router, no log, uvloop where there is one.
"""

import argparse
import asyncio
import json
import random
import re
import resource
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from aiohttp import web

MODEL = "stub"
ROW = re.compile(r"row=(\d+)")
WHEN = (
    "昨夜|今朝|先週末|雨あがりに|連休明け|月末には|昼休みに|夕暮れ時|きのう|三日前|帰り道で|明け方|春先に|年の瀬|おととい|このごろ"
    "|祝日に|夜ふけに|週の初め|真冬に|散歩中に|梅雨どき|開店前に|閉館後に|朝礼で|食後に|花火の夜|停電中に|初雪の日|出発前に"
    "|船着場で|屋上で"
)
WHAT = (
    "布のマスクを|検温の表を|古い水筒を|干した大根を|借りた脚立を|弁当の包みを|予約の札を|紙の地図を|曲がった釘を|手紙の束を|夏みかんを"
    "|折り鶴を|消毒液の瓶を|自転車の鍵を|窓の結露を|編みかけの袖を|会報の原稿を|体温計を|貯金箱を|薄い毛布を|磨いた靴を|庭の苗木を"
    "|貸出の絵本を|割れた鉢を|味噌の樽を|写真立てを|砂時計を|店の看板を|錆びた鋏を|祭りの太鼓を|木の匙を|細い縄を"
)
DID = (
    "そっと運んだ|数え直した|探し回った|洗って干した|褒めていた|棚に戻した|覚えていた|包んで渡した|眺めていた|直してくれた|半分あげた"
    "|忘れていった|描き写した|持ち寄った|拭き取った|並べ替えた|届けに来た|手放した|見比べた|預かった|撮り直した|使い切った|貼り出した"
    "|話していた|譲り受けた|片づけた|抱えて走った|測っていた|書き留めた|埋めておいた|塗り重ねた|笑って見せた"
)
WHENS, WHATS, DIDS = (words.split("|") for words in (WHEN, WHAT, DID))
KANA = [first + second for first in "カサタナハマヤラ" for second in "アイウエオキスト"]
KINDS = ("total", "unnumbered", "ok", "texts", "e500", "e429", "reset", "outage", "e400", "disconnected")
CLAUSE_BYTES, NUM_CLAUSES = 6, 10  # of one digest: 64 bytes at most


@dataclass(frozen=True)
class Settings:
    """What may be set, on the command line and by /reset."""

    latency_ms: float = 50.0
    chars: int = 200
    p500: float = 0.0
    """Share of requests that get a 500 (after the latency); likewise p429, and preset: the connection is reset."""
    p429: float = 0.0
    preset: float = 0.0
    outage_at: int = 0
    """After so many answers every connection is reset for `outage_s` seconds (0: never)."""
    outage_s: float = 0.0
    bad_every: int = 0
    """Requests whose number is divisible by it get a 400, always; 0: none."""
    seed: int = 0
    """Decides which requests fail."""


class Stub:
    """The server's settings and counts."""

    def __init__(self, settings: Settings) -> None:
        self.reset(settings)

    def reset(self, settings: Settings) -> None:
        """Counts from nought, with these settings."""
        self.settings = settings
        self.draw = random.Random(settings.seed).random
        self.counts = dict.fromkeys(KINDS, 0)
        self.open = self.most_open = 0
        self.asked: set[int] = set()
        self.answered: set[int] = set()
        self.outage_until: float | None = None
        self.first = self.last = 0.0
        self.cpu = cpu_seconds()

    def stats(self) -> dict[str, Any]:
        """Counts since the last reset. Rows are numbered requests told apart by their number; repeated: sent, or answered, before."""
        counts = self.counts
        return counts | {
            "inflight": self.open,
            "max_concurrency": self.most_open,
            "rows_received_unique": len(self.asked),
            "rows_received_repeated": counts["total"] - counts["unnumbered"] - len(self.asked),
            "rows_ok_unique": len(self.answered),
            "rows_ok_repeated": counts["ok"] - len(self.answered),
            "span_s": round(self.last - self.first, 3),
            "server_cpu_s": round(cpu_seconds() - self.cpu, 3),
        }

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        path = request.path
        if path == "/v1/chat/completions":
            return await self.complete(request)
        if path == "/reset":
            body = await request.read()
            self.reset(replace(Settings(latency_ms=self.settings.latency_ms, chars=self.settings.chars), **json.loads(body or b"{}")))
            return web.json_response(asdict(self.settings))
        if path == "/stats":
            return web.json_response(self.stats())
        if path == "/v1/models":
            return web.json_response({"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "stub"}]})
        if path == "/version":
            return web.json_response({"version": "stub"})
        return web.Response(status=200 if path == "/health" else 404)

    async def complete(self, request: web.BaseRequest) -> web.StreamResponse:
        """A chat completion, or the fault whose turn it is."""
        body = json.loads(await request.read())
        prompt = "\n".join(text_of_message(message) for message in body["messages"])
        row, seed, num_texts = ROW.search(prompt), body.get("seed"), body.get("n") or 1
        number = int(row[1]) if row else seed
        settings, counts = self.settings, self.counts
        counts["total"] += 1
        if number is None:  # somebody asks whether the server lives
            counts["unnumbered"] += 1
            return respond([write_text(f"{prompt}/{j}", settings.chars) for j in range(num_texts)], body, len(prompt))
        self.first = self.first or time.monotonic()
        self.asked.add(number)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            if self.is_out():
                return self.drop(request, "outage")
            if settings.bad_every and number % settings.bad_every == 0:
                return self.refuse(400, "the stub refuses this row, always")
            chance = self.draw()
            await asyncio.sleep(settings.latency_ms / 1000)
            if chance < settings.p500:
                return self.refuse(500, "the stub failed")
            if chance < settings.p500 + settings.p429:
                return self.refuse(429, "too many requests")
            if chance < settings.p500 + settings.p429 + settings.preset:
                return self.drop(request, "reset")
            counts["ok"] += 1
            counts["texts"] += num_texts
            self.answered.add(number)
            head = f"row={number:07d} " if row else ""
            names = [f"{number}/{j}" if row else str(number + j) for j in range(num_texts)]
            return respond([head + write_text(name, settings.chars - len(head)) for name in names], body, len(prompt))
        except asyncio.CancelledError:
            counts["disconnected"] += 1
            raise
        finally:
            self.open -= 1
            self.last = time.monotonic()

    def is_out(self) -> bool:
        """Whether the outage lasts; it begins with the first request after `outage_at` answers."""
        if not self.settings.outage_s:
            return False
        if self.outage_until is None and self.counts["ok"] >= self.settings.outage_at:
            self.outage_until = time.monotonic() + self.settings.outage_s
        return self.outage_until is not None and time.monotonic() < self.outage_until

    def refuse(self, status: int, message: str) -> web.Response:
        """An error as OpenAI's servers word them."""
        self.counts[f"e{status}"] += 1
        kind = "invalid_request_error" if status == 400 else "server_error"
        return web.json_response({"error": {"message": message, "type": kind, "code": status}}, status=status)

    def drop(self, request: web.BaseRequest, kind: str) -> web.Response:
        """Resets the connection (TCP RST), so nothing of this answer is sent."""
        self.counts[kind] += 1
        assert request.transport is not None
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response(status=500)


def text_of_message(message: dict[str, Any]) -> str:
    """A message's text, also where it comes in parts."""
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def write_text(name: str, chars: int) -> str:
    """The text of exactly `chars` characters that belongs to `name`."""
    clauses: list[str] = []
    size = block = 0
    while size < chars:
        digest = blake2b(f"{name}:{block}".encode(), digest_size=NUM_CLAUSES * CLAUSE_BYTES).digest()
        for at in range(0, len(digest), CLAUSE_BYTES):
            a, b, c, d, e, f = digest[at : at + CLAUSE_BYTES]
            clauses.append(f"{WHENS[a & 31]}{KANA[b & 63]}{KANA[c & 63]}{KANA[d & 63]}さんは{WHATS[e & 31]}{DIDS[f & 31]}。")
            size += len(clauses[-1])
        block += 1
    return "".join(clauses)[:chars]


def respond(texts: list[str], asked: dict[str, Any], prompt_chars: int) -> web.Response:
    """A chat completion; a token is taken to be two characters of the prompt, one of a text."""
    prompt_tokens, tokens = prompt_chars // 2, sum(map(len, texts))
    choices = [{"index": j, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for j, text in enumerate(texts)]
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
    head = {"id": "chatcmpl-stub", "object": "chat.completion", "created": 1, "model": asked.get("model")}
    return web.Response(body=json.dumps(head | {"choices": choices, "usage": usage}).encode(), content_type="application/json")


def cpu_seconds() -> float:
    """CPU time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


@contextmanager
def running_stub(settings: Settings | None = None) -> Iterator[str]:
    """Its address (no slash, no /v1 after it) while a process of its own serves."""
    options = [text for name, value in asdict(settings or Settings()).items() for text in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, str(Path(__file__).resolve()), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            sys.exit(f"the stub server ended with code {process.wait()} before it listened")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def ask_stub(address: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """GET, or POST where there is a `body`: /stats and /reset of the stub at `address`."""
    data = None if body is None else json.dumps(body).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}{path}", data, timeout=30) as answer:
        answered: dict[str, Any] = json.load(answer)
        return answered


async def serve(port: int, settings: Settings) -> None:
    """Serves until the process is ended; prints the port once it listens."""
    runner = web.ServerRunner(web.Server(Stub(settings).handle, access_log=None), handle_signals=True, handler_cancellation=True)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serves with the settings of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8199, help="0: the system chooses")
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    options = vars(parser.parse_args())
    port = options.pop("port")
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    with suppress(KeyboardInterrupt, web.GracefulExit):
        run(serve(port, Settings(**options)))


if __name__ == "__main__":
    main()
