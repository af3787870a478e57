"""Which texts of a data set the page shows: texts that the LLM wrote, and no gold text or text of the user's.

Shown are rows whose id gives their position in the stream. Left out are rows that an LLM labelled and didn't write, rejects that are
gold texts by their reason, and any reply that repeats a part of a text which its prompt showed. Where the stream is gone,
repeats cannot be detected, and no text is shown.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from japagen.curation.dataset import ANNOTATED
from japagen.prompts.replies import QUOTES_GOLD, normalise
from japagen.store.files import read_json
from japagen.store.store import Store
from japagen.tasks import PERSONA, STYLE, Example, Task

PER_LABEL = 30
LEAST_PER_LABEL = 2
PER_REASON = 6
MAX_CHARS = 300
PART_CHARS = 13
"""Characters in a row that a shown text must not share with an exemplar."""
_MARKUP_BYTES = 130
"""About what a row of the page takes beside its texts."""


@dataclass(frozen=True)
class Text:
    """One row of the page."""

    label: str
    texts: tuple[str, ...]
    id: str
    """LABEL/INDEX of the stream: the label that was asked for, which a judge may have replaced."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What the request drew; personas and style texts are the user's and left out."""


@dataclass(frozen=True)
class RejectedText:
    """A reply that became no row, as it was."""

    reason: str
    label: str
    text: str


class Prompts:
    """Texts that the prompts of a stream showed, to distinguish the LLM's own words from repeated ones."""

    def __init__(self, store: Store, stream: str | None) -> None:
        """stream: its key; None for a data set without written texts."""
        self.folder = None if stream is None else store.find("stream", stream)
        identity = {} if self.folder is None else read_json(self.folder / "meta.json")["identity"]
        exemplars = [text for rows in identity.get("exemplars", {}).values() for texts in rows for text in texts]
        exemplars += identity.get("prompt", {}).get(STYLE, {}).get("values", [])
        self._parts = {part for text in exemplars for part in _parts(text)}
        self._whole = [normalise(text) for text in exemplars if text.strip()]

    @property
    def are_known(self) -> bool:
        return self.folder is not None

    def allow(self, texts: Sequence[str]) -> bool:
        """Whether none of the texts holds an exemplar, or 13 characters in a row of one."""
        return self.are_known and not any(not self._parts.isdisjoint(_parts(text)) or self._holds_whole(text) for text in texts)

    def _holds_whole(self, text: str) -> bool:
        normalised = normalise(text)
        return any(whole in normalised for whole in self._whole)

    def attributes(self, ids: Sequence[str], turn: int) -> dict[str, dict[str, str]]:
        """Id -> what the request of that row drew; ids without anything are left out."""
        wanted, found = set(ids), {}
        for path in [] if self.folder is None else sorted(self.folder.glob("rows-*.jsonl")):
            for row in _rows_with_attributes(path):
                id_ = f"{row['label']}/{row['index']}"
                if row["turn"] == turn and id_ in wanted and id_ not in found:
                    found[id_] = {name: str(value) for name, value in row["attributes"].items() if name not in (PERSONA, STYLE)}
        return found


def _parts(text: str) -> list[str]:
    """Every run of PART_CHARS characters of the text."""
    normalised = normalise(text)
    return [normalised[start : start + PART_CHARS] for start in range(len(normalised) - PART_CHARS + 1)]


def _rows_with_attributes(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and b'"attributes": {}' not in line and b"\0" not in line:
                yield json.loads(line)


def written_rows(task: Task, examples: Sequence[Example]) -> list[Example]:
    """Rows that an LLM wrote, by their ids."""
    labels = [name for name in task.label_names if name != ANNOTATED]
    parts = [(row, row.id.rpartition("/")) for row in examples]
    return [row for row, (label, _, index) in parts if label in labels and index.isdigit()]


def sample_texts(task: Task, examples: Sequence[Example], prompts: Prompts, budget: int) -> list[Text]:
    """Up to PER_LABEL of each label while they fit into `budget` bytes, LEAST_PER_LABEL of each in any case; drawn by the rows' ids."""
    by_label: dict[str, list[Example]] = {name: [] for name in task.label_names}
    for row in sorted(written_rows(task, examples), key=lambda row: hashlib.sha256(row.id.encode()).digest()):
        if len(by_label[row.label]) < PER_LABEL and prompts.allow(row.texts):
            by_label[row.label].append(row)
    kept: dict[str, list[Example]] = {name: [] for name in by_label}
    for index in range(PER_LABEL):
        for name, rows in by_label.items():
            if index < len(rows) and (index < LEAST_PER_LABEL or budget > 0):
                kept[name].append(rows[index])
                budget -= sum(len(cut(text).encode()) for text in rows[index].texts) + _MARKUP_BYTES
    chosen = [row for rows in kept.values() for row in rows]
    drawn = prompts.attributes([row.id for row in chosen], task.num_turns - 1)
    return [Text(row.label, tuple(cut(text) for text in row.texts), row.id, drawn.get(row.id, {})) for row in chosen]


def sample_rejects(path: Path, prompts: Prompts) -> list[RejectedText]:
    """PER_REASON of each reason in a data set's rejects.jsonl, of different labels where there are such; empty where there is no file."""
    if not path.is_file():
        return []
    found: dict[str, dict[str, list[RejectedText]]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            if row["reason"] not in QUOTES_GOLD and prompts.allow([row["text"]]):
                of_label = found.setdefault(row["reason"], {}).setdefault(row["label"], [])
                of_label.append(RejectedText(row["reason"], row["label"], cut(row["text"])))
    return [reject for labels in found.values() for reject in _in_turn(list(labels.values()))[:PER_REASON]]


def _in_turn(lists: Sequence[Sequence[RejectedText]]) -> list[RejectedText]:
    longest = max(map(len, lists))
    return [items[index] for index in range(longest) for items in lists if index < len(items)]


def cut(text: str) -> str:
    """The first MAX_CHARS characters."""
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}…"
