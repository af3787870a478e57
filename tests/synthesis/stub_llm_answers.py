"""A client whose LLM scores chats by a rule of the test's: a token is a character, and each has the log-probability that the rule says."""

from collections.abc import Callable

from japagen.llm.client import COUNT, SCORE, Completion, Reply, Request
from japagen.prompts import Message

Rule = Callable[[list[Message], str], float]
"""(chat before the last turn, the last turn) -> the log-probability of each of that turn's tokens."""


class AnsweringClient:
    """`write`: what it replies where it is asked to write; `broken`: requests whose number is in it fail for good."""

    def __init__(
        self, rule: Rule = lambda prompt, said: -1.0, write: Callable[[Request], str] = lambda request: "", limit: int = 4
    ) -> None:
        self.rule, self.write, self.limit = rule, write, limit
        self.requests: list[Request] = []
        self.broken: set[int] = set()

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        if len(self.requests) in self.broken:
            return Reply((Completion("", "error"),) * request.n, 0, 0, "status 400: no")
        if request.kind == COUNT:
            return Reply((), len(_rendered(request.messages)) + len("<assistant>"), 0)
        if request.kind == SCORE:
            *prompt, last = request.messages
            text = _rendered(request.messages)
            logprob, num_said = self.rule(list(prompt), last["content"]), len(last["content"]) + 1
            values = [-0.5] * (len(text) - num_said) + [logprob] * num_said
            scored = tuple((ord(character), value) for character, value in zip(text, values, strict=True))[1:]
            return Reply((), len(text), 0, scored_tokens=scored)
        return Reply((Completion(self.write(request), "stop"),), 10, 5)


def _rendered(messages: list[Message]) -> str:
    return "".join(f"<{message['role']}>{message['content']}|" for message in messages)
