"""Answers: what an LLM says of texts that exist already, kept like a stream's rows.

In: questions (`japagen.questions`) and a client. Out: one row a question, appended raw to `rows-*.jsonl` in the store. A question's id
is its text's place, so answers are extended, never remade: a resumed run asks for what is missing. A request that failed for good is a
row too.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from japagen.config import Sampling
from japagen.llm.client import COUNT, SCORE, Client, Reply, Request
from japagen.prompts import Message
from japagen.questions import Question
from japagen.synthesis.generate import Progress
from japagen.synthesis.stream import StreamRows

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
    """Of each candidate, with what closes its turn."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""

    @property
    def place(self) -> str:
        return self.id

    def probabilities(self, baseline: Sequence[float] = ()) -> tuple[float, ...] | None:
        """Of the candidates, summing to 1; None without an answer. `baseline`: log-probabilities that are taken off first."""
        if not self.logprobs:
            return None
        scores = [value - other for value, other in zip(self.logprobs, baseline or [0.0] * len(self.logprobs), strict=True)]
        weights = [math.exp(score - max(scores)) for score in scores]
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def mean_logprob(self) -> float | None:
        """Of the first candidate's tokens; None without an answer."""
        return self.logprobs[0] / self.num_tokens[0] if self.logprobs and self.num_tokens[0] else None


Show = Callable[[Progress], None]


async def answer_all(
    questions: Sequence[Question], rows: StreamRows, client: Client, chat_template_args: dict[str, Any], max_tokens: int, show: Show
) -> None:
    """Asks what `rows` has no answer to; `max_tokens` bounds a written answer."""
    missing = [question for question in questions if rows.find(question.id) is None]
    asker = Asker(client, chat_template_args, replace(GREEDY, max_tokens=max_tokens))
    started, num_known, num_tokens = time.monotonic(), len(questions) - len(missing), 0
    pending: set[asyncio.Task[Answer]] = set()
    waiting = iter(missing)
    num_new = 0

    def progress() -> Progress:
        return Progress(len(questions), num_known + num_new, 0, num_new, num_tokens, time.monotonic() - started)

    try:
        while True:
            while len(pending) < client.limit and (question := next(waiting, None)) is not None:
                pending.add(asyncio.create_task(asker.ask(question)))
            if not pending:
                break
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            answers = [task.result() for task in done]
            rows.append(answers)
            num_new += len(answers)
            num_tokens += sum(answer.completion_tokens for answer in answers)
            show(progress())
        rows.write_held()
    finally:
        for task in pending:
            task.cancel()
        rows.close()
    show(progress())


class Asker:
    """Turns questions into requests; knows the lengths of prompts that many questions share."""

    def __init__(self, client: Client, chat_template_args: dict[str, Any], sampling: Sampling) -> None:
        self._client, self._args, self._sampling = client, chat_template_args, sampling
        self._lengths: dict[str, asyncio.Task[Reply]] = {}

    async def ask(self, question: Question) -> Answer:
        """The answer; of a request that failed for good one that says why."""
        if question.is_scored:
            return await self._score(question)
        request = Request(list(question.chats[0]), 1, None, self._sampling, self._args, question.structure)
        reply = await self._client.complete(request)
        written = reply.completions[0]
        return Answer(
            question.id, written.text, written.finish_reason,
            prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens, error=reply.error,
        )  # fmt: skip

    async def _score(self, question: Question) -> Answer:
        replies = await asyncio.gather(*(self._client.complete(self._measure(SCORE, chat)) for chat in question.chats))
        if fault := next((reply.error for reply in replies if reply.error), ""):
            return Answer(question.id, finish_reason="error", error=fault)
        tokens = [reply.scored_tokens for reply in replies]
        if question.shares_prompt:
            starts = [_common_prefix([[token for token, _ in found] for found in tokens])] * len(tokens)
        else:
            counted = await asyncio.gather(*(self._length(chat[:-1]) for chat in question.chats))
            if fault := next((reply.error for reply in counted if reply.error), ""):
                return Answer(question.id, finish_reason="error", error=fault)
            starts = [max(0, reply.prompt_tokens - 1) for reply in counted]  # the first token of all has no log-probability
        logprobs = [sum(logprob for _, logprob in found[start:]) for found, start in zip(tokens, starts, strict=True)]
        counts = [len(found) - start for found, start in zip(tokens, starts, strict=True)]
        return Answer(question.id, logprobs=logprobs, num_tokens=counts, prompt_tokens=sum(reply.prompt_tokens for reply in replies))

    async def _length(self, prompt: Sequence[Message]) -> Reply:
        """Tokens of a chat with the opening of the reply's turn, asked for once."""
        key = repr(prompt)
        if key not in self._lengths:
            self._lengths[key] = asyncio.ensure_future(self._client.complete(self._measure(COUNT, prompt)))
        return await asyncio.shield(self._lengths[key])

    def _measure(self, kind: str, chat: Sequence[Message]) -> Request:
        return Request(list(chat), 0, None, GREEDY, self._args, kind=kind)


def _common_prefix(sequences: Sequence[Sequence[int]]) -> int:
    """How many items all sequences begin with alike."""
    shortest = min(map(len, sequences))
    return next((place for place in range(shortest) if any(a[place] != b[place] for a, b in pairwise(sequences))), shortest)
