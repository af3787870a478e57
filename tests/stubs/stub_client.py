"""A client that answers in memory, in place of a server and `japagen.llm.client.Client`."""

import asyncio
import random

from japagen.errors import ServerError
from japagen.llm.client import Completion, Reply, Request

NOUNS = "犬猫鳥馬牛象魚花木山川海空雲星月船車家町道橋駅店人子父母兄姉"


class StubClient:
    """Answers in memory, from the seed alone, in any order; counts what it was asked."""

    def __init__(self, order: int = 0, reject_share: float = 0.0, fail_after: int | None = None, limit: int = 7) -> None:
        self.limit = limit
        self.asked: list[Request] = []
        self._order, self._reject_share, self._fail_after = random.Random(order), reject_share, fail_after

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        for _ in range(self._order.randrange(6)):
            await asyncio.sleep(0)
        if self._fail_after is not None and len(self.asked) > self._fail_after:
            raise ServerError("the server is gone")
        assert request.seed is not None
        texts = [self._text(request.seed + j) for j in range(request.n)]
        return Reply(tuple(Completion(text, "stop") for text in texts), 10, 5 * request.n)

    def _text(self, seed: int) -> str:
        drawn = random.Random(seed)
        if drawn.random() < self._reject_share:
            return "I cannot"
        return "".join(drawn.choice(NOUNS) for _ in range(4)) + "が走る。"
