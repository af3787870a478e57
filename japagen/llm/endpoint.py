"""Where an LLM answers: what the server side hands to the client, and all that the client knows of it."""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from japagen.llm.habits import Habits


def _never() -> str | None:
    return None


@dataclass
class Traffic:
    """Requests at an endpoint, over all its clients: a `with` block is one. Any thread may read it."""

    num_open: int = 0
    num_ended: int = 0

    def __enter__(self) -> None:
        self.num_open += 1

    def __exit__(self, *_: object) -> None:
        self.num_open -= 1
        self.num_ended += 1


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible server that is ready."""

    base_url: str
    """Ends in /v1, no slash after it."""
    api_key: str = field(default="", repr=False)
    """Bearer token; empty: none is sent."""
    failure: Callable[[], str | None] = field(default=_never, repr=False)
    """None while the server lives or is being restarted; a message once it is gone for good. Any thread may call it."""
    is_vllm: bool = True
    """Takes vLLM's own request fields; others get them only where they differ from the defaults."""
    patience_s: float = 300.0
    """How long it may give no answer at all (a restart with a large model) before it counts as lost."""
    traffic: Traffic = field(default_factory=Traffic, repr=False, compare=False)
    """Clients keep it; who watches the server learns from it whether anybody waits for an answer."""
    habits: Habits = field(default_factory=Habits, repr=False, compare=False)
    """What clients found that the server refuses, so that the next one knows."""

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine's loopback; the environment's proxies must not see its requests."""
        return urlsplit(self.base_url).hostname in ("127.0.0.1", "localhost", "::1")

    @property
    def tokenize_url(self) -> str:
        """vLLM's address for the token ids of a prompt or chat."""
        return f"{self.base_url.removesuffix('/v1')}/tokenize"

    def ask(self, url: str, body: dict[str, Any] | None = None, timeout_s: float = 30.0) -> Any:
        """The JSON of one answer, outside the client's retries; without `body` a GET. Errors are those of urllib and json."""
        opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if self.is_local else []))
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {})
        data = None if body is None else json.dumps(body).encode()
        with opener.open(urllib.request.Request(url, data, headers), timeout=timeout_s) as response:
            return json.load(response)
