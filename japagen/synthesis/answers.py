"""Answers: what an LLM says of texts that exist already, kept like a stream's rows.

In: questions (`japagen.prompts.questions`) and a client. Out: one row a question, appended raw to `rows-*.jsonl` in the store. A question's
id names its text's position, so answers are extended, never remade: a resumed run asks for what is missing. A request that failed for good
is a row too.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from japagen.config.llm import Sampling
from japagen.llm.client import COUNT, MAX_NEXT_TOKENS, NEXT, SCORE, TOKENS, Client, Reply, Request
from japagen.prompts.questions import Question
from japagen.prompts.writing import Message
from japagen.store.rowsfile import StreamRows
from japagen.synthesis.generate import REFRESH_S, StreamProgress
from japagen.synthesis.limits import Meter

GREEDY = Sampling(temperature=0.0)


@dataclass(frozen=True)
class Answer:
    """One question's answer, raw."""

    id: str
    text: str = ""
    """Written answers."""
    finish_reason: str = "stop"
    """stop, length, or error: the request failed for good."""
    logprobs: list[float] = field(default_factory=list)
    """Scored answers: log-probability of each candidate's tokens, in the labels' order."""
    num_tokens: list[int] = field(default_factory=list)
    """Number of tokens of each candidate, including the tokens that close its turn."""
    prompt_tokens: int = 0
    """Prompt tokens of all chats; a prefix that the labels' chats share counts once."""
    completion_tokens: int = 0
    error: str = ""

    @property
    def position(self) -> str:
        return self.id

    def probabilities(self, baseline: Sequence[float] = ()) -> tuple[float, ...] | None:
        """The candidates' probabilities, summing to 1; None without an answer. `baseline`: log-probabilities subtracted first."""
        if not self.logprobs:
            return None
        scores = [value - other for value, other in zip(self.logprobs, baseline or [0.0] * len(self.logprobs), strict=True)]
        weights = [math.exp(score - max(scores)) for score in scores]
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability of the first candidate's tokens; None without an answer."""
        return self.logprobs[0] / self.num_tokens[0] if self.logprobs and self.num_tokens[0] else None


Show = Callable[[StreamProgress], None]


async def answer_all(
    questions: Sequence[Question], rows: StreamRows, client: Client, chat_template_args: dict[str, Any], max_tokens: int, show: Show,
    stop: Sequence[str] = (), meter: Meter | None = None,
) -> None:  # fmt: skip
    """Asks what `rows` has no answer to; `max_tokens` bounds a written answer, and strings of `stop` end it. LimitError where `meter` ends
    it before."""
    missing = [question for question in questions if rows.find(question.id) is None]
    asker = Asker(client, chat_template_args, replace(GREEDY, max_tokens=max_tokens), stop)
    started, num_known, num_tokens = time.monotonic(), len(questions) - len(missing), 0
    pending: set[asyncio.Task[Answer]] = set()
    waiting = iter(missing)
    num_new, num_prompt_tokens, refreshed = 0, 0, time.monotonic()

    def progress() -> StreamProgress:
        return StreamProgress(
            len(questions), num_known + num_new, 0, num_new, num_tokens, time.monotonic() - started, new_prompt_tokens=num_prompt_tokens
        )

    def has_room() -> bool:
        return meter is None or meter.leaves_room(len(pending))

    try:
        while True:
            while len(pending) < client.limit and has_room() and (question := next(waiting, None)) is not None:
                pending.add(asyncio.create_task(asker.ask(question)))
            if not pending:
                if num_new < len(missing) and meter is not None:
                    raise meter.limit_error(f"{rows.folder.parent.name}", num_known + num_new, len(questions))
                break
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            answers = [task.result() for task in done if task.exception() is None]
            rows.append(answers)
            num_new += len(answers)
            num_tokens += sum(answer.completion_tokens for answer in answers)
            num_prompt_tokens += sum(answer.prompt_tokens for answer in answers)
            if meter is not None and meter.has_limit:
                for answer in answers:
                    meter.check_reported(answer.prompt_tokens + answer.completion_tokens, answer.error)
                if time.monotonic() - refreshed > REFRESH_S:  # what other shards spend counts too
                    refreshed = time.monotonic()
                    rows.refresh()
            show(progress())
            await asyncio.gather(*done)  # raises what one of them ended with
        rows.write_held()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        rows.close()
    show(progress())


class Asker:
    """Turns questions into requests; knows the lengths of prompts that many questions share."""

    def __init__(self, client: Client, chat_template_args: dict[str, Any], sampling: Sampling, stop: Sequence[str] = ()) -> None:
        self._client, self._args, self._sampling, self._stop = client, chat_template_args, sampling, stop
        self._lengths: dict[str, asyncio.Task[Reply]] = {}

    async def ask(self, question: Question) -> Answer:
        """The answer; of a request that failed for good one that says why."""
        if question.is_scored:
            return await (self._score_labels(question) if question.shares_prompt else self._score_texts(question))
        stop = tuple(dict.fromkeys((*question.stop, *self._stop)))
        request = Request(list(question.chats[0]), 1, None, self._sampling, self._args, question.structure, stop=stop)
        reply = await self._client.complete(request)
        written = reply.completions[0]
        return Answer(
            question.id, written.text, written.finish_reason,
            prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens, error=reply.error,
        )  # fmt: skip

    async def _score_labels(self, question: Question) -> Answer:
        """The answer for chats that differ at their end only: the server reads the shared prefix once, then scores each next token.

        A chat's log-probability sums over its tokens from the first on that not all chats have.
        """
        replies = await self._ask_all([self._measure(TOKENS, chat) for chat in question.chats])
        if fault := _fault(replies):
            return Answer(question.id, finish_reason="error", error=fault)
        chats = [reply.token_ids for reply in replies]
        start = max(1, _common_prefix(chats))  # the first token of all has no log-probability
        shared, ends = chats[0][:start], [chat[start:] for chat in chats]
        wanted: dict[tuple[int, ...], set[int]] = {}
        for end in ends:
            for position, token in enumerate(end):
                wanted.setdefault(end[:position], set()).add(token)
        requests = [
            Request([], 0, None, GREEDY, kind=NEXT, prompts=tuple(shared + path for path in paths), token_ids=tokens)
            for paths, tokens in _packed(wanted)
        ]
        replies = await self._ask_all(requests)
        if fault := _fault(replies):
            return Answer(question.id, finish_reason="error", error=fault)
        found = {
            (prompt[start:], token): logprob
            for request, reply in zip(requests, replies, strict=True)
            for prompt, nexts in zip(request.prompts, reply.next_logprobs, strict=True)
            for token, logprob in nexts.items()
        }
        logprobs = [sum(found[end[:position], token] for position, token in enumerate(end)) for end in ends]
        return Answer(question.id, logprobs=logprobs, num_tokens=[len(end) for end in ends], prompt_tokens=start + sum(map(len, ends)))

    async def _score_texts(self, question: Question) -> Answer:
        """The answer for chats that differ before their end: the server reads each chat whole, and the last turn is scored."""
        replies = await self._ask_all([self._measure(SCORE, chat) for chat in question.chats])
        counted = await asyncio.gather(*(self._length(chat[:-1]) for chat in question.chats))
        if fault := _fault([*replies, *counted]):
            return Answer(question.id, finish_reason="error", error=fault)
        starts = [max(0, reply.prompt_tokens - 1) for reply in counted]  # the first token of all has no log-probability
        scored = [reply.scored_tokens[start:] for reply, start in zip(replies, starts, strict=True)]
        logprobs = [sum(logprob for _, logprob in tokens) for tokens in scored]
        counts = [len(tokens) for tokens in scored]
        return Answer(question.id, logprobs=logprobs, num_tokens=counts, prompt_tokens=sum(reply.prompt_tokens for reply in replies))

    async def _ask_all(self, requests: Sequence[Request]) -> list[Reply]:
        return await asyncio.gather(*map(self._client.complete, requests))

    async def _length(self, prompt: Sequence[Message]) -> Reply:
        """Tokens of a chat with the opening of the reply's turn, asked for once."""
        key = repr(prompt)
        if key not in self._lengths:
            self._lengths[key] = asyncio.ensure_future(self._client.complete(self._measure(COUNT, prompt)))
        return await asyncio.shield(self._lengths[key])

    def _measure(self, kind: str, chat: Sequence[Message]) -> Request:
        return Request(list(chat), 0, None, GREEDY, self._args, kind=kind)


def _fault(replies: Sequence[Reply]) -> str:
    return next((reply.error for reply in replies if reply.error), "")


def _packed(wanted: Mapping[tuple[int, ...], set[int]]) -> Iterator[tuple[list[tuple[int, ...]], tuple[int, ...]]]:
    """Paths that are asked for in one request, and the tokens to name in it: few requests, MAX_NEXT_TOKENS tokens each at most."""
    paths: list[tuple[int, ...]] = []
    tokens: set[int] = set()
    for path, nexts in wanted.items():
        ordered = sorted(nexts)
        for first in range(0, len(ordered), MAX_NEXT_TOKENS):
            some = ordered[first : first + MAX_NEXT_TOKENS]
            if len(tokens.union(some)) > MAX_NEXT_TOKENS:
                yield paths, tuple(sorted(tokens))
                paths, tokens = [], set()
            paths.append(path)
            tokens.update(some)
    if paths:
        yield paths, tuple(sorted(tokens))


def _common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many items all sequences begin with alike."""
    shortest = min(map(len, sequences))
    return next((position for position in range(shortest) if any(a[position] != b[position] for a, b in pairwise(sequences))), shortest)
