"""A vLLM server and its client in memory, with faults that a request's temperature chooses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from japagen.errors import ServerError
from japagen.llm.client import Completion, Reply, Request
from japagen.llm.endpoint import Endpoint
from tests.stubs.stub_client import StubClient

REFUSING = 0.5
"""A request at this temperature gets nothing but refusals."""
DEADLY = 0.25
"""A request at this temperature ends the server for good."""


@dataclass
class MemoryServer:
    """Stands in for `serve` and `Client`: in memory, with faults that a request's temperature chooses."""

    starts: int = 0
    open: int = 0
    """Servers that haven't been stopped."""
    start_fault: Exception | None = None
    asked: list[float] = field(default_factory=list)
    """Temperature of every request."""
    lost: str | None = None

    @contextmanager
    def serve(self, *_: Any) -> Iterator[Endpoint]:
        self.starts += 1
        if self.start_fault is not None:
            raise self.start_fault
        self.open += 1
        try:
            yield Endpoint("http://127.0.0.1:1/v1", failure=lambda: self.lost)
        finally:
            self.open -= 1

    def client(self, *_: Any) -> "MemoryClient":
        return MemoryClient(self)


class MemoryClient(StubClient):
    def __init__(self, server: MemoryServer) -> None:
        super().__init__()
        self._server = server

    async def __aenter__(self) -> "MemoryClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def complete(self, request: Request) -> Reply:
        temperature = request.sampling.temperature
        self._server.asked.append(temperature)
        if temperature == DEADLY:
            self._server.lost = "vLLM died 3 times"
            raise ServerError("vLLM died 3 times")
        if temperature == REFUSING:
            return Reply(tuple(Completion("I cannot", "stop") for _ in range(request.n)), 10, 5)
        return await super().complete(request)
