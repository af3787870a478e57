"""Chat completions from an OpenAI-compatible server: one call, one answer, whatever the network does in between.

A request in, its reply out. What passes (408, 409, 429, 5xx, resets, timeouts, broken or malformed answers) is tried again
with growing, jittered pauses. What concerns one row (other 4xx, an answer that stays malformed) becomes an error reply, so
that the rest goes on. What would fail every row (no server, no such model, a refused key) is a ServerError at once.
The client creates no task of its own; a caller keeps about `limit` calls of `complete` in flight.
"""

import asyncio
import gc
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import aiohttp

from japagen.config.llm import Sampling
from japagen.errors import ServerError
from japagen.llm.endpoint import Endpoint
from japagen.llm.habits import MAX_COMPLETION_TOKENS, MAX_TOKENS, REFUSES_FIELDS, SettingRefusedError
from japagen.llm.pace import Pace
from japagen.llm.received import Completion, Fault, Reply, finite, joined, num_texts, read_next, read_reply
from japagen.prompts.writing import Message

__all__ = ["Client", "Completion", "Reply", "Request"]

REQUEST_TIMEOUT_S = 1800.0
"""For one answer: nothing arrives until all n texts are written, which on a busy CPU takes long."""
CONNECT_TIMEOUT_S = 30.0
KEEPALIVE_S = 4.0
"""Shorter than the 5 s after which vLLM (VLLM_HTTP_TIMEOUT_KEEP_ALIVE) closes an idle connection under us."""
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
LONGEST_RETRY_AFTER_S = 60.0
MAX_MALFORMED = 5
"""Malformed answers until a row fails for good."""
MAX_INTERNAL_ERRORS = 10
"""Answers 500 until a row fails for good; an answer counts only if the server served other rows since the previous one."""
MAX_REFUSAL_BYTES = 4000
"""Of a refusal, where the field at fault is looked for; some servers repeat the whole request behind it."""
NUM_HOPELESS_ROWS = 20
"""Rows that fail for good in a row, alike and with no success before: then it isn't the rows."""
WRITE, SCORE, NEXT, TOKENS, COUNT = "write", "score", "next", "tokens", "count"
MAX_NEXT_TOKENS = 128
"""Token ids that one request of kind NEXT may name (vLLM's MAX_LOGPROB_TOKEN_IDS)."""
COLLECT_AFTER = 20_000
"""Objects until the garbage collector looks, in place of 700: what hundreds of open requests hold survives each look, and looking took a
third of our CPU time."""
_RETRIED = frozenset({408, 409, 429})
_OVERLOADED = frozenset({429, 503})
_NO_LOGPROBS = (
    "gives no log-probabilities of a prompt (vLLM does); set method.answer=choice or free, curate.judging=off and curate.keep_likeliest=1"
)
_REFUSES_ALL = {
    401: "the key is refused (llm.api_key_env names the variable that holds it)",
    403: "the key is refused (llm.api_key_env names the variable that holds it)",
    404: "no such model or address (llm.id, llm.base_url)",
}


@dataclass(frozen=True)
class Request:
    """n texts asked for with one prompt; text j is drawn with seed + j (vLLM)."""

    messages: list[Message]
    n: int
    seed: int | None
    sampling: Sampling
    chat_template_args: dict[str, Any] = field(default_factory=dict)
    structured_outputs: dict[str, Any] | None = None
    """vLLM's {choice | regex | json | grammar}; others aren't sent it, so check the text too."""
    kind: str = WRITE
    """write: texts. All others are vLLM's only. score: the log-probabilities of the chat as it is, its last turn included.
    next: how likely each of `token_ids` is to follow each of `prompts`. tokens: the token ids of the chat as it is. count: how many
    tokens the chat has with the opening of the reply's turn."""
    prompts: tuple[tuple[int, ...], ...] = ()
    """kind=next: token ids."""
    token_ids: tuple[int, ...] = ()
    """kind=next: MAX_NEXT_TOKENS at most."""
    stop: tuple[str, ...] = ()
    """kind=write: strings that end a text, which are no part of it."""


class Client:
    """Calls to one endpoint under one model name; an async context manager.

    `requests` counts attempts, `retries` those after the first, `failures` rows that failed for good; tokens as the server
    reports them.
    """

    def __init__(
        self, endpoint: Endpoint, model: str, concurrency: int | None = None, request_args: Mapping[str, Any] | None = None
    ) -> None:  # fmt: skip
        """`request_args`: further fields of each request of kind WRITE (llm.request_args)."""
        self._endpoint, self._model, self._request_args = endpoint, model, dict(request_args or {})
        self._pace = Pace(concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._collected_after = gc.get_threshold()
        self._habits = endpoint.habits
        self._num_served = 0
        self._failing_since: float | None = None
        self._hopeless_rows, self._hopeless_error = 0, ""
        self._lost: str | None = None
        self.requests = self.retries = self.failures = self.prompt_tokens = self.completion_tokens = 0

    @property
    def limit(self) -> int:
        """Open requests aimed at now; more calls wait their turn."""
        return self._pace.limit

    async def __aenter__(self) -> Self:
        self._collected_after = gc.get_threshold()
        gc.set_threshold(COLLECT_AFTER, *self._collected_after[1:])
        headers = {"Content-Type": "application/json"}
        if self._endpoint.api_key:
            headers["Authorization"] = f"Bearer {self._endpoint.api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_S),
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            headers=headers,
            trust_env=not self._endpoint.is_local,
        )
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._session is not None
        gc.set_threshold(*self._collected_after)
        await self._session.close()

    async def complete(self, request: Request) -> Reply:
        """The reply, after as many tries as it takes; ServerError where the server is lost or would refuse every row."""
        async with self._pace:
            if request.n < 2 or not self._habits.one_text:
                reply = await self._answer(request)
                if reply is not None:
                    return self._looked_at(request, reply)
            parts = [replace(request, n=1, seed=None if request.seed is None else request.seed + j) for j in range(request.n)]
            return self._looked_at(request, joined([reply for part in parts if (reply := await self._answer(part)) is not None]))

    def _looked_at(self, request: Request, reply: Reply) -> Reply:
        """The reply, after a look whether the server samples."""
        if request.kind == WRITE and request.sampling.temperature > 0 and not reply.error:
            self._habits.note_texts([completion.text for completion in reply.completions])
        return reply

    async def _answer(self, request: Request) -> Reply | None:
        """The reply to one request; None where the server turns out to give one text a request, and more are wanted."""
        row = _Row(self._num_served)
        while True:
            self._raise_if_lost()
            outcome = await self._attempt(request)
            if isinstance(outcome, Reply):
                return self._succeeded(outcome)
            if request.n > 1 and self._habits.one_text:
                return None
            if (error := self._judge(outcome, row)) is not None:
                return self._failed(error, request.n, outcome.kind)
            await self._pause(row.num_tries, outcome.retry_after_s)
            self.retries += 1

    def _raise_if_lost(self) -> None:
        self._lost = self._lost or self._endpoint.failure()
        if self._lost is not None:
            raise ServerError(self._lost)

    def _lose(self, message: str) -> ServerError:
        """Makes every call, also those that wait, end with `message`."""
        self._lost = f"the LLM server at {self._endpoint.base_url} {message}"
        return ServerError(self._lost)

    def _succeeded(self, reply: Reply) -> Reply:
        self._num_served += 1
        self._failing_since = None
        self._hopeless_rows = 0
        self.prompt_tokens += reply.prompt_tokens
        self.completion_tokens += reply.completion_tokens
        self._pace.completed(max(1, len(reply.completions)))
        return reply

    def _failed(self, error: str, n: int, kind: str) -> Reply:
        """The error reply; ServerError where rows fail alike, so many in a row that the fault is not theirs."""
        self.failures += 1
        alike = re.sub(r"\d+", "#", error)
        self._hopeless_rows = self._hopeless_rows + 1 if alike == self._hopeless_error else 1
        self._hopeless_error = alike
        if self._hopeless_rows >= NUM_HOPELESS_ROWS and (self._num_served == 0 or kind != "refused"):
            raise self._lose(f"failed {self._hopeless_rows} rows one after the other, all alike: {error}")
        return Reply((Completion("", "error"),) * n, 0, 0, error)

    def _judge(self, fault: Fault, row: "_Row") -> str | None:
        """Why the row fails for good, or None where it is to be tried again; ServerError where the server is lost."""
        row.num_tries += 1
        if fault.kind == "refused":
            return fault.text
        if fault.kind == "malformed":
            row.num_malformed += 1
            return fault.text if row.num_malformed >= MAX_MALFORMED else None
        now = time.monotonic()
        self._failing_since = now if self._failing_since is None else self._failing_since
        row.failing_since = now if row.failing_since is None else row.failing_since
        row.num_internal += fault.kind == "internal" and self._num_served > row.num_served
        row.num_served = self._num_served
        if row.num_internal >= MAX_INTERNAL_ERRORS:
            return fault.text
        row_s, server_s = now - row.failing_since, now - self._failing_since
        if row_s < self._endpoint.patience_s:
            return None
        if fault.kind == "internal" or server_s < self._endpoint.patience_s:
            return f"{fault.text} (for {row_s:.0f} s)"
        raise self._lose(f"has served nothing for {server_s:.0f} s; the last attempt: {fault.text}")

    async def _pause(self, num_tries: int, retry_after_s: float) -> None:
        """Backs off; the server's death ends the pause."""
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(num_tries - 1, 10)) * random.uniform(0.5, 1.0)
        end = time.monotonic() + max(pause_s, retry_after_s)
        while (left_s := end - time.monotonic()) > 0:
            self._raise_if_lost()
            await asyncio.sleep(min(left_s, 1.0))

    async def _attempt(self, request: Request) -> Reply | Fault:
        assert self._session is not None, "Client is an async context manager"
        self.requests += 1
        try:
            with self._endpoint.traffic:
                body = self._habits.shaped(self._body(request))
                async with self._session.post(self._url(request), data=json.dumps(body).encode()) as response:
                    content = await response.read()
            if response.status == 200 and request.kind != WRITE:
                return self._read_measure(content, request)
            if response.status == 200:
                if request.n > 1 and num_texts(content) == 1:
                    self._habits.gives_one_text()
                return read_reply(content, request.n)
            return self._read_refusal(request, body, response.status, content, response.headers.get("Retry-After"))
        except aiohttp.ClientPayloadError as error:
            return Fault("malformed", f"the answer broke off: {error}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return Fault("passing", f"{type(error).__name__}: {error}")

    def _url(self, request: Request) -> str:
        if request.kind in (COUNT, TOKENS):
            return self._endpoint.tokenize_url
        if request.kind == NEXT:
            return f"{self._endpoint.base_url}/completions"
        return f"{self._endpoint.base_url}/chat/completions"

    def _body(self, request: Request) -> dict[str, Any]:
        if request.kind != WRITE:
            return self._measure_body(request)
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "messages": request.messages,
            "n": request.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            MAX_COMPLETION_TOKENS if self._endpoint.is_vllm else MAX_TOKENS: sampling.max_tokens,
        }
        if request.seed is not None:
            body["seed"] = request.seed
        if self._endpoint.is_vllm or sampling.top_k:
            body["top_k"] = sampling.top_k
        if self._endpoint.is_vllm or sampling.repetition_penalty != 1.0:
            body["repetition_penalty"] = sampling.repetition_penalty
        if request.chat_template_args:
            body["chat_template_kwargs"] = request.chat_template_args
        if request.stop:
            body["stop"] = request.stop
        if request.structured_outputs is not None and self._endpoint.is_vllm:
            body["structured_outputs"] = request.structured_outputs
        return body | self._request_args

    def _measure_body(self, request: Request) -> dict[str, Any]:
        if request.kind == NEXT:
            asked = {"logprobs": 1, "logprob_token_ids": request.token_ids, "return_tokens_as_token_ids": True}
            return {"model": self._model, "prompt": request.prompts, "max_tokens": 1, "temperature": 0.0, "ignore_eos": True} | asked
        body: dict[str, Any] = {"model": self._model, "messages": request.messages}
        if request.kind in (SCORE, TOKENS):
            body["add_generation_prompt"] = False
        if request.kind == SCORE:
            body |= {"prompt_logprobs": 0, "temperature": 0.0, MAX_COMPLETION_TOKENS: 1}
        if request.chat_template_args:
            body["chat_template_kwargs"] = request.chat_template_args
        return body

    def _read_measure(self, content: bytes, request: Request) -> Reply | Fault:
        """What a chat measures; a server that doesn't know the question is no use for any row."""
        try:
            answer = json.loads(content)
            if request.kind == COUNT:
                return Reply((), int(answer["count"]), 0)
            if request.kind == TOKENS:
                return Reply((), 0, 0, token_ids=tuple(answer["tokens"]))
            if request.kind == NEXT:
                return Reply(
                    (), int(answer["usage"]["prompt_tokens"]), 0, next_logprobs=read_next(answer, len(request.prompts), request.token_ids)
                )
            tokens = [next(iter(entry.items())) for entry in answer["prompt_logprobs"] if entry]
            scored = tuple((int(token), finite(found["logprob"])) for token, found in tokens)
            return Reply((), int(answer["usage"]["prompt_tokens"]), 0, scored_tokens=scored)
        except (KeyError, TypeError):
            raise self._lose(_NO_LOGPROBS) from None
        except (ValueError, AttributeError, IndexError, OverflowError, RecursionError):
            return Fault("malformed", f"no log-probabilities: {content.decode('utf-8', 'replace')[:300]}")

    def _read_refusal(
        self, request: Request, body: dict[str, Any], status: int, content: bytes, retry_after: str | None
    ) -> Fault:  # fmt: skip
        text = f"status {status}: {content.decode('utf-8', 'replace')[:300]}"
        if status in _OVERLOADED:
            self._pace.overloaded()
        if status in _RETRIED or status >= 500:
            return Fault("internal" if status == 500 else "passing", text, _read_retry_after(retry_after))
        if status == 404 and request.kind != WRITE:
            raise self._lose(f"{_NO_LOGPROBS}; or it has no such model (llm.id): {text}")
        if status in _REFUSES_ALL:
            raise self._lose(f"refuses every request: {_REFUSES_ALL[status]}: {text}")
        if status in REFUSES_FIELDS and request.kind == WRITE and self._learn(body, content, text):
            return Fault("passing", text)
        return Fault("refused", text)

    def _learn(self, body: dict[str, Any], content: bytes, text: str) -> bool:
        """Whether the next requests avoid what was refused; ServerError where a setting forbids that."""
        if self._habits.shaped(body) != body:  # learnt from another's refusal while this one was on its way
            return True
        try:
            return self._habits.learn(body, content[:MAX_REFUSAL_BYTES].decode("utf-8", "replace"))
        except SettingRefusedError as error:
            if self._num_served:  # it took the setting before, so the words are about this row
                return False
            raise self._lose(f"{error}: {text}") from None


@dataclass
class _Row:
    """How a row has fared so far."""

    num_served: int
    """Rows that the server had served when this one last failed (or began)."""
    failing_since: float | None = None
    num_tries: int = 0
    num_malformed: int = 0
    num_internal: int = 0


def _read_retry_after(value: str | None) -> float:
    """Seconds from now (RFC 9110, 10.2.3: a number of seconds, or a date), at most LONGEST_RETRY_AFTER_S; 0 where none is said."""
    if value is None:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except (ValueError, OverflowError):
            return 0.0
    return min(seconds, LONGEST_RETRY_AFTER_S) if seconds > 0 else 0.0  # nan is a number to float()
