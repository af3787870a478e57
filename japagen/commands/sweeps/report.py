"""`japagen report`: what sweeps found out: tables with tasks across and settings down, seeds united, differences tested.

Several sweeps are united; an experiment that more than one has stands once. What failed or is still to come is counted, so a report can be
made while a sweep runs.
"""

from collections.abc import Sequence
from pathlib import Path

from japagen.commands.terminal import add_store_option, make_parser, open_store, working
from japagen.errors import ConfigError
from japagen.sweeps.folder import SweepFolder

FORMATS = ("terminal", "markdown", "csv", "json", "latex", "html")
_EXAMPLES = (
    "                                            # the latest sweep",
    "monday tuesday --where task=jnli,jsts      # two sweeps, two of their tasks",
    "monday --format latex --out table.tex      # a table for a paper",
    "monday --format html                       # one page with figures, into the sweep's folder",
    "monday --wandb                             # a W&B Report of its runs",
)


def main(arguments: list[str]) -> int:
    """Prints or writes one report."""
    parser = make_parser("report", __doc__, *_EXAMPLES)
    parser.add_argument("sweeps", nargs="*", metavar="SWEEP", help="sweeps' names or their beginnings; the latest, if none is given")
    parser.add_argument("--format", choices=FORMATS, default="terminal", help="csv has a row a cell, json all runs; default: terminal")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write there; default: standard output, html: report.html in the sweep's folder"
    )
    parser.add_argument(
        "--where", action="append", default=[], metavar="KEY=VALUE[,VALUE]",
        help="only these experiments; KEY: task, method, prompt, shots, llm, model, seed, data, or a setting's dotted name; repeatable",
    )  # fmt: skip
    parser.add_argument("--wandb", action="store_true", help="make a W&B Report of it, where logger.project and logger.entity say")
    add_store_option(parser)
    parsed = parser.parse_intermixed_args(arguments)
    from japagen.commands.sweeps.report_output import print_to_stdout, publish, write
    from japagen.reporting.filters import parse_where
    from japagen.reporting.reading import find_sweeps, read_report

    store, filters = open_store(parsed.store), parse_where(parsed.where)
    folders = find_sweeps(store, parsed.sweeps)
    if parsed.wandb and (parsed.out or parsed.format != "terminal"):
        raise ConfigError("--wandb makes a report of its own: leave --format and --out away")
    out = _page_path(folders) if parsed.format == "html" and parsed.out is None else parsed.out
    if out is not None and out.is_dir():
        raise ConfigError(f"--out {out} is a folder; name a file in it")
    with working(f"reading {', '.join(folder.name for folder in folders)}"):
        report = read_report(folders, store, filters)
    if parsed.wandb:
        with working("uploading to W&B"):
            address = publish(report)
        print(f"report: {address}")
    elif out is None:
        print_to_stdout(report, parsed.format)
    else:
        with working(f"writing {out}"):
            write(report, parsed.format, store, out)
        print(f"report: {out}")
    return 0


def _page_path(folders: Sequence[SweepFolder]) -> Path:
    if len(folders) > 1:
        raise ConfigError(f"a page of {len(folders)} sweeps has no place of its own; name one: --out FILE")
    return folders[0].page
