"""Draws docs/images/performance.svg from benchmarks/results: peers, curation and planning.

    python benchmarks/plots.py

Nothing is measured here; a figure changes when its benchmark has run again.
"""

import json
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from measuring import RESULTS, ROOT

OUT = ROOT / "docs" / "images" / "performance.svg"
OURS, OTHERS, MARK = "#0072b2", "#9a9a9a", "#d55e00"
WIDTHS = ("64 open", "256 open")


def main() -> None:
    """Writes the picture."""
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "performance", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure = Figure(figsize=(10, 7.4), layout="constrained")
        panels = figure.subplots(2, 2)
        peers = read("peers")["speed"]
        draw_tools(panels[0, 0], peers, "rows_per_s", "rows a second (log)")
        draw_tools(panels[0, 1], peers, "cpu_s_per_1000_rows", "CPU seconds for 1,000 rows (log)")
        draw_curation(panels[1, 0], read("filters")["runs"])
        draw_planning(panels[1, 1], read("planning")["sizes"])
        figure.savefig(OUT, metadata={"Date": None}, facecolor="white")
    OUT.write_text("".join(f"{line.rstrip()}\n" for line in OUT.read_text(encoding="utf-8").splitlines()), encoding="utf-8")
    print(OUT.relative_to(ROOT))


def read(name: str) -> dict[str, Any]:
    """A benchmark's report."""
    report: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return report


def draw_tools(axes: Any, speed: dict[str, Any], figure: str, title: str) -> None:
    """A bar a tool and number of open requests."""
    tools = list(speed[WIDTHS[0]])[::-1]
    for index, tool in enumerate(tools):
        for number, width in enumerate(WIDTHS):
            value = speed[width][tool][figure]["median"]
            color = OURS if tool.startswith("japagen") else OTHERS
            axes.barh(index + 0.2 - 0.4 * number, value, 0.36, color=color, alpha=1 - 0.45 * number)
            axes.annotate(written(value), (value, index + 0.2 - 0.4 * number),
                          xytext=(3, 0), textcoords="offset points", va="center", fontsize=7)  # fmt: skip
    axes.set_xscale("log")
    axes.margins(x=0.14)
    axes.set_yticks(range(len(tools)), tools)
    axes.set_title(f"{title}; light: {WIDTHS[1]}", loc="left", fontsize=9)


def draw_curation(axes: Any, runs: list[dict[str, Any]]) -> None:
    """CPU seconds of all filters against rows."""
    draw_line(axes, [(run["rows"], run["ours"]["cpu seconds"]["median"]) for run in runs], OURS, "now")
    draw_line(axes, [(run["rows"], run["against"]["cpu seconds"]["median"]) for run in runs if "against" in run], OTHERS, "before")
    finish(axes, "All filters, near duplicates too: CPU seconds", "rows")


def draw_planning(axes: Any, sizes: list[dict[str, Any]]) -> None:
    """CPU seconds of a sweep's plan against its jobs."""
    for name, color, label in (
        ("as Hydra composes", OTHERS, "composed by Hydra alone"),
        ("run.py -m plan=true", OURS, "whole command, plan=true"),
    ):
        draw_line(axes, [(size["jobs"], size["cpu_seconds"][name]) for size in sizes], color, label)
    finish(axes, "Planning a sweep: CPU seconds", "jobs, and as many artifacts in the store")


def draw_line(axes: Any, points: list[tuple[float, float]], color: str, label: str) -> None:
    axes.plot(*zip(*points, strict=True), marker="o", color=color, label=label)
    for point in points:
        axes.annotate(
            written(point[1]), point, xytext=(0, -11 if color == OURS else 6), textcoords="offset points", ha="center", fontsize=7
        )


def written(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"


def finish(axes: Any, title: str, below: str) -> None:
    """Logarithmic scales, words and a line of exponent 1 for comparison."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_xlim()
    bottom = axes.get_ylim()[0]
    axes.plot((low, high), (bottom, bottom * high / low), color=MARK, linewidth=0.8, linestyle=":", label="linear")
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_xlabel(below)
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":
    main()
