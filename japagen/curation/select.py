"""Which rows of a stream become texts: the smallest prefix in (index, label) order that gives n texts per label.

The outcome depends on the rows alone, never on the order in which they came: rows are judged strictly in (index, label)
order, of duplicates (and of near duplicates within a label) the first is kept, and rows of a label that is full are passed over.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from japagen.config.schema import Curate
from japagen.curation.near import NearDuplicates, NearTexts
from japagen.prompts.replies import Reading, Reject, judge_reply, normalise
from japagen.tasks import Example, Task


class RawRow(Protocol):
    """What is read of a stream's row."""

    @property
    def text(self) -> str: ...
    @property
    def finish_reason(self) -> str: ...


class RowLookup(Protocol):
    """A stream's rows by (label, index, turn)."""

    def get(self, label: str, index: int, turn: int) -> RawRow | None: ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """A text (or pair) that passed, and its position in the stream."""

    label: str
    index: int
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Rejected:
    """A reply that didn't, as it was."""

    label: str
    index: int
    reason: str
    text: str


COPY_SIMILARITY = 0.8
"""Jaccard similarity of character 3-grams from which on a text copies an exemplar."""
MAX_KEPT_REJECTS = 20
"""Rejected replies kept per label and reason, to look at; all are counted."""


class Selector:
    """Judges rows as they become available, always in (index, label) order."""

    def __init__(self, task: Task, curate: Curate, num_per_label: int, exemplars: Sequence[Example] = ()) -> None:
        self.task, self.curate, self.num_per_label = task, curate, num_per_label
        self.accepted: list[Accepted] = []
        self.rejected: list[Rejected] = []
        self.counts: dict[str, Counter[str]] = {label: Counter() for label in task.label_names}
        self._first_counts: dict[str, Counter[str]] = {label: Counter() for label in task.label_names}
        """Of pairs rejected for their first sentence: what was wrong with it."""
        self._num_accepted: Counter[str] = Counter()
        self._seen: dict[str, set[tuple[str, ...]]] = {label: set() for label in task.label_names}
        self._uses_of_first: dict[str, Counter[str]] = defaultdict(Counter)
        threshold = curate.near_duplicates
        self._near = {label: NearDuplicates(threshold) for label in task.label_names} if threshold is not None else {}
        self._exemplar_texts = {normalise(text) for example in exemplars for text in example.texts}
        self._exemplars = NearTexts(sorted(self._exemplar_texts), COPY_SIMILARITY)
        self.changes: dict[str, Counter[str]] = {}
        """rule -> label -> accepted rows of which the rule changed a text."""
        self._index, self._position = 0, 0
        self._opening: RawRow | None = None
        self._first = Reading("")
        """What became of `_opening`, the turn 0 judged last: a pair's serves every label."""

    def num_accepted(self, label: str) -> int:
        return self._num_accepted[label]

    def num_judged(self, label: str) -> int:
        return self._num_accepted[label] + self.counts[label].total()

    def rejects(self, label: str) -> Counter[str]:
        """Rejected replies of the label by reason."""
        return self.counts[label]

    def reasons(self, label: str) -> Counter[str]:
        """The same, with a first sentence's own reason in place of 'first sentence'."""
        own = self.counts[label].copy()
        own.pop("first sentence", None)
        return own + self._first_counts[label]

    def rejected_texts(self, label: str) -> list[str]:
        """Rejected replies of the label to be shown: without those that hold a text of a gold exemplar."""
        texts = [rejected.text for rejected in self.rejected if rejected.label == label]
        return [text for text in texts if text.strip() and not any(shown in normalise(text) for shown in self._exemplar_texts)]

    def is_full(self, label: str) -> bool:
        return self._num_accepted[label] >= self.num_per_label

    @property
    def is_complete(self) -> bool:
        return all(self.is_full(label) for label in self.task.label_names)

    def next_index(self, label: str) -> int:
        """The first index of the label that isn't judged yet."""
        return self._index + (self.task.label_names.index(label) < self._position)

    def advance(self, rows: RowLookup) -> None:
        """Judges rows until one is missing or all labels are full."""
        names = self.task.label_names
        while not self.is_complete:
            label = names[self._position]
            if not self.is_full(label) and not self._judge(rows, label, self._index):
                return
            self._position += 1
            if self._position == len(names):
                self._index, self._position = self._index + 1, 0

    def first_sentence(self, row: RawRow) -> str | Reject:
        """Turn 0 of a pair: the sentence that goes back as the assistant's turn, or why it can't."""
        return self._read(row).outcome

    def _read(self, row: RawRow) -> Reading:
        """The row by itself, beside the exemplars that its prompt may have shown."""
        reading = judge_reply(self.task, row.text, row.finish_reason)
        if isinstance(reading.outcome, str) and self._exemplars.holds(normalise(reading.outcome)):
            return Reading(Reject("copies an exemplar"))
        return reading

    def _judge(self, rows: RowLookup, label: str, index: int) -> bool:
        """False when a row that is needed isn't there yet."""
        opening = rows.get("" if self.task.is_pair else label, index, 0)
        if opening is None:
            return False
        if opening is not self._opening:
            self._opening, self._first = opening, self._read(opening)
        first = self._first.outcome
        if not self.task.is_pair:
            self._settle(label, index, opening.text, first if isinstance(first, Reject) else (first,), self._first.changes)
            return True
        if isinstance(first, Reject):
            self._first_counts[label][first.reason] += 1
            self._settle(label, index, opening.text, Reject("first sentence"))
            return True
        second = rows.get(label, index, 1)
        if second is None:
            return False
        reading = self._read(second)
        changes = tuple(dict.fromkeys((*self._first.changes, *reading.changes)))
        self._settle(label, index, second.text, self._pair(label, first, reading.outcome), changes)
        return True

    def _pair(self, label: str, first: str, second: str | Reject) -> tuple[str, ...] | Reject:
        if isinstance(second, Reject):
            return second
        if normalise(first) == normalise(second):
            return Reject("repeats first sentence")
        if self._uses_of_first[label][normalise(first)] >= self.curate.max_same_first:
            return Reject("first sentence repeated")
        return first, second

    def _settle(self, label: str, index: int, raw: str, judged: tuple[str, ...] | Reject, changes: Sequence[str] = ()) -> None:
        if not isinstance(judged, Reject):
            texts = tuple(normalise(text) for text in judged)
            if texts == judged:
                judged = texts  # kept twice, so one object
            repeated = self._repeats(label, texts)
            if repeated is None:
                if self.task.is_pair:
                    self._uses_of_first[label][texts[0]] += 1
                self._num_accepted[label] += 1
                for rule in changes:
                    self.changes.setdefault(rule, Counter())[label] += 1
                self.accepted.append(Accepted(label, index, judged))
                return
            judged = repeated
        self.counts[label][judged.reason] += 1
        if self.counts[label][judged.reason] <= MAX_KEPT_REJECTS:
            self.rejected.append(Rejected(label, index, judged.reason, raw))

    def _repeats(self, label: str, texts: tuple[str, ...]) -> Reject | None:
        if texts in self._seen[label]:  # under another label it is none: `dataset.make_dataset` then drops both rows
            return Reject("duplicate")
        self._seen[label].add(texts)
        if label in self._near and not self._near[label].takes(*texts):
            return Reject("near duplicate")
        return None
