"""`japagen new-task`: asks what is classified, writes DIR/task/NAME.yaml with prompts, checks it, and says what to type next.

Every question can be answered by an option, and --yes takes the proposals; so the same command serves a person and a
script. With --from the prompts are read from a file in the form of JapaGen's authors. Nothing is written before the task
has been composed as run.py would; an existing file is never touched.
"""

import argparse
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from japagen.commands.tasks.draft import Answers, LabelAnswer, draft_task
from japagen.commands.tasks.labelled_file import LabelledFile, read_labelled
from japagen.commands.tasks.paper_form import read_paper_form, renamed
from japagen.commands.tasks.task_file import check_text, task_yaml, write_new
from japagen.commands.terminal import make_console, make_parser
from japagen.config.composition import CONF, hydra_value
from japagen.config.schema import Data
from japagen.errors import ConfigError, DataError, JapagenError, check_choice, nearest
from japagen.store.files import expand_home
from japagen.tasks import Label, Task, check_task

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def main(arguments: list[str]) -> int:
    """Asks, checks, writes."""
    options = _parser().parse_args(arguments)
    console = make_console()
    with suppress(ImportError):  # line editing for input(); not on every build of Python
        import readline  # noqa: F401
    asker = Asker(options, console)
    try:
        task, file, origin = _from_paper(asker, options) if options.from_file else _from_answers(asker, options)
        text = task_yaml(task, origin)
        check_task(task)
        check_text(task, text)
        if file is not None:
            _check_file(task, file)
        path = expand_home(options.out) / "task" / f"{task.name}.yaml"
        write_new(path, text)
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        return 130
    _print_next(options.out, task, file, path, console)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = make_parser(
        "new-task",
        __doc__,
        "--out my",
        "--file mails.csv --yes --name mail --about 窓口に届くメール --description 注文の話 --description 在庫の話",
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
        help="a few labelled rows (CSV, TSV, JSON lines, Parquet): columns, labels and lengths are proposed from it",
    )
    add("--kind", help="single or pair")
    add("--target", help="classification or regression")
    add("--language", help="ja, or another language's English name")
    add("--about", help="what the texts are, in their language: 会社の問い合わせ窓口に届くメール")
    add("--max-chars", help="longest text, in characters")
    add("--labels", metavar="A,B", help="label names, as in your file; VALUE=NAME where your file says VALUE")
    add("--words", metavar="X,Y", help="the labels in the task's language, in the same order")
    add("--description", dest="descriptions", action="append", metavar="TEXT", help="what texts of a label are; once for each, in order")
    add("--scores", metavar="0,1", help="regression: the levels' values, in the same order")
    add("--fields", metavar="A[,B]", help="text column(s)")
    add("--label-field", metavar="COLUMN", help="label column")
    add("--attribute", dest="attributes", action="append", metavar="NAME=A,B", help="prompt=kadg: what is to vary, with its values")
    return parser


def _flag(option: str) -> str:
    """The flag as typed; options that are repeated for each value are named in the singular."""
    return {"descriptions": "--description", "attributes": "--attribute"}.get(option, f"--{option.replace('_', '-')}")


class EndOfAnswers(ConfigError):
    """Ctrl-D, or the end of a pipe."""


class Asker:
    """Gets one answer after the other: from the options, from --yes, or from whoever types."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options, self._console = options, console

    def ask(self, option: str, question: str, convert: Callable[[str], Any], proposal: str | None = None, hint: str = "") -> Any:
        """The converted answer; ConfigError where an option's answer is wrong, or where answers end."""
        flag = _flag(option)
        given = getattr(self._options, option)
        if given is not None:
            return self._converted(convert, given, flag)
        if self._options.yes:
            if proposal is None:
                raise ConfigError(f"{flag} is missing, and there is no proposal for it that --yes could take: {question}")
            return self._converted(convert, proposal, flag)
        return self._typed(convert, question, proposal, hint, flag)

    def ask_each(self, option: str, names: Sequence[str], question: str, proposals: Sequence[str | None], hint: str = "") -> list[str]:
        """One text for each label; the option gives them all."""
        flag = _flag(option)
        given = getattr(self._options, option)
        if given is not None:
            texts = given if isinstance(given, list) else _split(given)
            if len(texts) != len(names):
                raise ConfigError(f"{flag} gives {len(texts)}, but there are {len(names)} labels: {', '.join(names)}")
            return [_text(text) for text in texts]
        answers = []
        for name, proposal in zip(names, proposals, strict=True):
            if self._options.yes and proposal is None:
                raise ConfigError(f"{flag} is missing, and there is no proposal for it that --yes could take: {question} ({name})")
            if self._options.yes:
                answers.append(str(proposal))
                continue
            answers.append(self._typed(_text, f"{name}: {question}", proposal, hint if not answers else "", flag))
        return answers

    def _typed(self, convert: Callable[[str], Any], question: str, proposal: str | None, hint: str, flag: str) -> Any:
        """What is typed, asked for until it can be taken."""
        while True:
            self._console.print(f"[bold]{escape(question)}[/]{f' [dim]({escape(hint)})[/]' if hint else ''}", soft_wrap=True)
            try:
                return convert(self._input(proposal, question, flag))
            except EndOfAnswers:
                raise
            except JapagenError as error:
                self._console.print(str(error), style="red", markup=False, soft_wrap=True)

    def _input(self, proposal: str | None, question: str, flag: str) -> str:
        try:
            answer = input(f"  [{proposal}] " if proposal else "  ").strip()
        except EOFError as error:
            print()
            raise EndOfAnswers(f"the answers ended at {question!r}, so nothing was written; answer there, or with {flag}") from error
        return answer or (proposal or "")

    @staticmethod
    def _converted(convert: Callable[[str], Any], answer: Any, flag: str) -> Any:
        try:
            return convert(answer)
        except JapagenError as error:
            raise ConfigError(f"{flag}: {error}") from error


def _from_answers(asker: Asker, options: argparse.Namespace) -> tuple[Task, Path | None, str]:
    name = asker.ask("name", "The task's name", _name_for(options), hint="letters, digits, - and _; you will type task=NAME")
    title = asker.ask("title", "Its title", _text, name)
    file = _ask_file(asker)
    kind = asker.ask("kind", "One text, or a pair of texts?", _choice("single", "pair"), "single")
    target = asker.ask("target", "Classes, or a score?", _choice("classification", "regression"), "classification")
    language = asker.ask("language", "Language of the texts", _text, "ja", "ja, or another language's English name")
    about = asker.ask("about", "What are the texts?", _text, None, "in their language, e.g. 会社の問い合わせ窓口に届くメール")
    fields, label_field = _ask_columns(asker, kind, file)
    limit = str(file.max_chars(fields)) if file else "100"
    max_chars = asker.ask("max_chars", "Longest text, in characters", _whole_number, limit)
    names, label_map = _ask_labels(asker, file if target == "classification" else None, label_field)
    values = {name: value for value, name in label_map.items() if not value.isnumeric()}
    known = [values.get(name, name) for name in names]
    words = asker.ask_each("words", names, "its word in the texts' language", known, "a reply that begins by naming it is rejected")
    scores = _ask_scores(asker, names) if target == "regression" else [None] * len(names)
    hint = "one line in the texts' language, no full stop, e.g. 商品の注文についての問い合わせ"
    descriptions = asker.ask_each("descriptions", names, "what are its texts?", [None] * len(names), hint)
    attributes = asker.ask("attributes", "For prompt=kadg: what is to vary in the texts?", _attributes, "", "NAME=VALUE,VALUE; or nothing")
    labels = tuple(LabelAnswer(*answer) for answer in zip(names, words, (text.rstrip("。.") for text in descriptions), scores, strict=True))
    answers = Answers(
        name,
        title,
        kind,
        target,
        language,
        about,
        max_chars,
        labels,
        tuple(fields),
        label_field,
        attributes,
        label_map if target == "classification" else {},
    )
    return draft_task(answers), file.path if file else None, "Written by `japagen new-task`."


def _from_paper(asker: Asker, options: argparse.Namespace) -> tuple[Task, Path | None, str]:
    form = read_paper_form(options.from_file)
    unused = [flag for flag in ("kind", "about", "descriptions", "attributes") if getattr(options, flag) is not None]
    if unused:
        raise ConfigError(f"{_flag(unused[0])} has no place beside --from: the file says it")
    if form.ignored:
        print(f"{options.from_file}: ignored: {', '.join(form.ignored)}")
    name = asker.ask("name", "The task's name", _name_for(options), re.sub(r"[^A-Za-z0-9_-]+", "-", form.name).strip("-") or None)
    title = asker.ask("title", "Its title", _text, form.name)
    file = _ask_file(asker)
    target = asker.ask("target", "Classes, or a score?", _choice("classification", "regression"), "classification")
    language = asker.ask("language", "Language of the texts", _text, "ja", "ja, or another language's English name")
    fields, label_field = _ask_columns(asker, "pair" if form.first_instruction else "single", file)
    limit = form.max_chars or (file.max_chars(fields) if file else None)
    max_chars = asker.ask("max_chars", "Longest text, in characters", _whole_number, str(limit) if limit else None, "as its prompts say")
    keys = [label.name for label in form.labels]
    names = asker.ask("labels", "The labels' names", _names_for(len(keys)), ",".join(keys), "in the file's order")
    words = asker.ask_each("words", names, "its word in the texts' language", names, "a reply that begins by naming it is rejected")
    scores = _ask_scores(asker, keys) if target == "regression" else [None] * len(keys)
    labels, attributes = renamed(form, names)
    task = Task(
        name=name, title=title, kind="pair" if form.first_instruction else "single", target=target,
        metric="spearman" if target == "regression" else "accuracy", max_chars=max_chars, language="ja" if language == "ja" else "",
        fields=fields, label_field=label_field, system=form.system, first_instruction=form.first_instruction,
        labels=[_with_word(label, word, score) for label, word, score in zip(labels, words, scores, strict=True)],
        attributes=list(attributes),
        label_map={} if target == "regression" else {key: new for key, new in zip(keys, names, strict=True) if key != new},
    )  # fmt: skip
    return task, file.path if file else None, f"Prompts from {options.from_file.name}, by `japagen new-task --from`."


def _with_word(label: Label, word: str, score: float | None) -> Label:
    return replace(label, word=word, score=score)


def _ask_file(asker: Asker) -> LabelledFile | None:
    def read(answer: str) -> LabelledFile | None:
        return read_labelled(expand_home(answer)) if answer else None

    file: LabelledFile | None = asker.ask("file", "A file with a few labelled rows", read, "", "its path, or nothing")
    return file


def _ask_columns(asker: Asker, kind: str, file: LabelledFile | None) -> tuple[list[str], str]:
    num = 2 if kind == "pair" else 1
    label_column = file.label_column() if file else None
    proposed = file.text_columns(num, label_column or "") if file else ["text"] if num == 1 else ["sentence1", "sentence2"]

    def check(answer: str) -> list[str]:
        columns = _split(answer)
        if len(columns) != num or len(set(columns)) != num:
            raise ConfigError(f"{answer!r} names {len(set(columns))} column(s); a {kind} task has {num}")
        for column in columns:
            _check_column(column, file)
        return columns

    def check_label(answer: str) -> str:
        _check_column(_text(answer), file)
        if answer in fields:
            raise ConfigError(f"{answer!r} is a text column; the labels stand in another")
        return answer

    hint = f"columns: {', '.join(file.columns)}" if file else "as in the file you have or will have"
    fields = asker.ask("fields", f"Text column{'s' if num > 1 else ''} of your file", check, ",".join(proposed), hint)
    return fields, asker.ask("label_field", "Label column of your file", check_label, label_column or "label")


def _check_column(column: str, file: LabelledFile | None) -> None:
    if file is not None:
        check_choice(f"column of {file.path.name}", column, file.columns)


def _ask_labels(asker: Asker, file: LabelledFile | None, label_field: str) -> tuple[list[str], dict[str, str]]:
    found = file.labels(label_field) if file else []
    proposal = ",".join(found) if len(found) >= 2 and not any("," in label or "=" in label for label in found) else None
    hint = "separated by commas; VALUE=NAME where your file says VALUE" + (f"; in the file: {', '.join(found)}" if found else "")
    answer: tuple[list[str], dict[str, str]] = asker.ask("labels", "The labels", _labels, proposal, hint)
    return answer


def _labels(answer: str) -> tuple[list[str], dict[str, str]]:
    names, label_map = [], {}
    for part in _split(answer):
        value, separator, name = part.rpartition("=")
        names.append(name.strip())
        if separator:
            label_map[value.strip()] = name.strip()
    return _checked_names(names), label_map


def _checked_names(names: list[str]) -> list[str]:
    if len(names) < 2:
        raise ConfigError(f"{len(names)} label(s); a task needs 2 or more, separated by commas")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated or "" in names:
        raise ConfigError(f"labels need names of their own; found {', '.join(names)}")
    return names


def _names_for(num: int) -> Callable[[str], list[str]]:
    def check(answer: str) -> list[str]:
        names = _checked_names(_split(answer))
        if len(names) != num:
            raise ConfigError(f"{len(names)} names, but the file has {num} labels")
        return names

    return check


def _ask_scores(asker: Asker, names: Sequence[str]) -> list[float | None]:
    def check(answer: str) -> list[float | None]:
        try:
            scores = [float(part) for part in _split(answer)]
        except ValueError as error:
            raise ConfigError(f"{answer!r}: scores are numbers, separated by commas") from error
        if len(scores) != len(names) or len(set(scores)) != len(scores):
            raise ConfigError(f"{len(set(scores))} different scores; there are {len(names)} labels: {', '.join(names)}")
        return list(scores)

    numeric = all(re.fullmatch(r"-?\d+(\.\d+)?", name) for name in names)
    answer: list[float | None] = asker.ask("scores", "The labels' scores", check, ",".join(names) if numeric else None, "in their order")
    return answer


def _attributes(answer: str | list[str]) -> dict[str, list[str]]:
    """NAME=A,B; several apart by semicolons when typed, by repeating the option else."""
    found: dict[str, list[str]] = {}
    for part in answer if isinstance(answer, list) else filter(None, (part.strip() for part in answer.split(";"))):
        name, separator, values = part.partition("=")
        listed = _split(values)
        if not separator or not name.strip() or len(set(listed)) < 2 or len(set(listed)) < len(listed):
            raise ConfigError(f"{part!r} must be NAME=VALUE,VALUE with two or more different values")
        found[name.strip()] = listed
    return found


def _name_for(options: argparse.Namespace) -> Callable[[str], str]:
    def check(answer: str) -> str:
        if not _NAME.fullmatch(answer):
            raise ConfigError(f"{answer!r} can't be a task's name: letters (A to z), digits, - and _ only")
        if (CONF / "task" / f"{answer}.yaml").exists():
            raise ConfigError(f"{answer!r} is a task that japagen ships, which would be taken in its place; choose another name")
        path = expand_home(options.out) / "task" / f"{answer}.yaml"
        if path.exists():
            raise ConfigError(f"{path} exists already and is left as it is; choose another name or --out")
        return answer

    return check


def _choice(*allowed: str) -> Callable[[str], str]:
    def check(answer: str) -> str:
        if answer not in allowed:
            raise ConfigError(f"{answer!r} is not known{nearest(answer, allowed)}; allowed: {', '.join(allowed)}")
        return answer

    return check


def _text(answer: str) -> str:
    if not answer.strip() or not answer.strip().isprintable():
        raise ConfigError("one line of text is needed here")
    return answer.strip()


def _whole_number(answer: str) -> int:
    if not answer.isdecimal() or int(answer) < 2:
        raise ConfigError(f"{answer!r} is no whole number from 2")
    return int(answer)


def _split(answer: str) -> list[str]:
    return [part.strip() for part in re.split("[,、，]", answer) if part.strip()]


def _check_file(task: Task, path: Path) -> None:
    """Reads the labelled file as a run would."""
    from japagen.gold import read_eval

    try:
        read_eval(task, Data(source="files", eval_file=str(path)))
    except DataError as error:
        raise DataError(f"the file doesn't fit the task, so nothing was written: {error}") from error


def _print_next(out: str, task: Task, file: Path | None, path: Path, console: Console) -> None:
    folder, gold = shlex.quote(out), shlex.quote(f"data.eval_file={hydra_value(str(file))}") if file else "data.eval_file=FILE"
    lines = [f"Written: {path}", "", "Look at its prompts and at what an LLM makes of them:"]
    lines += [f"  japagen preview --config-dir {folder} task={task.name} llm=qwen3-swallow-8b"]
    if task.has_knowledge:
        lines += [f"  japagen preview --config-dir {folder} task={task.name} llm=qwen3-swallow-8b prompt=kadg"]
    model = "llm=qwen3-swallow-8b model=modernbert-ja-130m"
    lines += ["Then make the data set and the model; scored where there are labelled rows (leave data=… out where there are none):"]
    lines += [f"  python run.py --config-dir {folder} task={task.name} {model} data=files {gold}"]
    lines += ["Try the whole way without a GPU first with llm=demo in place of the LLM (it knows none but its own tasks' prompts)."]
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
