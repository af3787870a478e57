"""A stream as a function: what is asked for each of its rows, which `japagen.store.rowsfile` keeps.

The row with index i of label y is decided by (key, y, i) alone: the order of the exemplars, the seed, the request it is
part of (request r = i div n carries n rows). Turn 0 of a pair depends on (key, i) only, so one first sentence serves every
label and gives none away.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from japagen.prompts.scaffold import scaffold_of
from japagen.prompts.verbalized import list_phrase
from japagen.prompts.writing import (
    Message,
    Prompting,
    attributes_of,
    first_messages,
    messages,
    phrases_of,
    stops,
    wordings,
)
from japagen.store.rowsfile import Position, StreamRows, open_folder
from japagen.store.store import Store
from japagen.tasks import WORDING, Attribute, Example, Label, Task


@dataclass(frozen=True)
class Ask:
    """One request of the stream: `num_rows` rows from `index` on."""

    label: str
    index: int
    turn: int
    num_rows: int
    seed: int
    messages: tuple[Message, ...]
    attributes: dict[str, str] = field(default_factory=dict)
    """What was drawn for this request."""
    temperature: float | None = None
    """None: the LLM's own."""
    verbalized: bool = False
    """Whether one reply lists all its texts."""
    stop: tuple[str, ...] = ()
    """Strings that end a reply."""

    @property
    def positions(self) -> list[Position]:
        return [(self.label, self.index + j, self.turn) for j in range(self.num_rows)]


@dataclass(frozen=True)
class Stream:
    """What decides every prompt and seed of a stream."""

    key: str
    task: Task
    prompting: Prompting
    exemplars: dict[str, tuple[Example, ...]]
    texts_per_request: int
    identity: dict[str, Any] = field(repr=False, default_factory=dict)
    attributes: Sequence[Attribute] = ()
    """A value of each is drawn for every request."""
    variants: bool = False
    """Labels are asked for in each of their wordings in turn."""
    temperatures: Sequence[float] = ()
    """One a request, in turn; a pair's second sentence has its first one's. None: the LLM's own."""
    verbalized: bool = False
    """A request for texts_per_request texts is one reply that lists them (`japagen.prompts.verbalized`)."""
    stop: Sequence[str] = ()
    """Strings that end every reply, beside those of the prompt's form."""

    def ask(self, label: str, index: int) -> Ask:
        """The request that carries row `index`: of `label`, or, where `label` is '', of turn 0 of a pair."""
        request, n = index // self.texts_per_request, self.texts_per_request
        drawn = self._drawn(label, request) | self._wording(label, request)
        built, seed = self._opening(label, request * n, drawn), self._seed(label, 0, request * n)
        return Ask(label, request * n, 0, n, seed, tuple(built), drawn, self._temperature(request), self.verbalized, self.stop_of(0))

    def second_ask(self, label: str, index: int, first: str) -> Ask:
        """Turn 1 of a pair: the request for the second sentence of `label` after the first sentence `first`."""
        request = index // self.texts_per_request
        drawn = self._drawn("", request) | self._wording(label, index)
        built, seed = self._second(label, index, first, drawn), self._seed(label, 1, index)
        return Ask(label, index, 1, 1, seed, tuple(built), drawn, self._temperature(request), stop=self.stop_of(1))

    def longest_prompts(self, turn: int) -> list[list[Message]]:
        """Each label's request of `turn` with the longest values and wording that may be drawn, and as long a first sentence as may be."""
        prompts = []
        for label in self.task.labels:
            opening = "" if self.task.is_pair else label.name
            drawn = {attribute.name: max(attribute.values, key=len) for attribute in attributes_of(self.attributes, opening)}
            if self.variants:
                asked = wordings(label, self.prompting)
                drawn[WORDING] = str(1 + asked.index(max(asked, key=len)))
            first = "あ" * self.task.max_chars
            prompts.append(self._opening(opening, 0, drawn) if turn == 0 else self._second(label.name, 0, first, drawn))
        return prompts

    def texts_per_reply(self, turn: int) -> int:
        """How many texts one completion of `turn` holds."""
        return self.texts_per_request if self.verbalized and turn == 0 else 1

    def _opening(self, label: str, index: int, drawn: Mapping[str, str]) -> list[Message]:
        """Turn 0 of the request that begins at `index`."""
        phrases = phrases_of(self.attributes, drawn)
        if self.verbalized:
            phrases.append(list_phrase(self.texts_per_request, scaffold_of(self.task)))
        if not label:
            return first_messages(self.task, self.prompting, self._shown_firsts(index), phrases)
        chosen = self._label(label)
        shown = self._shown(chosen, index)
        return messages(self.task, self.prompting, chosen, shown, phrases=phrases, wording=_variant(drawn))

    def _second(self, label: str, index: int, first: str, drawn: Mapping[str, str]) -> list[Message]:
        """Turn 1 after a turn 0 that asked for this one sentence, also where a list was asked for."""
        chosen, phrases = self._label(label), phrases_of(self.attributes, drawn)
        return messages(self.task, self.prompting, chosen, self._shown(chosen, index), first, phrases, _variant(drawn))

    def stop_of(self, turn: int) -> tuple[str, ...]:
        """Strings that end a reply of `turn`."""
        return tuple(dict.fromkeys((*stops(self.task, self.prompting, turn), *self.stop)))

    def _label(self, name: str) -> Label:
        return self._labels[name]

    @cached_property
    def _labels(self) -> dict[str, Label]:
        return {label.name: label for label in self.task.labels}

    def _drawn(self, label: str, request: int) -> dict[str, str]:
        """Attribute -> the value that a request shows."""
        drawn = {}
        for attribute in attributes_of(self.attributes, label):
            drawn[attribute.name] = attribute.values[self._in_turn(label, attribute.name, len(attribute.values), request)]
        return drawn

    def _wording(self, label: str, request: int) -> dict[str, str]:
        """The number of the wording that asks for the label's text, from 1; nothing where the label has but one."""
        if not self.variants or not label or not self._label(label).variants:
            return {}
        return {WORDING: str(1 + self._in_turn(label, WORDING, len(wordings(self._label(label), self.prompting)), request))}

    def _in_turn(self, label: str, name: str, num: int, request: int) -> int:
        """The position drawn for a request: every `num` requests get each of `num` positions once, in a seeded order."""
        round_, position = divmod(request, num)
        return _order(f"{self.key}/{label}/{name}/{round_}", num)[position]

    def _temperature(self, request: int) -> float | None:
        return self.temperatures[request % len(self.temperatures)] if self.temperatures else None

    def _shown(self, label: Label, index: int) -> list[tuple[str, ...]]:
        return [example.texts for example in self._shuffled(self.exemplars.get(label.name, ()), label.name, index)]

    def _shown_firsts(self, index: int) -> list[str]:
        pooled = [example for examples in self.exemplars.values() for example in examples]
        return list(dict.fromkeys(example.texts[0] for example in self._shuffled(pooled, "", index)))

    def _shuffled(self, examples: Sequence[Example], label: str, index: int) -> list[Example]:
        """The exemplars in an order drawn for this request."""
        shuffled = list(examples)
        if len(shuffled) > 1:  # a generator takes longer to make than all else of a request
            random.Random(f"{self.key}/{label}/{index}").shuffle(shuffled)
        return shuffled

    def _seed(self, label: str, turn: int, index: int) -> int:
        """Seed of a request; vLLM gives its j-th text seed + j, so consecutive requests never share one."""
        return self._first_seeds[label, turn] + index

    @cached_property
    def _first_seeds(self) -> dict[tuple[str, int], int]:
        def first(label: str, turn: int) -> int:
            return int.from_bytes(hashlib.sha256(f"{self.key}/{label}/{turn}".encode()).digest()[:6], "big")

        return {(label, turn): first(label, turn) for label in ("", *self.task.label_names) for turn in (0, 1)}


@lru_cache(maxsize=64)
def _order(seed: str, num: int) -> list[int]:
    order = list(range(num))
    random.Random(seed).shuffle(order)
    return order


def _variant(drawn: Mapping[str, str]) -> int:
    return int(drawn.get(WORDING, 1)) - 1


def open_rows(store: Store, stream: Stream) -> StreamRows:
    """The stream's rows for a writer; its folder and meta.json are made when it is new."""
    return StreamRows(open_folder(store, "stream", stream.key, stream.identity))
