"""The questions of `japagen new-task`, each with what it proposes: from the user's file where there is one, else by the texts' language."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from japagen.commands.tasks import converters
from japagen.commands.tasks.asker import Asker, Found
from japagen.commands.tasks.converters import LabelNames, split_list
from japagen.commands.tasks.draft import LabelAnswer
from japagen.commands.tasks.labelled_file import LabelledFile, read_labelled
from japagen.commands.tasks.labels_file import LabelTable
from japagen.config.composition import CONF
from japagen.errors import ConfigError
from japagen.store.files import expand_home

NO_LABELS = "-"
"""Typed at the label column where the rows have no labels."""
WORD = "its word in the texts' language"
WORD_HINT = "a reply that begins by naming it is rejected"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MOST_SHOWN = 12
"""Labels of a file that a proposal lists."""


@dataclass(frozen=True)
class Examples:
    """What is proposed for texts in one language."""

    about: str
    description: str
    attribute: str
    max_chars: str
    """Where no file says how long texts are."""
    llm: str
    model: str


_JAPANESE = Examples(
    "会社の問い合わせ窓口に届くメール", "商品の注文についての問い合わせ", "商品=家具,家電", "100", "qwen3-swallow-8b", "modernbert-ja-130m"
)
_OTHERS = Examples(
    "messages to the help desk of a shop", "questions about an order", "product=furniture,kitchenware", "300", "qwen3-8b", "mmbert-small"
)


def examples_of(code: str) -> Examples:
    """Japanese ones for ja, English ones with multilingual models for all others."""
    return _JAPANESE if code == "ja" else _OTHERS


@dataclass(frozen=True)
class Columns:
    """Where a file has texts and labels."""

    texts: list[str]
    label: str
    has_labels: bool
    """False where a file's rows have none; `label` is then what a file with labels will call it."""


def name_for(out: str) -> Callable[[str], str]:
    """Takes a name that no task has yet."""

    def check(answer: str) -> str:
        if not _NAME.fullmatch(answer):
            raise ConfigError(f"{answer!r} can't be a task's name: letters (A to z), digits, - and _ only")
        if (CONF / "task" / f"{answer}.yaml").exists():
            raise ConfigError(f"{answer!r} is a task that japagen ships, which would be taken in its place; choose another name")
        path = expand_home(out) / "task" / f"{answer}.yaml"
        if path.exists():
            raise ConfigError(f"{path} exists already and is left as it is; choose another name or --out")
        return answer

    return check


def ask_file(asker: Asker) -> LabelledFile | None:
    """The user's file; None where there is none."""

    def read(answer: str) -> LabelledFile | None:
        return read_labelled(expand_home(answer)) if answer else None

    file: LabelledFile | None = asker.ask("file", "A file with a few rows, labelled or not", read, "", "its path, or nothing")
    return file


def ask_columns(asker: Asker, kind: str, file: LabelledFile | None) -> Columns:
    """The text columns and the label column."""
    num, names = 2 if kind == "pair" else 1, file.columns if file else []
    found = file.label_column() if file else "label"
    proposed = file.text_columns(num, found or "") if file else ["text"] if num == 1 else ["sentence1", "sentence2"]
    file_name = file.path.name if file else ""

    def check(answer: str) -> list[str]:
        columns = split_list(answer)
        if len(columns) != num or len(set(columns)) != num:
            raise ConfigError(f"{answer!r} names {len(set(columns))} column(s); a {kind} task has {num}")
        return [converters.column(column, names, file_name) for column in columns]

    def check_label(answer: str) -> str:
        if file is not None and answer == NO_LABELS:
            return ""
        column = converters.column(answer, names, file_name)
        if column in texts:
            raise ConfigError(f"{column!r} is a text column; the labels stand in another; type {NO_LABELS} where there are none")
        return column

    hint = f"columns: {', '.join(names)}" if file else "as in the file you have or will have"
    texts = asker.ask("fields", f"Text column{'s' if num > 1 else ''} of your file", check, ",".join(proposed), hint)
    if file:
        hint += f"; {NO_LABELS} where the rows have no labels"
    label = asker.ask("label_field", "Label column of your file", check_label, found or NO_LABELS, hint)
    return Columns(texts, label or "label", file is not None and bool(label))


def ask_language(asker: Asker, proposal: str) -> str:
    """The code of the texts' language; '' for any."""
    code: str = asker.ask("language", "Language of the texts", converters.language, proposal or "any", "ja, en, de, … or its name; or any")
    return code


def ask_several_lines(asker: Asker, is_proposed: bool) -> bool:
    """Whether one text may have several lines."""
    hint = "yes for mails and letters; no: a reply of several full lines counts as several texts"
    ask, proposal = "May one text have several lines?", "yes" if is_proposed else "no"
    answer: bool = asker.ask("several_lines", ask, converters.yes_or_no, proposal, hint)
    return answer


def ask_scores(asker: Asker, names: Sequence[str]) -> list[float | None]:
    """Regression: each level's value."""
    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names)
    convert, proposal = converters.scores_for(list(names)), ",".join(names) if numeric else None
    answer: list[float | None] = asker.ask("scores", "The labels' scores", convert, proposal, "in their order")
    return answer


class LabelQuestions:
    """Asks for the labels: names, words, descriptions, scores; those of a table (--labels-file) are not asked for."""

    def __init__(self, asker: Asker, target: str, code: str, table: LabelTable | None) -> None:
        self._asker, self._target, self._code, self._table = asker, target, code, table

    def ask(self, file: LabelledFile | None, label_field: str) -> tuple[tuple[LabelAnswer, ...], dict[str, str]]:
        """The labels, and what the gold file calls them where that differs. `file`: where its rows have labels."""
        table = self._table
        names, label_map = (table.names, table.label_map) if table else self._ask_names(file, label_field)
        values = {name: value for value, name in label_map.items() if not value.isnumeric()}
        known = [self._as_word(values.get(name, name)) for name in names]
        words = self._ask_missing("words", names, WORD, table.words if table else None, known, WORD_HINT)
        scores: Sequence[float | None] = [None] * len(names)
        if self._target == "regression":
            scores = table.scores if table and table.scores else ask_scores(self._asker, names)
        hint = f"one line in the texts' language, no full stop, e.g. {examples_of(self._code).description}"
        described = table.descriptions if table else None
        texts = self._ask_missing("descriptions", names, "what are its texts?", described, [None] * len(names), hint)
        labels = (LabelAnswer(*answer) for answer in zip(names, words, (text.rstrip("。.") for text in texts), scores, strict=True))
        return tuple(labels), label_map

    def _ask_names(self, file: LabelledFile | None, label_field: str) -> LabelNames:
        found = file.labels(label_field) if file and self._target == "classification" else []
        listed = ", ".join(found[:_MOST_SHOWN]) + (f", … ({len(found)} labels)" if len(found) > _MOST_SHOWN else "")
        proposal = Found(listed, (found, {})) if len(found) >= 2 else None
        hint = 'separated by commas; VALUE=NAME where your file says VALUE; "in quotes" with a comma or ='
        hint += f"; in the file: {listed}" if found else ""
        if len(found) > _MOST_SHOWN:
            hint += "; for so many, --labels-file FILE spares typing their words and descriptions"

        def check(answer: str) -> LabelNames:
            names, label_map = converters.labels(answer)
            missing = [repr(label) for label in found if label not in names and label not in label_map]
            if missing and file is not None:
                raise ConfigError(
                    f"column {label_field!r} of {file.path.name} holds other labels too: {', '.join(missing[:3])}; name all of them,"
                    f" VALUE=NAME where the name shall differ, or type {NO_LABELS} at the label column if these are no labels"
                )
            return names, label_map

        names: LabelNames = self._asker.ask("labels", "The labels", check, proposal, hint)
        return names

    def _ask_missing(
        self, option: str, names: list[str], question: str, given: list[str | None] | None, proposals: Sequence[str | None], hint: str
    ) -> list[str]:
        """One text for each label: the table's, or where that has none the one asked for."""
        found = given or [None] * len(names)
        missing = [position for position, text in enumerate(found) if text is None]
        open_names, open_proposals = [names[position] for position in missing], [proposals[position] for position in missing]
        asked = iter(self._asker.ask_each(option, open_names, question, open_proposals, hint)) if missing else iter(())
        return [next(asked) if text is None else text for text in found]

    def _as_word(self, name: str) -> str:
        """The name as a word: 'card_arrival' is 'card arrival' in all languages but Japanese."""
        return name if self._code == "ja" else re.sub(r"(?<=\w)_+(?=\w)", " ", name)
