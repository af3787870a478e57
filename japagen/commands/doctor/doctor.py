"""`japagen doctor`: what this installation can do, each check with its cure; with llm=… also whether that LLM can be asked, with model=…
whether that encoder can be trained. --record measures both and keeps date, hardware and speed in STORE/records.

Exit code 1 where there is a fault (something that would stop a run), 0 with warnings.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.doctor.installation import Check, check_installation
from japagen.commands.doctor.record import measured_check, recorded_check, write_record
from japagen.commands.terminal import make_console, make_parser
from japagen.config.composition import compose_config
from japagen.config.schema import Config
from japagen.errors import ConfigError
from japagen.store.store import Store

_STYLES = {"ok": "green", "warning": "yellow", "fault": "bold red"}


def main(arguments: list[str]) -> int:
    """Prints the table; 1 where there is a fault."""
    parser = make_parser("doctor", __doc__, "llm=qwen3-swallow-8b", "llm=qwen3-swallow-8b model=modernbert-ja-130m --record")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="llm=NAME, model=NAME to start it and try it; any other setting of run.py"
    )
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="folder with groups of your own")
    parser.add_argument("--record", action="store_true", help="measure what is named and keep date, hardware and speed in STORE/records")
    parsed = parser.parse_intermixed_args(arguments)
    kinds = named_kinds(parsed.overrides)
    if parsed.record and not kinds:
        raise ConfigError("--record measures an LLM or an encoder, and none is named; add llm=NAME, model=NAME or both")
    config = compose_config(parsed.overrides, parsed.config_dir)
    console, load = make_console(), os.getloadavg()[0]
    checks = check_installation(config, parsed.config_dir)
    print_checks("installation", checks, console)
    parts: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        checks += check_model(config, kind, parts if parsed.record else None, load, console)
    if parts:
        console.print(f"recorded in {write_record(Store(config.store), parsed.overrides, parts, load)}", soft_wrap=True, markup=False)
    faults, warnings = (sum(check.state == state for check in checks) for state in ("fault", "warning"))
    console.print(f"{len(checks)} checks: {faults} fault(s), {warnings} warning(s)")
    return 1 if faults else 0


def named_kinds(overrides: Sequence[str]) -> list[str]:
    """Which of `llm` (also a server that runs one) and `encoder` are named."""
    given = tuple(override.lstrip("+") for override in overrides)
    named = {"llm": ("llm=", "llm.base_url="), "encoder": ("model=", "model.id=")}
    return [kind for kind, beginnings in named.items() if any(override.startswith(beginnings) for override in given)]


def check_model(config: Config, kind: str, parts: dict[str, dict[str, Any]] | None, load: float, console: Console) -> list[Check]:
    """Prints and returns the checks of the LLM or the encoder.

    parts: gets what a record keeps of it, by kind; where there is none, the newest record is shown.
    """
    from japagen.commands.doctor.encoder import check_encoder
    from japagen.commands.doctor.llm import check_llm

    measured: dict[str, Any] | None = None if parts is None else {}
    check, key, model = (check_llm, "llm", config.llm) if kind == "llm" else (check_encoder, "model", config.model)
    checks = check(config, lambda line: console.print(line, soft_wrap=True, markup=False), measured)
    if parts is None:
        checks.append(recorded_check(Store(config.store), kind, model.name, model.id))
    elif measured:
        parts[kind] = measured
        checks.append(measured_check(kind, measured, load))
    else:
        checks.append(Check("warning", "measured", "nothing: a record is kept of what has no fault"))
    print_checks(f"{key}={model.name}", checks, console)
    return checks


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
