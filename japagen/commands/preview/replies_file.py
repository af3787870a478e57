"""`japagen preview task=NAME replies=FILE`: what the rules make of replies in a file. No LLM is asked.

A line is a reply: text, a JSON string (so that a reply may have several lines), or a JSON object with `reply` (or `text`, as in a stream's
rows) and, where it has one, `finish_reason`. Other JSON is a reply itself.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.errors import DataError
from japagen.prompts.replies import FINISHED, REASONS, Reading, Reject, judge_reply
from japagen.store.files import check_encoding, expand_home, explain_os_errors
from japagen.tasks import Task


@dataclass(frozen=True)
class FileReply:
    """One line of the file."""

    line: int
    text: str
    finish_reason: str = FINISHED


def read_replies(path: Path) -> list[FileReply]:
    """The file's replies; lines of blanks are passed over. DataError for a file without any, or one that is not UTF-8."""
    path = expand_home(path)
    if not path.is_file():
        raise DataError(f"replies={path}: there is no such file; name a text file with one reply a line")
    with explain_os_errors(path):
        raw = path.read_bytes()
    check_encoding(path, raw)
    try:
        lines = raw.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"replies={path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    found = [_reply(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"replies={path} has no reply; write one a line")
    return found


def _reply(number: int, line: str) -> FileReply:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, str):
        return FileReply(number, value)
    if isinstance(value, dict):
        is_row = isinstance(value.get("text"), str) and "finish_reason" in value
        text = value.get("reply", value.get("text") if is_row else None)
        if isinstance(text, str):
            return FileReply(number, text, str(value.get("finish_reason", FINISHED)))
    return FileReply(number, line.rstrip("\r"))


def preview_replies(task: Task, path: Path, as_json: bool, console: Console) -> None:
    """Prints each reply's outcome and the rules that changed it: a table, or JSON lines."""
    readings = ((reply, judge_reply(task, reply.text, reply.finish_reason)) for reply in read_replies(path))
    if as_json:
        for reply, reading in readings:
            console.out(json.dumps(_record(reply, reading), ensure_ascii=False), highlight=False)
        return
    _print_table(task, readings, console)


def _record(reply: FileReply, reading: Reading) -> dict[str, Any]:
    outcome = reading.outcome
    is_text = isinstance(outcome, str)
    return {
        "line": reply.line,
        "reply": reply.text,
        "text": outcome if is_text else None,
        "reason": None if isinstance(outcome, str) else outcome.reason,
        "rejected_by": None if isinstance(outcome, str) else outcome.rule or None,
        "rules": list(reading.changes),
    }


def _print_table(task: Task, readings: Iterator[tuple[FileReply, Reading]], console: Console) -> None:
    table = Table(box=None, show_header=False, padding=(0, 1, 0, 2), pad_edge=False)
    for column in ("mark", "text"):
        table.add_column(column, overflow="fold", no_wrap=column == "mark", vertical="top")
    rules: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    num = 0
    for reply, reading in readings:
        num += 1
        outcome = reading.outcome
        if isinstance(outcome, Reject):
            reasons[outcome.reason] += 1
            table.add_row("[red]rejected[/]", escape(reply.text.strip() or "(nothing)"))
            by = f" (rule: {outcome.rule})" if outcome.rule else ""
            table.add_row("", f"[red]{escape(f'{outcome.reason}: {REASONS[outcome.reason]}{by}')}[/]")
            continue
        rules.update(reading.changes)
        table.add_row("[green]accepted[/]", escape(outcome))
        if reading.changes:
            table.add_row("", f"[dim]taken off: {escape(', '.join(reading.changes))}[/]")
    console.rule(f"[bold]{escape(task.name)}[/]: {num} replies of a file", align="left")
    console.print(table)
    console.print(f"{num - reasons.total()} of {num} accepted", markup=False)
    for title, counts in (("rejected", reasons), ("taken off accepted ones", rules)):
        if counts:
            console.print(f"{title}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}", markup=False)
