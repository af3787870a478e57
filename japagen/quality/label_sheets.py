"""Rows of a data set to be labelled by people, and their sheets taken back: which rows, whose answers, how much label noise.

Rows are drawn without replacement by the data set's shares, at least MIN_ROWS of each label while there are enough to draw: where shares
and rates differ much between labels, equal numbers of each give intervals of the noise over all rows that cover too seldom
(`benchmarks/label_noise.py`). A row's id in the data set begins with its label, so a sheet has a code in its place, a hash of the data
set's key and the id: nothing else needs to be kept for a sheet to come back, and a sheet of another data set is refused.
"""

import hashlib
import random
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from japagen.curation.dataset import read_examples
from japagen.curation.label_noise import UNCLEAR, Agreement, LabelNoise, SheetNoise
from japagen.errors import ConfigError, DataError, nearest
from japagen.evaluation.label_noise import covered_share, disagreement, kappa, noise_by_label
from japagen.gold.formats import FileRow, read_rows
from japagen.prompts.replies import normalise
from japagen.store.store import Store
from japagen.tasks import Example, Task

MIN_ROWS = 2
"""Of a label, so that its rows have a variance."""
ID = "id"
_UNCLEAR_WORDS = (UNCLEAR, "不明")


@dataclass(frozen=True)
class Sheet:
    """A labelled sheet that fits its data set."""

    name: str
    answers: dict[str, str]
    """Row's id in the data set -> a label's name, UNCLEAR, or '' for a row without an answer; in the sheet's order."""
    notes: tuple[str, ...] = ()
    """How the file was read."""


def dataset_rows(store: Store, dataset: str, task: Task) -> list[Example]:
    """All rows of a stored data set. ConfigError for a task without classes: a noise rate counts wrong labels."""
    if task.is_regression:
        raise ConfigError(f"task {task.name!r} is a regression: its labels are numbers, and label noise is measured for classes only")
    folder = store.path("dataset", dataset)
    return [row for name in ("train", "valid") for row in read_examples(task, folder / f"{name}.parquet")]


def draw_rows(rows: Sequence[Example], num: int, seed: int) -> list[Example]:
    """`num` different rows by seed, in an order that tells nothing of their labels; all rows where there are fewer."""
    generator = random.Random(seed)
    by_label: dict[str, list[Example]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row)
    sizes = _sizes({label: len(found) for label, found in by_label.items()}, min(num, len(rows)))
    drawn = [row for label in sorted(by_label) for row in generator.sample(by_label[label], sizes[label])]
    generator.shuffle(drawn)
    return drawn


def _sizes(population: Mapping[str, int], num: int) -> dict[str, int]:
    """Label -> rows to draw, `num` in all: shares by largest remainder, upon MIN_ROWS of each where `num` allows that."""
    least = {label: min(MIN_ROWS, there) for label, there in population.items()}
    if sum(least.values()) > num:
        least = dict.fromkeys(population, 0)
    exact = {label: num * there / max(1, sum(population.values())) for label, there in population.items()}
    sizes = {label: min(there, max(least[label], int(exact[label]))) for label, there in population.items()}
    while (short := num - sum(sizes.values())) != 0:
        movable = [label for label in sizes if (sizes[label] < population[label] if short > 0 else sizes[label] > least[label])]
        chosen = max(movable, key=lambda label: (exact[label] - sizes[label]) * (1 if short > 0 else -1))
        sizes[chosen] += 1 if short > 0 else -1
    return sizes


def row_code(dataset: str, row: Example) -> str:
    """What a sheet calls the row: letters first, since a spreadsheet takes 12e34 for a number."""
    return "row" + hashlib.sha256(f"{dataset} {row.id}".encode()).hexdigest()[:16]


def accepted_answers(task: Task) -> dict[str, str]:
    """What a person may write, folded -> a label's name or UNCLEAR: names, values of `label_map`, label words; names come first."""
    pairs = [(word, UNCLEAR) for word in _UNCLEAR_WORDS]
    words = [label.word for label in task.labels]
    pairs += [(label.word, label.name) for label in task.labels if label.word and words.count(label.word) == 1]
    pairs += [*task.label_map.items(), *((name, name) for name in task.label_names)]
    return {_fold(word): name for word, name in pairs if _fold(word)}


def _fold(text: str) -> str:
    return normalise(text).casefold()


def read_sheet(task: Task, dataset: str, rows: Sequence[Example], path: Path) -> Sheet:
    """A sheet's answers about `rows`, the data set's.

    Raises DataError, naming file and line, for a row that isn't the data set's or stands twice, another text than the data set's, and a
    label that isn't the task's; also for a sheet in which no row has a label.
    """
    found, notes = read_rows(path)
    by_code = {row_code(dataset, row): row for row in rows}
    accepted = accepted_answers(task)
    answers: dict[str, str] = {}
    lines: dict[str, int] = {}
    for line in found:
        row = _row_of(line, by_code, dataset)
        if row.id in lines:
            raise DataError(f"{line.location}: this row stands in line {lines[row.id]} already; remove one of the two")
        _check_texts(task, line, row)
        lines[row.id], answers[row.id] = line.line, _answer(task, line, accepted)
    if not any(answer not in ("", UNCLEAR) for answer in answers.values()):
        raise DataError(f"{path}: no row has a label in column {task.label_field!r} yet")
    return Sheet(path.name, answers, notes)


def _row_of(line: FileRow, by_code: Mapping[str, Example], dataset: str) -> Example:
    code = str(line.value(ID) or "").strip()
    if code not in by_code:
        raise DataError(
            f"{line.location}: {code!r} (column {ID!r}) is no row of data set {dataset}: the sheet was drawn from another one, or the"
            " column was changed"
        )
    return by_code[code]


def _check_texts(task: Task, line: FileRow, row: Example) -> None:
    for field, text in zip(task.fields, row.texts, strict=True):
        found = line.value(field)
        if _letters(str(found or "")) != _letters(text):
            raise DataError(
                f"{line.location}: column {field!r} holds {str(found or '')!r:.40}, and the data set has {text!r:.40} under this id; a"
                " column was sorted by itself, or a text was changed"
            )


def _letters(text: str) -> str:
    """Letters and digits that CP932 has: what every spreadsheet keeps when it saves a text."""
    letters = (character for character in unicodedata.normalize("NFKC", text) if character.isalnum())
    return "".join(letters).encode("cp932", "ignore").decode("cp932")


def _answer(task: Task, line: FileRow, accepted: Mapping[str, str]) -> str:
    value = line.value(task.label_field)
    found = "" if value is None else str(value).strip()
    for word in (found, found.removesuffix(".0")):  # pandas writes 1 as 1.0 where other cells are empty
        if not word or _fold(word) in accepted:
            return accepted[_fold(word)] if word else ""
    words = [*task.label_names, *task.label_map, *(label.word for label in task.labels if label.word), *_UNCLEAR_WORDS]
    raise DataError(
        f"{line.location}: label {found!r} (column {task.label_field!r}) is not known{nearest(found, words)}; allowed:"
        f" {', '.join(dict.fromkeys(words))}, or nothing"
    )


def measure_noise(task: Task, dataset: str, rows: Sequence[Example], sheets: Sequence[Sheet]) -> LabelNoise:
    """How the sheets (one, or two of different people) compare with the labels of `rows`, the data set's, and with each other."""
    given, counts = {row.id: row.label for row in rows}, Counter(row.label for row in rows)
    population = {label: counts[label] for label in task.label_names if counts[label]}
    ids = [row.id for row in rows if any(row.id in sheet.answers for sheet in sheets)]
    sheets = [replace(sheet, answers={id_: sheet.answers[id_] for id_ in ids if id_ in sheet.answers}) for sheet in sheets]
    return LabelNoise(
        dataset,
        datetime.now(UTC).isoformat(timespec="seconds"),
        [_sheet_noise(sheet, given, population) for sheet in sheets],
        _agreement(sheets[0], sheets[1], given, population) if len(sheets) == 2 else None,
        {id_: [sheet.answers.get(id_) for sheet in sheets] for id_ in ids},
    )


def measure_again(task: Task, rows: Sequence[Example], kept: LabelNoise) -> LabelNoise:
    """The figures of `kept`, from its answers and `rows`, the data set's; KeyError for a row that the data set lacks."""
    answers = [{id_: found[number] for id_, found in kept.answers.items()} for number in range(len(kept.sheets))]
    sheets = [
        Sheet(sheet.sheet, {id_: answer for id_, answer in found.items() if answer is not None})
        for sheet, found in zip(kept.sheets, answers, strict=True)
    ]
    return replace(measure_noise(task, kept.dataset, rows, sheets), created=kept.created)


def _sheet_noise(sheet: Sheet, given: Mapping[str, str], population: Mapping[str, int]) -> SheetNoise:
    counts = Counter(sheet.answers.values())
    labelled = {id_: answer for id_, answer in sheet.answers.items() if answer not in ("", UNCLEAR)}
    by_dataset, by_person = [given[id_] for id_ in labelled], list(labelled.values())
    pairs = [(given[id_], answer) for id_, answer in sheet.answers.items() if answer]
    return SheetNoise(
        sheet=sheet.name,
        num_labelled=len(labelled),
        num_unclear=counts[UNCLEAR],
        num_unlabelled=counts[""],
        noise=disagreement(by_dataset, by_dataset, by_person, population),
        covered=covered_share(by_dataset, population),
        by_label=noise_by_label(by_dataset, by_person, population),
        confusion=_confusion(pairs, list(population)),
        kappa=kappa(by_dataset, by_dataset, by_person, population),
    )


def _agreement(first: Sheet, second: Sheet, given: Mapping[str, str], population: Mapping[str, int]) -> Agreement | None:
    """On the rows that both label; None where there are none."""
    ids = [id_ for id_, answer in first.answers.items() if {answer, second.answers.get(id_, "")}.isdisjoint(("", UNCLEAR))]
    of_dataset, by_first, by_second = ([labels[id_] for id_ in ids] for labels in (given, first.answers, second.answers))
    differing = disagreement(of_dataset, by_first, by_second, population)
    if differing is None:
        return None
    confusion = _confusion(list(zip(by_first, by_second, strict=True)), sorted(set(by_first)))
    return Agreement(differing, kappa(of_dataset, by_first, by_second, population), confusion)


def _confusion(pairs: Sequence[tuple[str, str]], order: Sequence[str]) -> dict[str, dict[str, int]]:
    """First label of a pair, in this order -> second label, the most frequent first -> pairs."""
    found: dict[str, dict[str, int]] = {}
    for (first, second), num in sorted(Counter(pairs).items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1])):
        found.setdefault(first, {})[second] = num
    return found
