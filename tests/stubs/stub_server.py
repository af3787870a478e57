"""An OpenAI-compatible server in the test's own event loop that fails as it is told."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

from japagen.llm.endpoint import Endpoint

ROW = re.compile(r"row=(\d+)")
Plan = Callable[[int, int], str]
"""(row, attempt from 1) -> what happens: '' or 'ok', a status, 'reset', 'half', 'json', 'choices', 'surrogate', 'abort'."""


class StubServer:
    """Answers text j of row r with 'r/j'; `plan` says what goes wrong; counts what came."""

    def __init__(self, plan: Plan = lambda row, attempt: "", retry_after: str | None = None, latency_s: float = 0.0) -> None:
        self.plan, self.retry_after, self.latency_s = plan, retry_after, latency_s
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.times: list[float] = []
        self.attempts: Counter[int] = Counter()
        self.open = self.most_open = 0
        self.refusal = "no"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def endpoint(self, **settings: Any) -> Endpoint:
        return Endpoint(self.base_url, **settings)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        match = ROW.search(body["messages"][-1]["content"])
        assert match is not None
        row = int(match.group(1))
        self.attempts[row] += 1
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        self.times.append(asyncio.get_running_loop().time())
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await asyncio.sleep(self.latency_s)
            return await self._misbehave(self.plan(row, self.attempts[row]), request, row, body["n"])
        finally:
            self.open -= 1

    async def _misbehave(self, fault: str, request: web.Request, row: int, n: int) -> web.StreamResponse:
        if fault.isdigit():
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return web.json_response({"error": {"message": self.refusal}}, status=int(fault), headers=headers)
        content = json.dumps(completion([f"{row}/{j}" for j in range(n + (fault == "choices"))]))
        if fault == "json":
            content = content[:-5]
        if fault == "abort":
            content = content.replace("stop", "abort")
        if fault == "surrogate":
            content = content.replace(f"{row}/0", "\\ud83d")
        assert request.transport is not None
        if fault == "reset":
            request.transport.abort()
        if fault == "half":
            response = web.StreamResponse(headers={"Content-Length": str(len(content) + 100), "Content-Type": "application/json"})
            await response.prepare(request)
            await response.write(content.encode())
            request.transport.close()
            return response
        return web.Response(text=content, content_type="application/json")


def completion(texts: list[str]) -> dict[str, Any]:
    """The answer's body; the last choice stands first, as the protocol allows."""
    choices = [{"index": j, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} for j, text in enumerate(texts)]
    return {"choices": choices[::-1], "usage": {"prompt_tokens": 7, "completion_tokens": 3 * len(texts)}}
