"""`japagen doctor`: what this installation can do, each check with its cure; with llm=… also whether that LLM can be asked.

Exit code 1 where there is a fault (something that would stop a run), 0 with warnings.
"""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.doctor.installation import Check, check_installation
from japagen.commands.terminal import make_console, make_parser
from japagen.config.composition import compose_config

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def main(arguments: list[str]) -> int:
    """Prints the table; 1 where there is a fault."""
    parser = make_parser("doctor", __doc__, "llm=qwen3-swallow-8b")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="llm=NAME to start it and ask it; any other setting of run.py")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own")
    parsed = parser.parse_intermixed_args(arguments)
    config = compose_config(parsed.overrides, parsed.config_dir)
    console = make_console()
    checks = check_installation(config, parsed.config_dir)
    print_checks("installation", checks, console)
    if asks_llm(parsed.overrides):
        from japagen.commands.doctor.llm import check_llm

        of_llm = check_llm(config, lambda line: console.print(line, soft_wrap=True, markup=False))
        print_checks(f"llm={config.llm.name}", of_llm, console)
        checks += of_llm
    faults, warnings = (sum(check.state == state for check in checks) for state in ("fault", "warning"))
    console.print(f"{len(checks)} checks: {faults} fault(s), {warnings} warning(s)")
    return 1 if faults else 0


def asks_llm(overrides: Sequence[str]) -> bool:
    """Whether an LLM, or a server that runs one, is named."""
    return any(override.lstrip("+").startswith(("llm=", "llm.base_url=")) for override in overrides)


def print_checks(heading: str, checks: Sequence[Check], console: Console) -> None:
    """One row a check, with the cure under what was found."""
    console.rule(f"[bold]{escape(heading)}[/]", align="left")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        cure = f"\n[dim]→ {escape(check.cure)}[/]" if check.cure else ""
        table.add_row(f"[{_STYLES[check.state]}]{check.state}[/]", escape(check.name), f"{escape(check.found)}{cure}")
    console.print(table)
