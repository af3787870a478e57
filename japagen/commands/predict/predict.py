"""`japagen predict`: a student labels the texts of a file, or of a pipe, while they are read.

Each row comes out as it came in, with columns of ours behind its own: label, confidence (the label's probability) and p(LABEL) of each
label; in JSON lines `probabilities`; for a regression score. Where the file has a column of such a name, ours ends in _predicted. Rows keep
their order. A row whose text is empty gets no label.

FILE is CSV, TSV, JSON lines, a JSON array, Parquet or plain lines (.txt), in UTF-8 or CP932; `-` is standard input, which is plain lines
unless --format says otherwise. What comes out is UTF-8: on standard output in the file's own format (CSV for plain lines and Parquet), in
--out FILE as its suffix says. --out FILE is called FILE.partial until all rows are in it. Cells are written as they came, those too that a
spreadsheet would take for a formula.
"""

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.commands.predict.input_rows import (
    FORMATS,
    Source,
    TextRow,
    choose_fields,
    chunks,
    chunks_as_they_come,
    find_source,
    text_rows,
)
from japagen.commands.predict.output_file import PREDICTED, PredictionFile, check_out
from japagen.commands.predict.student_folder import StudentFolder, find_student
from japagen.commands.terminal import add_store_option, make_parser
from japagen.errors import ConfigError, DataError, TrainingError
from japagen.gold.formats import FileRow

if TYPE_CHECKING:
    from japagen.training.prediction import Student

CHUNK = 1024
"""Rows that are sorted by length together; so many are held, however long the file is."""
DIGITS = 4
"""Digits of probabilities and scores: later digits vary with the other rows of a batch."""
EXAMPLES = (
    "674d1aa7 mails.csv --out labelled.csv --min-confidence 0.8",
    "exported/mail pairs.jsonl --fields premise,hypothesis > labelled.jsonl",
    "exported/posts - < posts.txt",
)


def main(arguments: list[str]) -> int:
    """Writes the labelled rows; 0, or 130 where it was stopped."""
    parsed = _parser().parse_args(arguments)
    found = find_student(parsed.model, parsed.store)
    _check_confidence(parsed.min_confidence, found)
    if found.verdict is not None and found.verdict.is_amiss:
        print(f"warning: this student is doubtful: {found.verdict.words}", file=sys.stderr)
    source = find_source(parsed.file, parsed.format)
    out_format = check_out(parsed.out, source.path) if parsed.out else _same_format(source)
    rows = source.rows()
    first = next(rows, None)
    texts: Iterator[TextRow] = iter(())
    if first is not None:  # column faults are reported before the student is loaded
        fields = choose_fields(first, parsed.fields, found.fields, source.format == "lines")
        texts = text_rows(chain([first], rows), fields, found.gold_chars)
    from japagen.training.prediction import load_student

    student = load_student(found.folder, parsed.device)
    file = PredictionFile(parsed.out, out_format, source.has_bom)
    labelling = Labelling(student, out_format == "jsonl", parsed.min_confidence)
    try:
        _label(labelling, (chunks_as_they_come if source.is_pipe else chunks)(texts, CHUNK), file)
    except KeyboardInterrupt:
        print(f"stopped; {file.whereabouts}", file=sys.stderr)
        return 128 + signal.SIGINT
    except (DataError, TrainingError) as error:
        raise type(error)(f"{error}; {file.whereabouts}") from error
    file.finish()
    _say_end(labelling, file, source, parsed.min_confidence)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("predict", __doc__, *EXAMPLES)
    parser.add_argument("model", metavar="MODEL", help="a student's or a result's key or its beginning, or a folder with a classifier")
    parser.add_argument("file", metavar="FILE|-", help="the texts")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write there (.csv, .tsv, .jsonl) and not to standard output")
    parser.add_argument("--format", choices=FORMATS, help="what FILE is, where its suffix doesn't say")
    parser.add_argument(
        "--fields",
        type=lambda names: tuple(name.strip() for name in names.split(",")),
        metavar="A[,B]",
        help="columns with the texts: one, or two for pairs (default: the task's, else text, else sentence1,sentence2, else the only one)",
    )
    parser.add_argument("--min-confidence", type=float, metavar="P", help="leave the label empty where it is less probable (0 to 1)")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    add_store_option(parser)
    return parser


def _check_confidence(least: float | None, found: StudentFolder) -> None:
    if least is None:
        return
    if not 0 <= least <= 1:
        raise ConfigError(f"--min-confidence {least} is no probability; allowed: 0 to 1")
    if found.is_regression:
        raise ConfigError(f"--min-confidence is for labels, and {found.folder} gives numbers (regression); leave it out")


def _same_format(source: Source) -> str:
    return {"csv": "csv", "tsv": "tsv", "jsonl": "jsonl", "json": "jsonl"}.get(source.format, "csv")


class Labelling:
    """A student's outputs as added columns, and their counts."""

    def __init__(self, student: "Student", nested: bool, min_confidence: float | None) -> None:
        self.student, self._nested, self._min_confidence = student, nested, min_confidence
        self.num_empty = 0
        """Rows without a text."""
        self.num_unsure = 0
        """Rows below `min_confidence`."""

    def columns(self, rows: Sequence[TextRow]) -> list[tuple[FileRow, dict[str, Any]]]:
        """The rows in their order, each with our columns: nested for JSON, else flat."""
        outputs = iter(self.student.predict([row.texts for row in rows if row.texts]).tolist())
        return [(row.row, self._columns(next(outputs) if row.texts else None)) for row in rows]

    def _columns(self, output: list[float] | None) -> dict[str, Any]:
        self.num_empty += output is None
        rounded = None if output is None else [round(value, DIGITS) for value in output]
        if self.student.is_regression:
            return {"score": rounded[0] if rounded else None}
        label, confidence = "", None
        if output:
            label, confidence = self.student.labels[output.index(max(output))], round(max(output), DIGITS)
            if self._min_confidence is not None and confidence < self._min_confidence:
                label, self.num_unsure = "", self.num_unsure + 1
        values: Sequence[float | None] = rounded or [None] * len(self.student.labels)
        probabilities = dict(zip(self.student.labels, values, strict=True))
        if self._nested:
            return {"label": label, "confidence": confidence, "probabilities": probabilities if rounded else None}
        return {"label": label, "confidence": confidence, **{f"p({name})": value for name, value in probabilities.items()}}


def _label(labelling: Labelling, parts: Iterator[list[TextRow]], file: PredictionFile) -> None:
    """Labels and writes part after part; says how far it is where there is a terminal that nothing else is written on."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal or sys.stdout.isatty():
        for part in parts:
            file.write(labelling.columns(part))
        return
    started = time.monotonic()
    with console.status(f"labelling on {labelling.student.device}") as status:
        for part in parts:
            file.write(labelling.columns(part))
            rate = file.num_rows / (time.monotonic() - started)
            status.update(f"labelling on {labelling.student.device}: {file.num_rows:,} rows, {rate:,.0f} a second")


def _say_end(labelling: Labelling, file: PredictionFile, source: Source, least: float | None) -> None:
    """On standard error: what was done, and whatever a user wouldn't guess."""
    student = labelling.student
    parts = [f"{file.num_rows} row(s) predicted on {student.device}"]
    parts += [f"{labelling.num_empty} without a text have no label"] if labelling.num_empty else []
    parts += [f"{labelling.num_unsure} below --min-confidence {least} have no label"] if least is not None else []
    parts += [f"{student.num_truncated} were longer than {student.max_length} tokens and have been cut"] if student.num_truncated else []
    parts += [f"read as {source.encoding.upper()}"] if source.encoding != "utf-8" else []
    if file.renamed:
        names = ", ".join(file.renamed)
        parts.append(f"the file has {names} of its own, so ours end in {PREDICTED}")
    print("; ".join(parts), file=sys.stderr)
