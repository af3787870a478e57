"""An OpenAI-compatible server on a real socket that says and refuses what a test wants; it counts what it is asked."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Messages = list[dict[str, str]]


def some_text(seed: int) -> str:
    """Another sentence for each seed, and no two nearly alike."""
    return "".join(random.Random(seed).choices("犬猫馬鳥花山川海空町人車", k=12)) + "です。"


@dataclass
class StubLLM:
    """How it behaves, and what came."""

    owned_by: str = "vllm"
    models: tuple[str, ...] = ("stub",)
    write: Callable[[Messages, int], str] = lambda messages, seed: some_text(seed)
    finish_reason: str = "stop"
    system: str = "taken"
    """taken, dropped or refused."""
    template: bool = True
    reasoning: str = ""
    reports_tokens: bool = True
    refuse: Callable[[dict[str, Any]], tuple[int, Any] | None] = lambda body: None
    """Status and answer with which a request for a chat completion is refused."""
    message: Callable[[str], dict[str, Any]] = lambda text: {"content": text}
    """What a choice's message holds beside its role."""
    follows_n: bool = True
    models_status: int = 200
    told: dict[str, Any] = field(default_factory=dict)
    """What GET /models tells of each model beside id and owner."""
    base_url: str = ""
    models_asked: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def overrides(self) -> list[str]:
        return ["llm=demo", f"llm.base_url={self.base_url}", "llm.id=stub"]

    def length(self, messages: Messages) -> int:
        return sum(len(message["content"]) for message in messages if message["role"] != "system" or self.system == "taken")

    def refusal(self, messages: Messages) -> str | None:
        if not self.template:
            return "no chat template"
        return "System role not supported" if self.system == "refused" and messages[0]["role"] == "system" else None

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        messages: Messages = body["messages"] if "messages" in body else [{"role": "user", "content": body["prompt"]}]
        if (refusal := self.refusal(messages)) is not None:
            return 400, {"error": {"message": refusal}}
        if path == "/tokenize" and self.owned_by == "vllm":
            return 200, {"count": self.length(messages), "tokens": [ord(character) for turn in messages for character in turn["content"]]}
        if path != "/v1/chat/completions":
            return 404, {"error": {"message": "not found"}}
        self.bodies.append(body)
        if (refused := self.refuse(body)) is not None:
            return refused
        n, seed = body.get("n", 1) if self.follows_n else 1, body.get("seed", 0)
        choices = [
            {"index": j, "finish_reason": self.finish_reason}
            | {"message": {"role": "assistant", "reasoning": self.reasoning} | self.message(self.write(body["messages"], seed + j))}
            for j in range(n)
        ]
        usage = {"prompt_tokens": self.length(body["messages"]), "completion_tokens": 10 * n} if self.reports_tokens else {}
        return 200, {"choices": choices, "usage": usage}


@contextmanager
def serving(stub: StubLLM) -> Iterator[StubLLM]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            stub.models_asked += 1
            models = [{"id": name, "owned_by": stub.owned_by} | stub.told for name in stub.models]
            self._send(stub.models_status, {"data": models} if stub.models_status == 200 else {"error": "no such address"})

        def do_HEAD(self) -> None:
            self.send_response(200 if self.path == "/v1/models" else 404)
            self.end_headers()

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(*stub.answer(self.path, body))

        def _send(self, status: int, answer: dict[str, Any]) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(ConnectionError):  # whoever asked is gone
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub.base_url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()
