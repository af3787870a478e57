"""The report's figures and their content: scores with intervals, growth curves, cost against score.

One figure of each kind for each source of gold data, task and split; smoke data never appear beside published data.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from japagen.config.methods import METHODS
from japagen.reporting.benchmarks import Benchmark, benchmarks_of
from japagen.reporting.costs import MONEY, SECONDS, Cost, group_cost
from japagen.reporting.html.svg import INK, MUTED, PAPER, SERIES, draw_svg, shorten
from japagen.reporting.report import Report
from japagen.reporting.seeds import Aggregate
from japagen.reporting.setting_names import setting_names

WIDTH = 460.0
"""Width of every figure, in SVG units."""
ROW_HEIGHT = 36.0
MARKERS = {"tfidf": "D", "pair_features": "s", "frozen": "^", "nearest_description": "v"}
"""Baselines that differ between settings, with their training rows or their encoder, and matplotlib's marker of each."""


@dataclass(frozen=True)
class Plot:
    """A figure with its heading, and its legend: colour's number -> what has it."""

    heading: str
    svg: Markup
    legend: tuple[tuple[int, str], ...]


def color_of(method: str) -> int:
    """The colour's number; methods that are not known share the last one."""
    return list(METHODS).index(method) if method in METHODS else len(SERIES) - 1


def score_plots(report: Report) -> list[tuple[Benchmark, Plot]]:
    """A row a setting: its runs' scores, their mean, and the mean of their intervals' ends; baselines beside them."""
    return [(benchmark, _score_plot(benchmark, f"score{number}")) for number, benchmark in enumerate(benchmarks_of(report.groups))]


def _score_plot(benchmark: Benchmark, name: str) -> Plot:
    rows = [
        (group, named) for group, named in zip(benchmark.groups, setting_names(benchmark.groups), strict=True) if benchmark.points(group)
    ]
    height = ROW_HEIGHT * len(rows) + 62

    def draw(figure: Any) -> None:
        axes = figure.add_axes((10 / WIDTH, 40 / height, (WIDTH - 20) / WIDTH, (height - 62) / height))
        for number, (value, label) in enumerate(_lines(benchmark)):
            axes.axvline(value, color=MUTED, linewidth=1.2, linestyle=("--", ":")[number % 2], zorder=1)
            axes.annotate(label, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points",
                          ha="center", va="bottom", fontsize=10.5, color=MUTED)  # fmt: skip
        for y, (group, named) in enumerate(rows):
            _draw_score(axes, benchmark, group, y)
            axes.annotate(shorten(named, WIDTH - 20), (0, y - 0.34), xycoords=("axes fraction", "data"), va="center", color=INK, zorder=5)
        axes.set_yticks([])
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.grid(axis="x")
        axes.tick_params(length=0)
        axes.set_xlabel(benchmark.metric)
        axes.spines["left"].set_visible(False)

    methods = dict.fromkeys(group.results[0].method for group, _ in rows)
    legend = tuple((color_of(method), method) for method in methods)
    return Plot(benchmark.heading, draw_svg(name, f"Scores with intervals, {benchmark.heading}", WIDTH, height, draw), legend)


def _draw_score(axes: Any, benchmark: Benchmark, group: Aggregate, y: float) -> None:
    points, color = benchmark.points(group), SERIES[color_of(group.results[0].method)]
    low, high = (statistics.fmean(point[end] for point in points) for end in ("low", "high"))
    axes.plot([low, high], [y, y], color=color, linewidth=2, alpha=0.75, solid_capstyle="round", zorder=2)
    if len(points) > 1:
        axes.scatter([point["value"] for point in points], [y + 0.24] * len(points), s=11, color=color, alpha=0.6, linewidths=0, zorder=3)
    mean = statistics.fmean(point["value"] for point in points)
    axes.scatter([mean], [y], s=50, color=color, edgecolors=PAPER, linewidths=1.2, zorder=4)
    for baseline, marker in MARKERS.items():
        beside = [found[baseline] for found in map(benchmark.baselines, group.results) if baseline in found]
        if beside:
            axes.scatter([statistics.fmean(beside)], [y], s=26, marker=marker, facecolors="none", edgecolors=MUTED, linewidths=1, zorder=2)


def _lines(benchmark: Benchmark) -> list[tuple[float, str]]:
    """Baselines that are the same for every setting: (value, name)."""
    found: dict[str, float] = {}
    for group in benchmark.groups:
        for result in group.results:
            values = benchmark.baselines(result)
            found |= {name: value for name, value in values.items() if name not in MARKERS and name not in found}
    shown: dict[float, list[str]] = {}
    for name, value in found.items():
        shown.setdefault(round(value, 4), []).append(name)
    return [(value, ", ".join(names)) for value, names in shown.items()]


def growth_plots(report: Report) -> list[tuple[Benchmark, Plot]]:
    """Score against texts a label, for benchmarks where a setting has two sizes or more."""
    found = []
    for number, benchmark in enumerate(benchmarks_of(report.groups)):
        curves = _curves(benchmark)
        if curves:
            found.append((benchmark, _growth_plot(benchmark, curves, f"growth{number}")))
    return found


def _curves(benchmark: Benchmark) -> dict[str, list[tuple[int, Aggregate]]]:
    """Setting's name without its size -> (texts a label, its group), by size."""
    groups = [group for group in benchmark.groups if group.results[0].num_per_label is not None and benchmark.points(group)]
    alike: dict[tuple[Any, ...], list[Aggregate]] = {}
    for group in groups:
        first = group.results[0]
        same = (first.method, first.prompt, first.shots, first.llm, first.model, first.gold_per_label, first.options_text)
        alike.setdefault(same, []).append(group)
    curves = [group for group in alike.values() if len({setting.results[0].num_per_label for setting in group}) > 1]
    names = setting_names([group[0] for group in curves], without=["size"])
    sized = [sorted(((setting.results[0].num_per_label or 0, setting) for setting in group), key=lambda pair: pair[0]) for group in curves]
    return dict(zip(names, sized, strict=True))


def _growth_plot(benchmark: Benchmark, curves: Mapping[str, Sequence[tuple[int, Aggregate]]], name: str) -> Plot:
    height = 280.0
    gold = [group for group in benchmark.groups if group.results[0].method == "gold" and group.results[0].gold_per_label == "all"]
    lines = [
        (statistics.fmean(score["value"] for score in benchmark.points(group)), "gold, all rows")
        for group in gold
        if benchmark.points(group)
    ]

    def draw(figure: Any) -> None:
        axes = figure.add_axes((50 / WIDTH, 48 / height, (WIDTH - 66) / WIDTH, (height - 62) / height))
        for value, label in [*_lines(benchmark), *lines]:
            axes.axhline(value, color=MUTED, linewidth=1, linestyle="--", zorder=1)
            axes.annotate(label, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 3), textcoords="offset points",
                          ha="right", fontsize=10.5, color=MUTED)  # fmt: skip
        for number, curve in enumerate(curves.values()):
            _draw_curve(axes, benchmark, curve, SERIES[number % len(SERIES)], ("-", "--", ":")[number // len(SERIES) % 3])
        sizes = sorted({size for curve in curves.values() for size, _ in curve})
        axes.set_xscale("log")
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.minorticks_off()
        axes.grid(axis="y")
        axes.set_xlabel("texts a label")

    legend = tuple((number % len(SERIES), curve) for number, curve in enumerate(curves))
    return Plot(benchmark.heading, draw_svg(name, f"Score against texts a label, {benchmark.heading}", WIDTH, height, draw), legend)


def _draw_curve(axes: Any, benchmark: Benchmark, curve: Sequence[tuple[int, Aggregate]], color: str, style: str) -> None:
    points = [(size, benchmark.points(group)) for size, group in curve]
    means = [statistics.fmean(score["value"] for score in scores) for _, scores in points]
    ends = [[statistics.fmean(score[end] for score in scores) for _, scores in points] for end in ("low", "high")]
    sizes = [size for size, _ in points]
    axes.fill_between(sizes, ends[0], ends[1], color=color, alpha=0.12, linewidth=0, zorder=1)
    axes.plot(sizes, means, color=color, linewidth=2, linestyle=style, marker="o", markersize=6, markeredgecolor=PAPER, zorder=3)
    for size, scores in points:
        if len(scores) > 1:
            axes.scatter([size] * len(scores), [score["value"] for score in scores], s=10, color=color, alpha=0.5, linewidths=0, zorder=2)


@dataclass(frozen=True)
class Spent:
    """A setting in a cost figure: its number there (none where nothing is known), and what it took."""

    number: int | None
    name: str
    score: float | None
    cost: Cost


def cost_plots(report: Report, costs: Mapping[int, Cost]) -> list[tuple[Benchmark, Plot | None, list[Spent]]]:
    """Score against what writing and training took: money where every setting of the benchmark has a price, else GPU seconds.

    No figure where fewer than two settings took anything.
    """
    found = []
    for number, benchmark in enumerate(benchmarks_of(report.groups, further=False)):
        groups = [group for group in benchmark.groups if benchmark.points(group)]
        spent = [group_cost(group, costs) for group in groups]
        unit = MONEY if all(cost.money is not None for cost in spent) else SECONDS
        xs = [cost.making(unit) or 0.0 for cost in spent]
        is_plotted = sum(x > 0 for x in xs) > 1
        numbers = [sum(x > 0 for x in xs[: row + 1]) if is_plotted and xs[row] > 0 else None for row in range(len(xs))]
        names = setting_names(groups)
        rows = [Spent(*row) for row in zip(numbers, names, [group.mean for group in groups], spent, strict=True)]
        found.append((benchmark, _cost_plot(benchmark, groups, xs, unit, f"cost{number}") if is_plotted else None, rows))
    return found


def _cost_plot(benchmark: Benchmark, groups: Sequence[Aggregate], xs: Sequence[float], unit: str, name: str) -> Plot:
    height = 280.0
    shown = [(group, x, group.mean or 0.0) for group, x in zip(groups, xs, strict=True) if x > 0]
    is_log = max(x for _, x, _ in shown) > 20 * min(x for _, x, _ in shown)

    def draw(figure: Any) -> None:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        axes = figure.add_axes((50 / WIDTH, 48 / height, (WIDTH - 66) / WIDTH, (height - 62) / height))
        for number, (group, x, mean) in enumerate(shown, 1):
            axes.annotate(str(number), (x, mean), xytext=(6, 4), textcoords="offset points", fontsize=10, color=MUTED)
            color, is_use = SERIES[color_of(group.results[0].method)], group.results[0].model is None
            axes.scatter([x], [mean], s=52, facecolors=PAPER if is_use else color, edgecolors=color if is_use else PAPER,
                         linewidths=2 if is_use else 1, zorder=3)  # fmt: skip
        axes.set_xscale("log" if is_log else "linear")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.{_decimals(value)}f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid()
        axes.set_xlabel("money: LLM and training" if unit == MONEY else "GPU seconds: LLM and training")

    methods = dict.fromkeys(group.results[0].method for group, _, _ in shown)
    legend = tuple((color_of(method), method) for method in methods)
    return Plot(benchmark.heading, draw_svg(name, f"Score against cost, {benchmark.heading}", WIDTH, height, draw), legend)


def _decimals(value: float) -> int:
    """So many that two digits of a small number are seen."""
    return 0 if value == 0 or abs(value) >= 10 else min(6, 1 - math.floor(math.log10(abs(value))))
