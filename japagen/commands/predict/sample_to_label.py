"""`japagen sample-to-label FILE|DATASET`: draws texts into a CSV to be labelled by hand.

From a file of texts, for an honest first score. The draw is uniform over the file's different texts, and rows stand in the order of the
draw: whoever labels the first 60 of 100 has a uniform sample too, since data=files leaves out rows without a label. Nothing that a model
thinks of the texts stands in the sheet: it would lead the hand that labels. `python run.py … data=files data.eval_file=SHEET` takes it
back.

From a data set of the store (its key, or the beginning of it), to measure its label noise. Rows are drawn by the data set's shares of
labels. The sheet shows each row's label in the data set, with --blind only its texts: people who see a label tend to agree with it.
`japagen label-noise DATASET SHEET` takes it back.

Texts are written as they are. One that begins with = + - @, or is a number or a date, a spreadsheet would take for something else and
may save so; an apostrophe before it would be part of the text. Such rows are named, with what to do.
"""

import argparse
import csv
import math
import random
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from japagen.commands.artifacts.artifacts import Artifact, find_dataset
from japagen.commands.terminal import add_store_option, make_console, make_parser
from japagen.config.composition import compose_config, hydra_value
from japagen.config.schema import Config
from japagen.errors import ConfigError, DataError, nearest
from japagen.gold.formats import SUFFIXES, FileRow, read_lines, read_rows
from japagen.gold.splits import ID_COLUMNS
from japagen.store.files import expand_home, explain_os_errors, write_whole
from japagen.tasks import Task

NUM = 100
NUM_OF_DATASET = 200
LINES = ".txt"
"""A file of this type holds a text a line."""
ENDING = "-to-label.csv"
Z = 1.96
SHARES = ("accuracy", "macro_f1")
"""Metrics that are shares of rows, or nearly so; the others are correlations."""
_TAKEN_OTHERWISE = re.compile(r"[=+\-@\t\r].*|[\d\s/:.,%-]+", re.DOTALL)
"""What a spreadsheet takes for a formula, a number or a date."""


@dataclass(frozen=True)
class Drawn:
    """A sample, and what was passed over."""

    rows: list[FileRow]
    """In the order of the draw."""
    num_texts: int
    """Different texts in the file."""
    num_empty: int
    num_repeated: int


def main(arguments: list[str]) -> int:
    """Writes one sheet and prints what to do with it."""
    parser = make_parser("sample-to-label", __doc__, "mails.csv n=100 --config-dir my task=mail   # writes mails-to-label.csv",
                         "877001d0 n=200 --blind   # writes 877001d0-to-label.csv")  # fmt: skip
    parser.add_argument(
        "file", type=Path, metavar="FILE|DATASET",
        help=f"your texts: {', '.join(SUFFIXES)}, or {LINES} with a text a line; or a data set of the store",
    )  # fmt: skip
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE",
        help=f"task=NAME (a data set knows its own); n={NUM}, of a data set {NUM_OF_DATASET} (texts to draw); seed=0 (of the draw);"
        " all that run.py takes",
    )  # fmt: skip
    parser.add_argument("--blind", action="store_true", help="leave out the data set's labels (those of a file are always left out)")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own: DIR/task/NAME.yaml")
    parser.add_argument("--out", type=Path, metavar="CSV", help=f"the sheet (default: FILE's name or the key with {ENDING} behind)")
    add_store_option(parser)
    parsed = parser.parse_intermixed_args(arguments)
    if _names_dataset(parsed.file):
        _sample_dataset(find_dataset(parsed.store, str(parsed.file)), parsed)
        return 0
    num, overrides = _take_number(parsed.overrides, NUM)
    if not any(override.lstrip("+").startswith("task=") for override in overrides):
        raise ConfigError("name the task that the texts are labelled for: task=NAME (one of your own: --config-dir DIR task=NAME)")
    out = _check_out(parsed.out or parsed.file.parent / (parsed.file.stem + ENDING))
    config, console = compose_config(overrides, parsed.config_dir), make_console()
    drawn, notes = draw(config.task, expand_home(parsed.file), num, config.seed)
    task, texts = config.task, [(_id(row), _texts(config.task, row)) for row in drawn.rows]
    write_sheet(["id", *task.fields, task.label_field], [[id_, *own, ""] for id_, own in texts], out)
    console.print(*notes, sep="\n", end="\n" if notes else "", soft_wrap=True, markup=False)
    _print_sheet(task, drawn, num, out, console)
    _print_way_back(config, out, overrides, parsed.config_dir, console)
    return 0


def _names_dataset(what: Path) -> bool:
    """Whether it is an artifact's folder, or digits of a key and no file."""
    return (what / "meta.json").is_file() or (re.fullmatch(r"[0-9a-fA-F]{4,32}", str(what)) is not None and not what.exists())


def _sample_dataset(dataset: Artifact, parsed: argparse.Namespace) -> None:
    from japagen.commands.artifacts.show import choose_task
    from japagen.quality.label_sheets import dataset_rows, draw_rows, row_code
    from japagen.quality.report import check_fits

    num, overrides = _take_number(parsed.overrides, NUM_OF_DATASET)
    out = _check_out(parsed.out or Path(dataset.key[:8] + ENDING))
    config, console = compose_config(overrides, parsed.config_dir), make_console()
    task, _ = choose_task(dataset, config, overrides)
    check_fits(dataset.store, dataset.key, task)
    rows = dataset_rows(dataset.store, dataset.key, task)
    drawn = draw_rows(rows, num, config.seed)
    if not drawn:
        raise DataError(f"{dataset.name} has no rows")
    given = [] if parsed.blind else [f"given_{task.label_field}"]
    cells = [[row_code(dataset.key, row), *([row.label] if given else []), *row.texts, ""] for row in drawn]
    write_sheet(["id", *given, *task.fields, task.label_field], cells, out)

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    labels = "without the data set's labels" if parsed.blind else f"the data set's labels in column {given[0]!r}"
    say(f"{out}: {len(drawn)} of {len(rows)} rows of {dataset.name}, {labels}")
    _print_risky([(row_code(dataset.key, row), row.texts) for row in drawn], say)
    _print_labels(task, say)
    say("Write unclear (不明) where no label fits, or more than one: such rows are counted apart. Rows left empty are counted, too.")
    say("Label from the top: any beginning of the sheet is a sample by the data set's shares.")
    given_task = [override for override in overrides if override.partition("=")[0] != "seed"]
    options = [
        *(["--config-dir", str(parsed.config_dir)] if parsed.config_dir else []),
        *(["--store", parsed.store] if parsed.store else []),
    ]
    say(f"Then: japagen label-noise {shlex.join([dataset.key[:8], str(out), *given_task, *options])}")


def _check_out(out: Path) -> Path:
    if out.suffix.lower() != ".csv":
        raise ConfigError(f"--out {out}: the sheet is a CSV file, and data=files tells a file's type by its name; let it end in .csv")
    if out.exists():
        raise ConfigError(f"{out} exists, and may hold labels that somebody wrote; name another file with --out, or move it away")
    return out


def _take_number(overrides: Sequence[str], default: int) -> tuple[int, list[str]]:
    """The value of the last `n=…`, and the overrides without it."""
    given = [override for override in overrides if override.startswith("n=")]
    if given and not re.fullmatch(r"n=[1-9]\d*", given[-1]):
        raise ConfigError(f"{given[-1]} is not allowed; n is the number of texts to draw: a whole number from 1")
    return int(given[-1][2:]) if given else default, [override for override in overrides if override not in given]


def draw(task: Task, path: Path, num: int, seed: int) -> tuple[Drawn, tuple[str, ...]]:
    """`num` of the file's rows, uniformly by seed, without empty texts and with each text (or pair) once; notes on how it was read.

    All rows where there are fewer. Raises DataError for a file that can't be read, or without texts.
    """
    rows, notes = _read(task, path)
    found: dict[tuple[str, ...], FileRow] = {}
    num_empty = 0
    for row in rows:
        texts = _texts(task, row)
        if all(text.strip() for text in texts):
            found.setdefault(texts, row)
        else:
            num_empty += 1
    if not found:
        raise DataError(f"{path}: no row has a text in {' and '.join(task.fields)}")
    chosen = random.Random(seed).sample(list(found.values()), min(num, len(found)))
    return Drawn(chosen, len(found), num_empty, len(rows) - num_empty - len(found)), notes


def _read(task: Task, path: Path) -> tuple[list[FileRow], tuple[str, ...]]:
    if path.suffix.lower() != LINES:
        if path.suffix.lower() not in SUFFIXES and not path.is_dir():
            hint = nearest(path.suffix.lower(), (*SUFFIXES, LINES))
            raise DataError(f"{path}: a file of type {path.suffix!r} can't be read{hint}; allowed: {', '.join((*SUFFIXES, LINES))}")
        return read_rows(path)
    if task.is_pair:
        raise DataError(f"{path}: task {task.name!r} needs columns {' and '.join(task.fields)}, and a file of lines has one text each")
    return read_lines(path, task.fields[0])


def _texts(task: Task, row: FileRow) -> tuple[str, ...]:
    texts = []
    for name in task.fields:
        value = row.value(name)
        if value is not None and not isinstance(value, str):
            raise DataError(f"{row.location}: column {name!r} must hold text; found {type(value).__name__} {value!r:.40}")
        texts.append((value or "").encode("utf-8", "replace").decode())  # JSON can hold half characters, which no file takes
    return tuple(texts)


def write_sheet(columns: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> None:
    """CSV for spreadsheets (UTF-8 with a BOM), a row a line under the names of the columns; written whole."""

    def write(temporary: Path) -> None:
        with temporary.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file).writerows([columns, *rows])

    with explain_os_errors(path, "choose another file (--out)"):
        write_whole(path, write)


def _id(row: FileRow) -> str:
    """The file's own id, else the line: what leads back to the row."""
    return next((str(row.values[name]) for name in ID_COLUMNS if row.values.get(name) not in (None, "")), str(row.line))


def half_width(metric: str, num: int) -> float:
    """Half of the widest 95% interval that `num` rows can give: of a share at 0.5, of a correlation at 0 (normal approximation)."""
    return Z * (0.5 if metric in SHARES else 1.0) / math.sqrt(num)


def _print_sheet(task: Task, drawn: Drawn, num: int, out: Path, console: Console) -> None:
    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    passed_over = [f"{drawn.num_empty} without a text" * bool(drawn.num_empty), f"{drawn.num_repeated} repeated" * bool(drawn.num_repeated)]
    left = f" (passed over: {', '.join(filter(None, passed_over))})" if any(passed_over) else ""
    say(f"{out}: {len(drawn.rows)} of {drawn.num_texts} different texts{left}")
    if len(drawn.rows) < num:
        say(f"n={num} were asked for; the file has no more")
    _print_risky([(_id(row), _texts(task, row)) for row in drawn.rows], say)
    if task.is_regression:
        say(f"Write a number from {min(task.label_scores()):g} to {max(task.label_scores()):g} into column {task.label_field!r}.")
    else:
        _print_labels(task, say)
    say("Leave a label empty, and the row is left out. Label from the top: any beginning of the sheet is a uniform sample.")
    by_num = ", ".join(f"±{half_width(task.metric, num):.2f} with {num}" for num in dict.fromkeys((len(drawn.rows), 4 * len(drawn.rows))))
    at = "0.5" if task.metric in SHARES else "0"
    say(f"To expect of the score: a 95% interval of {task.metric} up to {by_num} labels (at {at}, where it is widest; roughly).")


def _print_risky(texts: Sequence[tuple[str, tuple[str, ...]]], say: Callable[[str], None]) -> None:
    """Names the rows, by id, of which a spreadsheet would change a text."""
    risky = [id_ for id_, own in texts if any(_TAKEN_OTHERWISE.fullmatch(text) for text in own)]
    if risky:
        say(
            f"warning: a spreadsheet takes {len(risky)} of these texts for a formula, a number or a date and would save another text (id"
            f" {', '.join(risky[:8])}{', …' * (len(risky) > 8)}). Import the sheet with its columns as Text, or label it in a text editor."
        )


def _print_labels(task: Task, say: Callable[[str], None]) -> None:
    say(f"Write one of these into column {task.label_field!r}:")
    for label in task.labels:
        others = [value for value, name in task.label_map.items() if name == label.name]
        also = f", or {', '.join(others)}" if others else ""
        say(f"  {label.name}{also}{f': {label.word}' if label.word else ''}")


def _print_way_back(config: Config, out: Path, overrides: Sequence[str], config_dir: Path | None, console: Console) -> None:
    own = [override for override in overrides if override.partition("=")[0] not in ("data", "data.eval_file", "seed")]
    given = [*(["--config-dir", str(config_dir)] if config_dir else []), *own, "data=files", f"data.eval_file={hydra_value(str(out))}"]
    more = "" if any(override.startswith("llm=") for override in own) else " llm=… model=…"
    console.print(f"Then: python run.py {shlex.join(given)}{more}", soft_wrap=True, markup=False)
