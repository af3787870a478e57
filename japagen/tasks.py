"""Task, Label and Example: what is classified, into what, and one labelled text (or pair of texts).

A task is one YAML file under conf/task (or in a folder given with --config-dir); these dataclasses are its schema, so a
misspelt key or a wrong type is refused when the configuration is composed. They are plain data: no Hydra, no torch.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Optional

from japagen.errors import ConfigError, check_at_least, check_choice

METRICS = {"accuracy": "classification", "macro_f1": "classification", "mcc": "classification"} | {
    "spearman": "regression",
    "pearson": "regression",
}
"""Primary metrics and the kind of target that each one scores."""

ENDS, ANYWHERE = "ends", "anywhere"
GENRES, LABEL_WORDS = ("", "messages"), (ENDS, ANYWHERE)
"""Values of `Task.genre` and `Task.label_words`."""

PERSONA, STYLE, WORDING, PROBABILITY = "persona", "style", "wording", "probability"
RECORDED = (PERSONA, STYLE, WORDING, PROBABILITY)
"""What rows record of prompt.personas, .style, .variants and synthesis.verbalized, beside attributes; so no attribute is named so."""

ROW_COLUMNS = ("id", "label_probs", "weight")
"""Columns that a data set has beside its texts and labels; so no column of a task is named so."""


@dataclass
class Label:
    """One class, or one level of a regression task."""

    name: str = "???"
    """As in tables, predictions and (after `label_map`) gold files."""
    instruction: str = "???"
    """Asks the LLM for one text of this label; in pair tasks for the second sentence, given the first."""
    described: str = ""
    """prompt=kadg: asks with the task's knowledge in place of `instruction`; empty: `instruction` serves."""
    variants: list[str] = field(default_factory=list)
    """prompt.variants: other wordings of the instruction."""
    word: str = ""
    """The label in the task's language: a reply that begins by naming it is rejected, and an LLM that classifies answers with it."""
    synonyms: list[str] = field(default_factory=list)
    """Other words for the label: read in an LLM's answers as `word` is, and a text that begins by naming one is rejected; in no prompt."""
    meaning: str = ""
    """prompt=kadg: what the label says of a text, for an LLM that is asked to classify; empty: `described` is quoted."""
    score: Optional[float] = None
    """Regression only: the level's value."""


@dataclass
class Attribute:
    """prompt=kadg: one thing that is drawn for every request, e.g. a product's genre, so that texts cover the task."""

    name: str = "???"
    """As recorded with every row."""
    values: list[str] = field(default_factory=list)
    """Drawn evenly."""
    phrase: str = "???"
    """Follows the instruction (in pair tasks the first one); `{value}` stands for the value drawn."""
    labels: list[str] = field(default_factory=list)
    """Only for these labels; none: for all."""


@dataclass
class SplitFile:
    """One file of a publisher: where it is, what it must hash to, and which of its columns we read."""

    url: str = "???"
    """Where the publisher has the file."""
    path: str = "???"
    """Below the mirror folder and the cache: laid out as the publisher does."""
    sha256: str = "???"
    """The file's checksum; empty: any."""
    rows: int = 0
    """Rows after `where`; a file with another number is refused."""
    columns: dict[str, str] = field(default_factory=dict)
    """Our column (a text field or the label field) -> the file's; dots reach into nested objects."""
    where: dict[str, str] = field(default_factory=dict)
    """Keep only rows whose column has this value."""
    archive: str = ""
    """`livedoor`: the file is that corpus's archive, of which this split's articles are taken (japagen/gold/livedoor.py)."""


@dataclass
class Published:
    """The task's published gold data; empty for a task of the user's own."""

    name: str = ""
    """Name and version of the corpus."""
    license: str = ""
    """The corpus's licence."""
    homepage: str = ""
    """The publisher's page."""
    splits: dict[str, SplitFile] = field(default_factory=dict)
    """train, valid, test, … -> file."""
    train_sources: dict[str, SplitFile] = field(default_factory=dict)
    """Named stand-ins for the train split, taken only when `data.train_source` names one."""
    unavailable: str = ""
    """Where nobody can have the publisher's texts: why, what to do, and what may stand in."""
    scored: str = "valid"
    """The split that is scored where `data.split` names no other one (data=published)."""
    also_scored: list[str] = field(default_factory=list)
    """Splits that a student is scored on beside `scored`, each with columns of its own."""


_NOT_NAMED = {"is_named": False}
"""Metadata of fields that reports leave out, since the task's name stands for them (japagen.config.fields.Facts)."""


@dataclass
class Task:
    """A labelled-text task: what the LLM is told, how long a text may be, how a student is scored."""

    name: str = "???"
    """The task's name in tables, folders and of its YAML file."""
    title: str = ""
    """For people; a question without `question` opens with it."""
    kind: str = "single"
    """single: one text; pair: two texts, written in two turns."""
    target: str = "classification"
    """classification or regression."""
    metric: str = "accuracy"
    """Primary metric, one of METRICS."""
    max_chars: int = 100
    """Longest text accepted, in characters; the prompts name the same number."""
    min_chars: int = 2
    """Shortest text accepted."""
    several_lines: bool = False
    """Whether one text may have paragraphs; false: a reply of several full lines counts as several candidates."""
    genre: str = ""
    """What the texts are: '' (anything), or messages (of people to others, who excuse themselves, ask and can't do things: only what an
    assistant alone would say counts as a refusal or as chat around a text)."""
    label_words: str = ENDS
    """Where a text must not name a label: ends (before a colon, in brackets, or alone), or anywhere (its word or name at any point)."""
    gold_chars: Optional[int] = None
    """Gold texts (and files of the user's own) are cut to so many characters before anything reads them; none: as they are."""
    language: str = "ja"
    """ISO 639-1 code (ja, en, de, …): replies that are surely in another language are rejected; '' accepts any. It also decides the
    language of what stands around the task's prompts: Japanese for ja and '', else English."""
    fields: list[str] = field(default_factory=lambda: ["text"])
    """Text columns of gold and user files: one, or two for pairs."""
    label_field: str = "label"
    """Label column of gold and user files."""
    cluster_field: str = ""
    """Column of gold files whose rows belong together where it says the same, e.g. two orders of one pair, or sentences about one picture:
    intervals and tests draw such rows together. Empty, or a file without the column: each row by itself."""
    cluster_until: str = ""
    """What ends the cluster's name within that column: '-' takes 10125 of 10125-11130-11134. Empty: the whole value."""
    system: str = field(default="???", metadata=_NOT_NAMED)
    """System message: the task described."""
    question: str = ""
    """For an LLM that is asked to classify: the task and its labels explained; empty: the title, and each label's instruction quoted."""
    first_instruction: str = field(default="", metadata=_NOT_NAMED)
    """Pairs: asks for the first sentence; the same for every label, so that no label leaks through it."""
    labels: list[Label] = field(default_factory=list, metadata=_NOT_NAMED)
    """The classes, or levels."""
    attributes: list[Attribute] = field(default_factory=list, metadata=_NOT_NAMED)
    """prompt=kadg: what is drawn for every request."""
    label_map: dict[str, str] = field(default_factory=dict)
    """A gold file's value -> our label's name; values not listed must be label names."""
    published: Published = field(default_factory=Published, metadata=_NOT_NAMED)
    """The publisher's gold data."""

    @property
    def is_pair(self) -> bool:
        return self.kind == "pair"

    @property
    def is_regression(self) -> bool:
        return self.target == "regression"

    @property
    def label_names(self) -> list[str]:
        return [label.name for label in self.labels]

    @property
    def has_knowledge(self) -> bool:
        """Whether prompt=kadg would ask for anything else than prompt=base."""
        return bool(self.attributes) or any(label.described for label in self.labels)

    @property
    def num_turns(self) -> int:
        """Replies that make one example: 1, or 2 for pairs."""
        return 2 if self.is_pair else 1

    def label_scores(self) -> list[float]:
        """The levels' values, in the labels' order (regression only)."""
        return [float(label.score) for label in self.labels if label.score is not None]


@dataclass(frozen=True)
class Example:
    """One text, or one pair, with its label; the unit of gold data, synthetic data and predictions."""

    texts: tuple[str, ...]
    label: str
    """A label's name; for regression the nearest level's."""
    score: Optional[float] = None
    """Regression only: the value itself."""
    id: str = ""
    probs: Optional[tuple[float, ...]] = None
    """Soft label: each label's probability, in the task's order; none: `label` alone."""
    weight: float = 1.0
    """What the row counts in the training loss."""
    cluster: str = ""
    """Gold rows that belong together have the same (`Task.cluster_field`); empty: the row by itself."""


_NAME = re.compile(r"[^\W_][\w.-]*")


def check_task(task: Task) -> None:
    """Raises ConfigError for a task that can't be run: unknown kinds, no labels, levels that are no numbers."""
    where = f"task {task.name!r}: "
    if not _NAME.fullmatch(task.name):
        raise ConfigError(
            f"{where}name must be letters, digits, '_', '-' and '.', and begin with a letter or digit: it names folders and files"
        )
    check_choice(f"{where}kind", task.kind, ["single", "pair"])
    check_choice(f"{where}target", task.target, ["classification", "regression"])
    check_choice(f"{where}metric", task.metric, METRICS)
    if METRICS[task.metric] != task.target:
        fitting = [name for name, target in METRICS.items() if target == task.target]
        raise ConfigError(f"{where}metric={task.metric!r} does not score {task.target}; allowed: {', '.join(fitting)}")
    check_choice(f"{where}genre", task.genre, GENRES)
    check_choice(f"{where}label_words", task.label_words, LABEL_WORDS)
    check_at_least(f"{where}min_chars", task.min_chars, 1)
    if task.max_chars < task.min_chars:
        raise ConfigError(f"{where}max_chars={task.max_chars} is less than min_chars={task.min_chars}; raise the one or lower the other")
    if len(task.fields) != task.num_turns:
        raise ConfigError(f"{where}fields={task.fields} must name {task.num_turns} text column(s), since kind={task.kind}")
    columns = [*task.fields, task.label_field]
    if "" in columns or len(set(columns)) < len(columns) or not set(columns).isdisjoint(ROW_COLUMNS):
        own = ", ".join(ROW_COLUMNS)
        raise ConfigError(
            f"{where}fields={task.fields} and label_field={task.label_field!r} must be names that differ, and none of {own}: a data"
            " set has columns of its own that are called so; rename the column in your file"
        )
    if task.is_pair and not task.first_instruction.strip():
        raise ConfigError(f"{where}first_instruction is empty, and a pair task needs one")
    if task.cluster_until and not task.cluster_field:
        raise ConfigError(f"{where}cluster_until={task.cluster_until!r} ends the value of cluster_field, which is empty; name the column")
    if task.gold_chars is not None:
        check_at_least(f"{where}gold_chars", task.gold_chars, task.min_chars)
    for name in task.published.also_scored:
        check_choice(f"{where}published.also_scored", name, [split for split in task.published.splits if split != "train"])
    _check_labels(task, where)
    _check_knowledge(task, where)


def _check_labels(task: Task, where: str) -> None:
    names = task.label_names
    if len(names) < 2:
        raise ConfigError(f"{where}labels has {len(names)} entries; a task needs 2 or more")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ConfigError(f"{where}labels names {', '.join(repeated)} more than once")
    for label in task.labels:
        if not label.name or label.name != label.name.strip():
            raise ConfigError(f"{where}labels has the name {label.name!r}; a name must not be empty, nor begin or end with a space")
        texts = [text.strip() for text in (label.instruction, *label.variants)]
        if label.variants and ("" in texts or len(set(texts)) < len(texts)):
            at = f"{where}labels.{label.name}.variants"
            raise ConfigError(f"{at} must be texts that differ from each other and from the instruction; found {label.variants}")
        if task.is_regression and label.score is None:
            raise ConfigError(f"{where}labels.{label.name}.score is missing, and target=regression needs a number for each label")
        if not task.is_regression and label.score is not None:
            raise ConfigError(f"{where}labels.{label.name}.score={label.score} is set, but target=classification has no scores")
    _check_synonyms(task, where)
    unknown = sorted(set(task.label_map.values()) - set(names))
    if unknown:
        raise ConfigError(f"{where}label_map leads to {unknown[0]!r}, which is no label; labels: {', '.join(names)}")


def _check_synonyms(task: Task, where: str) -> None:
    owners: dict[str, str] = {}
    for label in task.labels:
        if label.synonyms and task.is_regression:
            raise ConfigError(f"{where}labels.{label.name}.synonyms is set, but target=regression is answered with numbers: leave it out")
        for word in {_folded(word) for word in (label.name, label.word) if word}:
            owners.setdefault(word, label.name)
    for label in task.labels:
        for synonym in label.synonyms:
            at = f"{where}labels.{label.name}.synonyms"
            if not synonym.strip():
                raise ConfigError(f"{at} has an empty entry; a synonym is a word for the label")
            owner = owners.setdefault(_folded(synonym), label.name)
            if owner != label.name:
                raise ConfigError(f"{at} has {synonym!r}, which names the label {owner!r} too; a synonym must name one label only")


def _folded(word: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", word).split()).casefold()


def _check_knowledge(task: Task, where: str) -> None:
    names = [attribute.name for attribute in task.attributes]
    for attribute in task.attributes:
        at = f"{where}attributes.{attribute.name}"
        if names.count(attribute.name) > 1 or attribute.name in RECORDED:
            raise ConfigError(f"{at} must have a name of its own; {', '.join(RECORDED)} are what rows record themselves")
        if len(set(attribute.values)) < 2 or len(set(attribute.values)) < len(attribute.values):
            raise ConfigError(f"{at}.values must be two or more different values; found {attribute.values}")
        if "{value}" not in attribute.phrase:
            raise ConfigError(f"{at}.phrase={attribute.phrase!r} must hold {{value}}, where the value drawn is written")
        for name in attribute.labels:
            check_choice(f"{at}.labels", name, task.label_names)
        if task.is_pair and attribute.labels:
            raise ConfigError(f"{at}.labels is set, but a pair's first sentence serves every label: leave it out")


def check_variants(task: Task) -> None:
    """Raises ConfigError where prompt.variants=true would change nothing."""
    if not any(label.variants for label in task.labels):
        raise ConfigError(
            f"prompt.variants=true needs other wordings, and task {task.name!r} has none: give its labels `variants`"
            " (a list of texts that ask for the same in other words)"
        )


def nearest_level(task: Task, score: float) -> Label:
    """The level closest to `score` (the lower one of two at the same distance)."""
    return min(task.labels, key=lambda label: (abs(float(label.score or 0.0) - score), label.score))


def example_from_json(row: dict[str, Any]) -> Example:
    """The example that `example_to_json` wrote."""
    probs = row.get("probs")
    return Example(
        tuple(row["texts"]), row["label"], row.get("score"), row.get("id", ""), tuple(probs) if probs else None, row.get("weight", 1.0)
    )


def example_to_json(example: Example) -> dict[str, Any]:
    """A plain dict: `texts`, `label`, `score`, `id`; `probs` and `weight` where they say something."""
    row: dict[str, Any] = {"texts": list(example.texts), "label": example.label, "score": example.score, "id": example.id}
    if example.probs is not None:
        row["probs"] = list(example.probs)
    if example.weight != 1.0:
        row["weight"] = example.weight
    return row
