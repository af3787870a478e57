"""A client whose LLM scores chats by a rule of the test's: a token is a character, and each has the log-probability that the rule says."""

from collections.abc import Callable

from japagen.llm.client import COUNT, NEXT, SCORE, TOKENS, Completion, Reply, Request
from japagen.prompts.writing import Message

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
        self._chats: dict[str, list[Message]] = {}

    async def complete(self, request: Request) -> Reply:
        self.requests.append(request)
        if len(self.requests) in self.broken:
            return Reply((Completion("", "error"),) * request.n, 0, 0, "status 400: no")
        if request.kind == COUNT:
            return Reply((), len(_rendered(request.messages)) + len("<assistant>"), 0)
        if request.kind == TOKENS:
            text = _rendered(request.messages)
            self._chats[text] = request.messages
            return Reply((), 0, 0, token_ids=tuple(map(ord, text)))
        if request.kind == NEXT:
            return Reply((), 0, 0, next_logprobs=tuple(self._next(prompt, request.token_ids) for prompt in request.prompts))
        if request.kind == SCORE:
            *prompt, last = request.messages
            text = _rendered(request.messages)
            logprob, num_said = self.rule(list(prompt), last["content"]), len(last["content"]) + 1
            values = [-0.5] * (len(text) - num_said) + [logprob] * num_said
            scored = tuple((ord(character), value) for character, value in zip(text, values, strict=True))[1:]
            return Reply((), len(text), 0, scored_tokens=scored)
        return Reply((Completion(self.write(request), "stop"),), 10, 5)

    def _next(self, prompt: tuple[int, ...], tokens: tuple[int, ...]) -> dict[int, float]:
        """What the rule says of the chats, seen before, that begin so; of what continues none of them a large negative number."""
        begun, found = "".join(map(chr, prompt)), dict.fromkeys(tokens, -1000.0)
        for text, (*before, last) in self._chats.items():
            if text.startswith(begun) and len(text) > len(begun) and ord(text[len(begun)]) in found:
                found[ord(text[len(begun)])] = self.rule(before, last["content"])
        return found


def _rendered(messages: list[Message]) -> str:
    return "".join(f"<{message['role']}>{message['content']}|" for message in messages)
