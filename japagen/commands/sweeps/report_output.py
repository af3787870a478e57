"""Where a report goes: onto the terminal, into a file in one of its formats, or to W&B."""

import os
from importlib import import_module
from pathlib import Path

from rich.console import Console

from japagen.commands.terminal import make_console
from japagen.errors import StoreError
from japagen.output import data_output
from japagen.reporting.formats.terminal import print_report
from japagen.reporting.report import Report
from japagen.reporting.run_table import PLAIN_WIDTH
from japagen.store.files import write_whole
from japagen.store.store import Store

RENDERED = {"markdown": "markdown", "csv": "table_csv", "json": "document", "latex": "latex"}
"""Format -> module of japagen.reporting.formats with `render`; beside them there are terminal and html."""


def print_to_stdout(report: Report, form: str) -> None:
    """The report in any format but html."""
    if form == "terminal":
        console = make_console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = PLAIN_WIDTH
        print_report(report, console)
    else:
        data_output().write(render(report, form))


def render(report: Report, form: str) -> str:
    """The report in one of RENDERED."""
    return str(import_module(f"japagen.reporting.formats.{RENDERED[form]}").render(report))


def publish(report: Report) -> str:
    """Makes a W&B Report where the runs' own settings say; its address. ConfigError without a login, or without such a project."""
    from japagen.tracking.report import publish_report

    names = [sweep.name for sweep in report.sweeps]
    logger = report.runs[0].config.logger
    return publish_report(", ".join(names), render(report, "markdown"), names, logger.project, logger.entity)


def write(report: Report, form: str, store: Store, out: Path) -> None:
    """The report as a file, whole or not at all; StoreError where it can't be written."""
    try:
        if form == "html":
            from japagen.reporting.html.page import write_page

            write_page(report, store, out)
        else:
            write_whole(out, lambda path: _write(report, form, path))
    except OSError as error:
        raise StoreError(f"{out} can't be written: {error.strerror or error}") from error


def _write(report: Report, form: str, path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:  # as data_output
        if form == "terminal":
            print_report(report, Console(file=file, width=PLAIN_WIDTH, force_terminal=False, color_system=None))
        else:
            file.write(render(report, form))
