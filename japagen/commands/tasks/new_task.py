"""`japagen new-task`: asks what is classified, writes DIR/task/NAME.yaml with prompts, checks it, and says what to type next.

Every question can be answered by an option, and --yes takes the proposals; so the same command serves a person and a
script. With --from the prompts are read from a file in the form of JapaGen's authors. Nothing is written before the task
has been composed as run.py would; an existing file is never touched.
"""

import argparse
import re
import shlex
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from japagen.commands.tasks import converters, questions
from japagen.commands.tasks.asker import BACK, Asker, flag_of
from japagen.commands.tasks.converters import one_line, one_of, whole_number
from japagen.commands.tasks.draft import Answers, draft_task
from japagen.commands.tasks.labels_file import COLUMNS, read_labels_file
from japagen.commands.tasks.paper_form import read_paper_form, renamed
from japagen.commands.tasks.questions import NO_LABELS
from japagen.commands.tasks.task_file import check_text, task_yaml, write_new
from japagen.commands.terminal import make_console, make_parser
from japagen.config.composition import hydra_value
from japagen.config.schema import Data
from japagen.errors import ConfigError, DataError
from japagen.store.files import expand_home
from japagen.tasks import Label, Task, check_task


@dataclass(frozen=True)
class _Drafted:
    """A task, not yet checked, and the file that it was described from."""

    task: Task
    origin: str
    file: Path | None
    has_labels: bool
    """Whether the file's rows are labelled."""


def main(arguments: list[str]) -> int:
    """Asks, checks, writes."""
    options = _parser().parse_args(arguments)
    console = make_console()
    with suppress(ImportError):  # line editing for input(); not on every build of Python
        import readline  # noqa: F401
    asker = Asker(options, console)
    if not options.yes:
        console.print(f"Enter takes the proposal in brackets; {BACK} goes back to the question before.", style="dim", markup=False)
    try:
        drafted = asker.run(lambda: _from_paper(asker, options) if options.from_file else _from_answers(asker, options))
        task, text = drafted.task, task_yaml(drafted.task, drafted.origin)
        check_task(task)
        check_text(task, text)
        _check_file(drafted)
        path = expand_home(options.out) / "task" / f"{task.name}.yaml"
        write_new(path, text)
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        return 130
    _print_next(options.out, drafted, path, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "new-task",
        __doc__,
        "--out my",
        "--file mails.csv --yes --name mail --about 窓口に届くメール --description 注文の話 --description 在庫の話",
        "--file mails.csv --yes --name mail --language en --about 'messages to a bank' --labels-file labels.csv",
    )
    add = parser.add_argument
    add("--out", default="my", metavar="DIR", help="folder for task/NAME.yaml, to be named by --config-dir (default: my)")
    add("--from", dest="from_file", type=Path, metavar="FILE", help="prompts in the form of JapaGen's authors (config/*.json)")
    add("--yes", action="store_true", help="take the proposal wherever there is one, without asking")
    add("--name", help="the task's name, for task=NAME")
    add("--title", help="what tables and cards call it")
    add(
        "--file",
        metavar="FILE",
        help="a few rows, labelled or not (CSV, TSV, JSON lines, Parquet): columns, labels, lengths, language are proposed from it",
    )
    add("--kind", help="single or pair")
    add("--target", help="classification or regression")
    add("--language", help="the texts' language: a code (ja, en, de), or its name in English, in Japanese or in itself; any")
    add("--about", help="what the texts are, in their language: 会社の問い合わせ窓口に届くメール")
    add("--max-chars", help="longest text, in characters")
    add("--several-lines", metavar="yes|no", help="whether one text may have several lines (letters, mails)")
    add(
        "--labels", metavar="A,B", help='label names, as in your file; VALUE=NAME where your file says VALUE; "in quotes" with a comma or ='
    )
    add("--labels-file", metavar="FILE", help=f"a table with a row for each label in place of --labels, --words, …: {', '.join(COLUMNS)}")
    add("--words", metavar="X,Y", help="the labels in the task's language, in the same order")
    add("--description", dest="descriptions", action="append", metavar="TEXT", help="what texts of a label are; once for each, in order")
    add("--scores", metavar="0,1", help="regression: the levels' values, in the same order")
    add("--fields", metavar="A[,B]", help="text column(s)")
    add("--label-field", metavar="COLUMN", help=f"label column; {NO_LABELS} where the rows have no labels")
    add("--attribute", dest="attributes", action="append", metavar="NAME=A,B", help="prompt=kadg: what is to vary, with its values")
    return parser


def _from_answers(asker: Asker, options: argparse.Namespace) -> _Drafted:
    name = asker.ask("name", "The task's name", questions.name_for(options.out), hint="letters, digits, - and _; you will type task=NAME")
    title = asker.ask("title", "Its title", one_line, name)
    file = questions.ask_file(asker)
    kind = asker.ask("kind", "One text, or a pair of texts?", one_of("single", "pair"), "single")
    target = asker.ask("target", "Classes, or a score?", one_of("classification", "regression"), "classification")
    columns = questions.ask_columns(asker, kind, file)
    code = questions.ask_language(asker, file.language(columns.texts) if file else "ja")
    examples = questions.examples_of(code)
    about = asker.ask("about", "What are the texts?", one_line, None, f"in their language, e.g. {examples.about}")
    limit = str(file.max_chars(columns.texts)) if file else examples.max_chars
    max_chars = asker.ask("max_chars", "Longest text, in characters", whole_number, limit)
    several_lines = questions.ask_several_lines(asker, file is not None and file.has_several_lines(columns.texts))
    table = read_labels_file(expand_home(options.labels_file)) if options.labels_file else None
    labels, label_map = questions.LabelQuestions(asker, target, code, table).ask(file if columns.has_labels else None, columns.label)
    ask = "For prompt=kadg: what is to vary in the texts?"
    attributes = asker.ask("attributes", ask, converters.attributes, "", f"NAME=VALUE,VALUE, e.g. {examples.attribute}; or nothing")
    task = draft_task(
        Answers(
            name, title, kind, target, code, about, max_chars, labels, tuple(columns.texts), columns.label, attributes,
            label_map if target == "classification" else {}, several_lines,
        )
    )  # fmt: skip
    return _Drafted(task, "Written by `japagen new-task`.", file.path if file else None, columns.has_labels)


def _from_paper(asker: Asker, options: argparse.Namespace) -> _Drafted:
    form = read_paper_form(options.from_file)
    given = (flag_of(name) for name in ("kind", "about", "descriptions", "attributes", "labels_file") if getattr(options, name) is not None)
    if (unused := next(given, None)) is not None:
        raise ConfigError(f"{unused} has no place beside --from: the file says it")
    if form.ignored:
        print(f"{options.from_file}: ignored: {', '.join(form.ignored)}")
    known = re.sub(r"[^A-Za-z0-9_-]+", "-", form.name).strip("-") or None
    name = asker.ask("name", "The task's name", questions.name_for(options.out), known)
    title = asker.ask("title", "Its title", one_line, form.name)
    file = questions.ask_file(asker)
    target = asker.ask("target", "Classes, or a score?", one_of("classification", "regression"), "classification")
    columns = questions.ask_columns(asker, "pair" if form.first_instruction else "single", file)
    code = questions.ask_language(asker, "ja")
    limit = form.max_chars or (file.max_chars(columns.texts) if file else None)
    max_chars = asker.ask("max_chars", "Longest text, in characters", whole_number, str(limit) if limit else None, "as its prompts say")
    several_lines = questions.ask_several_lines(asker, file is not None and file.has_several_lines(columns.texts))
    keys = [label.name for label in form.labels]
    names = asker.ask("labels", "The labels' names", converters.names_for(len(keys)), ",".join(keys), "in the file's order")
    words = asker.ask_each("words", names, questions.WORD, names, questions.WORD_HINT)
    scores = questions.ask_scores(asker, keys) if target == "regression" else [None] * len(keys)
    labels, attributes = renamed(form, names)
    task = Task(
        name=name, title=title, kind="pair" if form.first_instruction else "single", target=target,
        metric="spearman" if target == "regression" else "accuracy", max_chars=max_chars, several_lines=several_lines, language=code,
        fields=columns.texts, label_field=columns.label, system=form.system, first_instruction=form.first_instruction,
        labels=[_with_word(label, word, score) for label, word, score in zip(labels, words, scores, strict=True)],
        attributes=list(attributes),
        label_map={} if target == "regression" else {key: new for key, new in zip(keys, names, strict=True) if key != new},
    )  # fmt: skip
    origin = f"Prompts from {options.from_file.name}, by `japagen new-task --from`."
    return _Drafted(task, origin, file.path if file else None, columns.has_labels)


def _with_word(label: Label, word: str, score: float | None) -> Label:
    return replace(label, word=word, score=score)


def _check_file(drafted: _Drafted) -> None:
    """Reads the file as a run would."""
    from japagen.gold import read_eval, read_unlabelled

    if drafted.file is None:
        return
    try:
        if drafted.has_labels:
            read_eval(drafted.task, Data(source="files", eval_file=str(drafted.file)))
        else:
            read_unlabelled(drafted.task, str(drafted.file))
    except DataError as error:
        raise DataError(f"the file doesn't fit the task, so nothing was written: {error}") from error


def _print_next(out: str, drafted: _Drafted, path: Path, console: Console) -> None:
    task, file, examples = drafted.task, drafted.file, questions.examples_of(drafted.task.language)
    folder = shlex.quote(out)
    gold = shlex.quote(f"data.eval_file={hydra_value(str(file))}") if file and drafted.has_labels else "data.eval_file=FILE"
    models = f"llm={examples.llm} model={examples.model}"
    lines = [f"Written: {path}", "", "Look at its prompts and at what an LLM makes of them:"]
    lines += [f"  japagen preview --config-dir {folder} task={task.name} llm={examples.llm}"]
    if task.has_knowledge:
        lines += [f"  japagen preview --config-dir {folder} task={task.name} llm={examples.llm} prompt=kadg"]
    lines += ["Then make the data set and the model; scored where there are labelled rows (leave data=… out where there are none):"]
    lines += [f"  python run.py --config-dir {folder} task={task.name} {models} data=files {gold}"]
    if file and not drafted.has_labels:
        texts = shlex.quote(f"data.unlabelled_file={hydra_value(str(file))}")
        lines += ["Or have the LLM label your own texts and train on those:"]
        lines += [f"  python run.py --config-dir {folder} task={task.name} {models} method=annotate data=files {texts}"]
    if task.language == "ja":
        lines += ["Try the whole way without a GPU first with llm=demo in place of the LLM: the texts mean nothing, but every step is run."]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
