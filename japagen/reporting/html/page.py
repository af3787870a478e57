"""Writes the page: a report and its store in, one HTML file out that opens from a disk, on a phone, in light and dark.

The template escapes all text. Beside that a content security policy allows no script but our own, by its hash, and no request at all,
so a text that gets through runs nothing. What is marked as HTML is matplotlib's SVG (written again by `svg`) and our own two files.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.result import Failure, Result
from japagen.prompts.replies import REASONS
from japagen.reporting.costs import costs_of
from japagen.reporting.html.confusion import confusions
from japagen.reporting.html.datasets import dataset_pages
from japagen.reporting.html.plots import cost_plots, growth_plots, score_plots
from japagen.reporting.html.provenance import facts_of, run_command, sweep_command
from japagen.reporting.html.tables import break_even_listing, comparisons_listing, cost_listing, pivot_listings, runs_listing, worth_listing
from japagen.reporting.report import Report, Run
from japagen.reporting.setting_names import TITLES, format_score, size_of
from japagen.store.files import write_whole
from japagen.store.store import Store

HERE = Path(__file__).parent


def write_page(report: Report, store: Store, out: Path) -> None:
    """Writes `out` whole: no reader sees half of it. Data sets and predictions that the store lacks are marked as missing."""
    html = render(report, store)

    def write(path: Path) -> None:
        path.write_text(html, encoding="utf-8")

    write_whole(out, write)


def render(report: Report, store: Store) -> str:
    """The page's text."""
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(_context(report, store))


def _context(report: Report, store: Store) -> dict[str, Any]:
    datasets, num_gone = dataset_pages(report, store)
    costs = cost_plots(report, costs_of(report))
    return {
        **_own_files(),
        "report": report,
        "made": datetime.now(UTC).isoformat(timespec="minutes"),
        "tasks": list(dict.fromkeys(run.outcome.task for run in report.runs)),
        "failures": [(index, run.outcome) for index, run in enumerate(report.runs) if _has_failed(run)],
        "num_pending": sum(run.is_pending for run in report.runs),
        "tables": pivot_listings(report),
        "differences": comparisons_listing(report),
        "scores": score_plots(report),
        "growth": growth_plots(report),
        "worth": worth_listing(report),
        "confusions": confusions(report, store),
        "many_labels": MANY_LABELS,
        "costs": [
            (plot, cost_listing(f"costs{index}", where.heading, where.metric, spent)) for index, (where, plot, spent) in enumerate(costs)
        ],
        "break_even": break_even_listing(report),
        "datasets": datasets,
        "num_gone": num_gone,
        "runs": runs_listing(report),
        "sweeps": [(sweep, sweep_command(sweep)) for sweep in report.sweeps],
        "provenance": [_provenance(report, index) for index in range(len(report.runs))],
        "titles": TITLES,
        "meanings": REASONS,
    }


def _has_failed(run: Run) -> bool:
    return isinstance(run.outcome, Failure) and not run.is_pending


def _own_files() -> Mapping[str, Markup | str]:
    """The style sheet and the script as they are, and the script's hash for the policy."""
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return {"style": Markup(style), "script": Markup(script), "script_hash": f"sha256-{digest}"}


def _provenance(report: Report, index: int) -> dict[str, Any]:
    run = report.runs[index]
    shown = {"index": index, "name": run.outcome.name, "about": "", "sweep": run.sweep, "facts": [], "keys": {}, "command": ""}
    if isinstance(run.outcome, Result):
        command = run_command(report, run.sweep, run.config, run.outcome)
        shown |= {"facts": facts_of(run.outcome), "keys": run.outcome.keys, "command": command}
        shown["about"] = f"{size_of(run.outcome)} {format_score(run.outcome.primary) if run.outcome.split else ''}".strip()
    else:
        shown |= {"facts": [("waits" if run.is_pending else "failed", run.outcome.cause)]}
    return shown
