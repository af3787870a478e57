"""A report looked at: runs a sweep over six tasks with the demo models, writes its page, opens it in Chromium and takes its pictures.

    python benchmarks/report.py [--store FOLDER] [--chromium /usr/bin/chromium]

Needs playwright (extra `dev`) and a Chromium. The sweep: six tasks on smoke data, methods japagen (0 and 3 shots, two sizes), gold and
prompting, two seeds, 72 experiments. Writes the README's pictures into docs/images (the table of the terminal, the page in light, dark
and on a phone) and the page's size and load time into benchmarks/results/report.json. Loading: median of five, from the start of the
navigation to the load event, from disk.
"""

import argparse
import io
import json
import platform
import re
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from japagen.commands.sweeps.report_output import write
from japagen.config.composition import compose_sweep
from japagen.reporting.formats.terminal import print_report
from japagen.reporting.reading import find_sweeps, read_report
from japagen.reporting.report import Report
from japagen.store.store import Store
from launch.execute import execute

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "report.json"
IMAGES = ROOT / "docs" / "images"
SWEEP = "six-tasks"
TASKS = "task=marcja,jsts,jnli,jcola,news,covid19"
ARMS = (
    ["shots=0,3", "num_per_label=40"],
    ["num_per_label=80"],
    ["method=gold"],
    ["method=prompting"],
    ["prompt=kadg", "num_per_label=40"],
)
"""Each for every task and both seeds."""
NUM_LOADS = 5
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def main() -> None:
    """Runs what the store doesn't have, then looks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="default: a temporary one")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        store = Store(str(args.store or temporary))
        report = run_sweep(store)
        page = Path(temporary) / "report.html"
        write(report, "html", store, page)
        draw_table(report, IMAGES / "table.svg")
        load_ms = look(page, args.chromium)
        found = {
            "runs": len(report.runs),
            "failures": len(report.failures),
            "page_bytes": page.stat().st_size,
            "load_ms": round(statistics.median(load_ms), 1),
            "loads_ms": [round(value, 1) for value in load_ms],
            "machine": platform.processor() or platform.machine(),
            "versions": {name: version(name) for name in ("matplotlib", "jinja2", "playwright")},
        }
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))


def run_sweep(store: Store) -> Report:
    """The report of the sweep, whose experiments are run unless the store has them."""
    common = [TASKS, "seed=0,1", "data=sample", "logger=none", "workers=2", f"store={store.root}"]
    execute([config for arm in ARMS for config in compose_sweep([*common, *arm])], SWEEP)
    return read_report(find_sweeps(store, [SWEEP]), store)


def draw_table(report: Report, path: Path) -> None:
    """What `japagen report` prints, as a picture."""
    console = Console(record=True, width=170, file=io.StringIO(), force_terminal=True)
    print_report(report, console)
    drawn = console.export_svg(title="japagen report", unique_id="table")
    path.write_text(re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL), encoding="utf-8")  # fonts of another host


def look(page: Path, chromium: str) -> list[float]:
    """Takes the pictures; milliseconds of each load. AssertionError where the page asks the network, or a script of it fails."""
    from playwright.sync_api import sync_playwright

    loads: list[float] = []
    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, viewport, scheme in (("light", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")):
            tab: Any = browser.new_page(viewport=viewport, color_scheme=scheme)
            tab.on("pageerror", lambda error: faults.append(str(error)))
            tab.on("request", lambda request: faults.append(request.url) if not request.url.startswith("file:") else None)
            for _ in range(NUM_LOADS if name == "light" else 1):
                tab.goto(page.as_uri())
                loads.append(tab.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart"))
            tab.screenshot(path=IMAGES / f"report-{name}.png")
            tab.close()
        browser.close()
    assert not faults, faults
    return loads[:NUM_LOADS]


if __name__ == "__main__":
    main()
