"""Rows that a server refused for good: the summary at the end of a run, read from the store, so that every run prints the same.

In: a stage's folder of rows. Out: the failed rows with the server's words, and lines for people. A failed row stops nothing: a stream
gets other rows instead, and a question counts as unanswered.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from japagen.experiments.experiment import Experiment
from japagen.store.rowsfile import StreamRow, StreamRows, has_failed_rows
from japagen.store.store import Store
from japagen.synthesis.answers import Answer

MOST_NAMED = 5
"""Rows named of those that failed alike."""
MOST_CAUSES = 3
"""Kinds of failure listed for one stage."""
MOST_CHARS = 200
"""Characters of the server's words in a summary."""

NO_WORDS = "the server ended it with finish_reason=error and gave no reason"


@dataclass(frozen=True)
class FailedRow:
    """One row, or answer."""

    name: str
    """'entailment/17'; a pair's first sentence: 'first sentence 17'; a question about a text: 'text 17'."""
    words: str
    """The server's, on one line."""


@dataclass(frozen=True)
class FailedRows:
    """Failed rows of one stream or set of answers, sorted by name."""

    stage: str
    key: str
    rows: tuple[FailedRow, ...]
    num_rows: int
    """All rows of the folder, failed or not."""


def read_failed(store: Store, stage: str, key: str) -> FailedRows:
    """Where none failed the files are searched only, a million rows in half a second; num_rows is 0 then."""
    folder = store.path(stage, key)
    if not has_failed_rows(folder):
        return FailedRows(stage, key, (), 0)
    rows = StreamRows(folder, StreamRow if stage == "stream" else Answer)
    failed = (FailedRow(_row_name(row), _one_line(row.error) or NO_WORDS) for row in rows if row.finish_reason == "error")
    return FailedRows(stage, key, tuple(sorted(failed, key=lambda row: _numbers_filled(row.name))), len(rows))


def all_failed(experiments: Sequence[Experiment], store: Store) -> list[tuple[FailedRows, Experiment]]:
    """What failed of all that an LLM made for the experiments, each stage once, with the first experiment that it is for."""
    stages: dict[tuple[str, str], Experiment] = {}
    for experiment in experiments:
        for stage in experiment.llm_stages:
            stages.setdefault((stage, experiment.keys[stage]), experiment)
    found = [(read_failed(store, stage, key), experiment) for (stage, key), experiment in stages.items()]
    return [(failed, experiment) for failed, experiment in found if failed.rows]


def failed_lines(found: Sequence[tuple[FailedRows, Experiment]], store: Store) -> list[str]:
    """The number of failed rows, the first names with the server's words, and the command that lists all."""
    total = sum(len(failed.rows) for failed, _ in found)
    lines = [f"{total} row(s) failed for good, and the rest went on without them:"]
    for failed, experiment in found:
        config, is_stream = experiment.config, failed.stage == "stream"
        what = f"{experiment.task.name} {config.shots}-shot {config.prompt.name}, {failed.stage} by {experiment.llm_of(failed.stage).name}"
        then = "others are written in their place" if is_stream else "they count as unanswered"
        lines.append(f"  {what}: {len(failed.rows)} of {failed.num_rows} rows; {then}")
        lines += [f"    {line}" for line in _causes(failed.rows)]
        lines.append(f"    all of them: japagen show {store.path(failed.stage, failed.key)}")
    return lines


def _causes(rows: Iterable[FailedRow]) -> list[str]:
    """A line for each kind of message, compared without its numbers: the first rows' names, and the first row's words."""
    alike: dict[str, list[FailedRow]] = {}
    for row in rows:
        alike.setdefault(re.sub(r"\d+", "#", row.words), []).append(row)
    lines = []
    for same in list(alike.values())[:MOST_CAUSES]:
        names = ", ".join(row.name for row in same[:MOST_NAMED]) + ", …" * (len(same) > MOST_NAMED)
        words = same[0].words
        lines.append(f"{names}: {words[:MOST_CHARS]}{'…' * (len(words) > MOST_CHARS)}")
    return lines + ["…"] * (len(alike) > MOST_CAUSES)


def _row_name(row: StreamRow | Answer) -> str:
    if isinstance(row, Answer):
        return f"text {row.id}" if row.id.isdigit() else row.id
    return f"{row.label}/{row.index}" if row.label else f"first sentence {row.index}"


def _one_line(words: str) -> str:
    """Nothing that a terminal obeys is left: the words are a server's."""
    return " ".join("".join(character if character.isprintable() else " " for character in words).split())


def _numbers_filled(name: str) -> str:
    """The name with zero-padded numbers, so that it sorts by them."""
    return re.sub(r"\d+", lambda number: number[0].zfill(12), name)
